//! What is said when a unit failed, and when a stop had to be insisted on.
//!
//! Owns: the reports. They look like the diagnostics of the stack file, because the place in that file is where the
//! reader goes next.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use harness_core::protocol::LogRecord;
use harness_core::report::UnitStatus;

use super::ages::{duration, since};
use super::escape::escaped;
use super::logs::gap_text;
use super::look::{Look, Span};
use super::status::{counted, kind_name};

/// A place in a stack file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// The line's text.
    pub(crate) text: String,
}

/// A unit that failed.
#[derive(Clone, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) unit: &'a UnitStatus,
    /// What happened to it, as a sentence.
    pub(crate) reason: &'a str,
    pub(crate) place: Option<Place>,
    /// The last lines that it wrote.
    pub(crate) lines: &'a [LogRecord],
    /// The units that cannot go on because of it.
    pub(crate) blocked: Vec<String>,
    /// How the stack is named to the program: nothing, or ` -p NAME`.
    pub(crate) stack_option: &'a str,
}

/// The whole report.
pub(crate) fn failure_report(look: &Look, report: &Report<'_>) -> String {
    let Report {
        unit,
        reason,
        place,
        lines,
        blocked,
        stack_option,
    } = report;
    let name = &unit.name;
    let mut text = format!(
        "{} {} `{name}`: {}\n",
        look.paint(Span::Bad, "error:"),
        kind_name(unit.kind),
        escaped(reason.as_bytes())
    );
    if let Some(place) = place {
        text += &snippet(look, place, &circumstances(unit));
    }
    let dim = |what: &str| look.paint(Span::Dim, what);
    if !lines.is_empty() {
        text += &format!("   {} last output:\n", dim("="));
    }
    for line in *lines {
        text += &format!("     {} {}\n", dim("|"), log_line(look, line));
    }
    if !blocked.is_empty() {
        text += &format!("   {} blocked: {}\n", dim("="), blocked.join(", "));
    }
    text += &format!(
        "   {} help: `harness{stack_option} logs {name}`, `harness{stack_option} why {name}`\n",
        dim("=")
    );
    text
}

fn snippet(look: &Look, place: &Place, label: &str) -> String {
    let Place {
        file,
        line,
        column,
        text,
    } = place;
    let number = line.to_string();
    let margin = " ".repeat(number.len());
    let dim = |what: &str| look.paint(Span::Dim, what);
    let source = escaped(text.trim_end().as_bytes());
    let before = usize::try_from(column.saturating_sub(1)).unwrap_or_default();
    let marked = source
        .chars()
        .skip(before)
        .take_while(|c| !matches!(c, ':' | ' '))
        .count()
        .max(1);
    let marks = look.paint(Span::Bad, &format!("{} {label}", "^".repeat(marked)));
    format!(
        "{margin}{} {}:{line}:{column}\n{margin} {}\n{} {} {source}\n{margin} {} {}{}\n",
        dim("-->"),
        file.display(),
        dim("|"),
        dim(&number),
        dim("|"),
        dim("|"),
        " ".repeat(before),
        marks.trim_end(),
    )
}

/// When and how it ended.
fn circumstances(unit: &UnitStatus) -> String {
    let mut parts = Vec::new();
    if let Some(ending) = super::status::ending(unit).filter(|_| unit.stopped_at.is_some()) {
        let ran = unit
            .started_at
            .zip(unit.stopped_at)
            .map(|(from, to)| since(from, to));
        parts.push(match ran {
            Some(ran) => format!("{ending} after {}", duration(ran)),
            None => ending,
        });
    }
    if unit.restarts > 0 {
        parts.push(counted(unit.restarts as usize, "restart"));
    }
    parts.join(", ")
}

/// A line of a log inside something else.
pub(super) fn log_line(look: &Look, line: &LogRecord) -> String {
    let time = look.paint(Span::Dim, &look.clock(line.time));
    match line.gap {
        Some(missing) => format!("{time} {}", gap_text(missing)),
        None => format!("{time} {}", escaped(&line.bytes)),
    }
}

/// One line for each of these units whose stop had to be insisted on or that left something behind. `begun` is when they
/// were asked to stop.
pub(crate) fn stop_lines(look: &Look, units: &[&UnitStatus], begun: DateTime<Utc>) -> String {
    units
        .iter()
        .filter_map(|unit| stop_line(look, unit, begun))
        .collect()
}

fn stop_line(look: &Look, unit: &UnitStatus, begun: DateTime<Utc>) -> Option<String> {
    let stop = unit.stop.as_ref()?;
    // It may run again since.
    let stopped = unit.stopped_at.or(unit.ended_at);
    let stopped = stopped.filter(|stopped| *stopped >= begun)?;
    if stop.escalation == "none" && stop.leftover_count == 0 {
        return None;
    }
    // The wall clock may have jumped meanwhile: it is asked only where the record does not say.
    let took = match stop.took_ms {
        Some(took) => Duration::from_millis(took),
        None => since(begun, stopped),
    };
    // An engine tells only what a shell would make of the signal.
    let is_in_container = unit.is_container();
    let by_engine = is_in_container && unit.exit_code == Some(128 + SIGKILL);
    let by_signal = unit.signal == Some(SIGKILL);
    let was_killed = stop.escalation == "killed" && (by_signal || by_engine);
    let mut text = match was_killed {
        true => format!(
            "{} ignored its stop signal for {} and was killed",
            unit.name,
            duration(took)
        ),
        false => format!("{} ended", unit.name),
    };
    // A main process that outlived its grace is among those that were left.
    if stop.leftover_count > u32::from(was_killed) {
        let names = escaped(stop.leftovers.join(", ").as_bytes());
        let (count, were) = match stop.leftover_count {
            1 => ("1 process".to_owned(), "was"),
            count => (format!("{count} processes"), "were"),
        };
        let fate = if stop.escalation == "killed" {
            " and killed"
        } else {
            ""
        };
        text += &format!("; {count} {were} left of its tree{fate}: {names}");
    }
    let mut text = format!("{} {text}\n", look.paint(Span::Busy, "warning:"));
    if was_killed && is_in_container {
        text += "  hint: as process 1 of a container, a program gets no signal that it does not handle: `init: true`, or `stop: {signal: …}`\n";
    }
    Some(text)
}

const SIGKILL: i32 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::logs::tests::record;
    use crate::render::sample;

    #[test]
    fn a_failure_says_where_how_and_what_next() {
        let status = sample::stack();
        let lines = [
            record("worker", "connecting"),
            record("worker", "FATAL: \x1b[31mno such role\x1b[0m"),
        ];
        let report = Report {
            unit: &status.items[4],
            reason: "it failed: exit code 1",
            place: Some(Place {
                file: "harness.yaml".into(),
                line: 31,
                column: 3,
                text: "  worker:".to_owned(),
            }),
            lines: &lines,
            blocked: vec!["gateway".to_owned()],
            stack_option: "",
        };
        insta::assert_snapshot!(failure_report(&Look::plain(), &report));
    }

    #[test]
    fn a_stop_that_was_insisted_on_is_reported() {
        let deaf = sample::stopped("worker", Some(9), "killed", &["sleep", "sh"]);
        let left = sample::stopped("web", None, "tree-term", &["child"]);
        let good = sample::stopped("db", None, "none", &[]);
        let text = stop_lines(&Look::plain(), &[&deaf, &left, &good], sample::ago(11));
        insta::assert_snapshot!(text);
        let mut told = deaf.clone();
        told.stop.as_mut().expect("it was stopped").took_ms = Some(700);
        let text = stop_lines(&Look::plain(), &[&told], sample::ago(3600));
        assert!(
            text.contains("for 0.7s"),
            "whatever the wall clock says: {text}"
        );
        assert_eq!(
            stop_lines(&Look::plain(), &[&deaf], sample::now()),
            "",
            "an older stop is no news"
        );
    }

    #[test]
    fn a_container_that_ignored_its_stop_signal_is_told_as_such() {
        let mut deaf = sample::stopped("web", None, "killed", &[]);
        deaf.target = "docker".to_owned();
        deaf.exit_code = Some(137);
        deaf.stop.as_mut().expect("it was stopped").took_ms = Some(10_000);
        let text = stop_lines(&Look::plain(), &[&deaf], sample::ago(11));
        assert!(
            text.contains("web ignored its stop signal for 10.0s and was killed"),
            "{text}"
        );
        assert!(text.contains("`init: true`"), "{text}");
        let mut again = deaf.clone();
        again.ended_at = again.stopped_at.take();
        let text = stop_lines(&Look::plain(), &[&again], sample::ago(11));
        assert!(
            text.contains("web ignored its stop signal"),
            "it was replaced: {text}"
        );
        deaf.target = "process".to_owned();
        let text = stop_lines(&Look::plain(), &[&deaf], sample::ago(11));
        assert!(text.contains("web ended"), "its own exit code: {text}");
    }
}
