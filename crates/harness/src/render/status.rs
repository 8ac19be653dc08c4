//! The table of a stack's units.
//!
//! Owns: its columns, and the lines below it about what is not as it should be.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use harness_core::report::{Health, StackStatus, UnitStatus};
use harness_core::spec::UnitKind;

use super::ages::{duration, short, since};
use super::escape::escaped;
use super::look::{Look, Span};
use super::table::{Cell, Column, NOTHING, table};
use super::width::{clipped, columns};
use crate::usage::Usage;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail<'a> {
    /// What most people want to know.
    Usual,
    /// Everything that fits on a line, with what each unit takes.
    Wide(&'a BTreeMap<String, Usage>),
}

/// The units of a stack, and what is the matter with those that are not as they should be.
pub(crate) fn status_table(
    look: &Look,
    status: &StackStatus,
    units: &[&UnitStatus],
    detail: Detail<'_>,
    now: DateTime<Utc>,
) -> String {
    let head: Vec<Column> = match detail {
        Detail::Usual => COLUMNS.to_vec(),
        Detail::Wide(_) => COLUMNS.iter().chain(&WIDE_COLUMNS).copied().collect(),
    };
    let rows: Vec<Vec<Cell>> = units.iter().map(|unit| row(unit, detail, now)).collect();
    let mut lines = vec![headline(look, status)];
    if !rows.is_empty() {
        lines.extend(table(look, &head, &rows));
    }
    lines.extend(units.iter().filter_map(|unit| note(look, unit)));
    let of_shown = status.one_offs.iter().filter(|run| {
        let mut shown = units.iter();
        shown.any(|unit| unit.name == run.unit)
    });
    lines.extend(of_shown.map(|run| {
        let text = format!(
            "  one-off run by the definition of {}, process {}, for {}",
            run.unit,
            run.pid,
            duration((now - run.since).to_std().unwrap_or_default())
        );
        look.paint(
            Span::Dim,
            &clipped(&text, look.width.unwrap_or(usize::MAX), look.unicode),
        )
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn headline(look: &Look, status: &StackStatus) -> String {
    let of_kind = |kind| status.items.iter().filter(move |unit| unit.kind == kind);
    let services = of_kind(UnitKind::Service).count();
    let ready = of_kind(UnitKind::Service).filter(|unit| unit.ready).count();
    let tasks = of_kind(UnitKind::Task).count();
    let done = of_kind(UnitKind::Task).filter(|unit| unit.ready).count();
    let mut counts = format!("  {}, {ready} ready", counted(services, "service"));
    if tasks > 0 {
        counts += &format!("; {}, {done} done", counted(tasks, "task"));
    }
    let width = look.width.unwrap_or(usize::MAX);
    let name = clipped(status.stack.as_str(), width, look.unicode);
    let room = width.saturating_sub(columns(&name));
    let mut text = look.paint(Span::Strong, &name);
    text += &clipped(&counts, room, look.unicode);
    if let Some(trouble) = &status.storage {
        let trouble = format!("! {trouble}: nothing new is started");
        text.push('\n');
        text += &look.paint(Span::Bad, &clipped(&trouble, width, look.unicode));
    }
    text
}

fn row(unit: &UnitStatus, detail: Detail<'_>, now: DateTime<Utc>) -> Vec<Cell> {
    let or_nothing = |text: Option<String>| Cell::new(text.unwrap_or_else(|| NOTHING.to_owned()));
    let mut cells = vec![
        Cell::new(&unit.name),
        Cell::new(kind_name(unit.kind)),
        Cell::new(match &unit.host {
            None => unit.target.clone(),
            Some(host) => format!("{} {host}", unit.target),
        }),
        Cell::painted(&unit.state, state_span(unit)),
        health_cell(unit),
        Cell::new(match unit.restarts {
            0 => NOTHING.to_owned(),
            restarts => restarts.to_string(),
        }),
        or_nothing(unit.pid.map(|pid| pid.to_string())),
        or_nothing(unit.address.clone()),
        or_nothing(age(unit, now)),
    ];
    if let Detail::Wide(usage) = detail {
        let usage = usage.get(&unit.name);
        let ports = unit
            .ports
            .iter()
            .map(|(name, port)| format!("{name}={port}"));
        let ports = ports.collect::<Vec<_>>().join(",");
        cells.extend([
            or_nothing(usage.map(|usage| bytes(usage.resident_bytes))),
            or_nothing(usage.map(|usage| duration(usage.processor))),
            or_nothing(ending(unit)),
            or_nothing(Some(ports).filter(|ports| !ports.is_empty())),
            or_nothing(Some(unit.required_by.join(",")).filter(|names| !names.is_empty())),
            or_nothing(unit.instance_id.clone()),
        ]);
    }
    cells
}

fn health_cell(unit: &UnitStatus) -> Cell {
    match unit.health {
        Health::None => Cell::new(NOTHING),
        Health::Starting => Cell::painted(unit.health.as_str(), Span::Busy),
        Health::Healthy => Cell::painted(unit.health.as_str(), Span::Good),
        Health::Unhealthy | Health::Unknown => Cell::painted(unit.health.as_str(), Span::Bad),
    }
}

/// What is the matter with a unit, when something is.
fn note(look: &Look, unit: &UnitStatus) -> Option<String> {
    let waits: Vec<&str> = unit
        .waiting_for
        .iter()
        .map(|what| what.reason.as_str())
        .collect();
    let is_unhealthy = matches!(unit.health, Health::Unhealthy | Health::Unknown);
    let (span, text) = if is_failed(&unit.state) {
        let how = unit.reason.clone().or_else(|| ending(unit))?;
        (Span::Bad, format!("{}: {how}", unit.state))
    } else if is_unhealthy {
        (
            Span::Bad,
            unit.health_reason
                .clone()
                .unwrap_or_else(|| unit.health.as_str().to_owned()),
        )
    } else if !waits.is_empty() {
        (Span::Busy, format!("waits: {}", waits.join("; ")))
    } else if let (Some(reason), Some(_)) = (&unit.reason, unit.pid) {
        // It runs, and something about it is not as it should be.
        (Span::Bad, reason.clone())
    } else {
        return None;
    };
    let text = clipped(
        &escaped(format!("! {}  {text}", unit.name).as_bytes()),
        look.width.unwrap_or(usize::MAX),
        look.unicode,
    );
    Some(look.paint(span, &text))
}

/// How a unit's last attempt ended.
pub(super) fn ending(unit: &UnitStatus) -> Option<String> {
    match (unit.exit_code, unit.signal, unit.exit_unknown) {
        (Some(code), _, _) => Some(format!("exit code {code}")),
        (None, Some(signal), _) => Some(format!("signal {signal}")),
        (None, None, true) => Some("ended unseen".to_owned()),
        (None, None, false) => None,
    }
}

/// What the state of a unit is to be seen as.
pub(super) fn state_span(unit: &UnitStatus) -> Span {
    match unit.state.as_str() {
        "ready" | "done" => Span::Good,
        "idle" | "held" => Span::Dim,
        state if is_failed(state) => Span::Bad,
        _ => Span::Busy,
    }
}

fn is_failed(state: &str) -> bool {
    matches!(state, "failed" | "crash-loop" | "lost")
}

/// `812K`, `41M`, `1.5G`.
pub(super) fn bytes(bytes: u64) -> String {
    let kibibytes = bytes / 1024;
    match kibibytes {
        0..1_024 => format!("{kibibytes}K"),
        1_024..1_048_576 => format!("{}M", kibibytes / 1024),
        _ => {
            let tenths = kibibytes * 10 / 1_048_576;
            format!("{}.{}G", tenths / 10, tenths % 10)
        }
    }
}

/// Since when it runs, or is gone.
fn age(unit: &UnitStatus, now: DateTime<Utc>) -> Option<String> {
    let from = unit.stopped_at.or(unit.started_at)?;
    Some(short(since(from, now)))
}

pub(super) fn kind_name(kind: UnitKind) -> &'static str {
    match kind {
        UnitKind::Service => "service",
        UnitKind::Task => "task",
    }
}

/// `1 service`, `2 services`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

const COLUMNS: [Column; 9] = [
    Column {
        heading: "NAME",
        expendable: 0,
    },
    Column {
        heading: "KIND",
        expendable: 6,
    },
    Column {
        heading: "TARGET",
        expendable: 7,
    },
    Column {
        heading: "STATE",
        expendable: 0,
    },
    Column {
        heading: "HEALTH",
        expendable: 1,
    },
    Column {
        heading: "RESTARTS",
        expendable: 4,
    },
    Column {
        heading: "PID",
        expendable: 3,
    },
    Column {
        heading: "ADDRESS",
        expendable: 2,
    },
    Column {
        heading: "AGE",
        expendable: 5,
    },
];
const WIDE_COLUMNS: [Column; 6] = [
    Column {
        heading: "MEMORY",
        expendable: 7,
    },
    Column {
        heading: "CPU TIME",
        expendable: 7,
    },
    Column {
        heading: "LAST END",
        expendable: 8,
    },
    Column {
        heading: "PORTS",
        expendable: 9,
    },
    Column {
        heading: "NEEDED BY",
        expendable: 10,
    },
    Column {
        heading: "INSTANCE",
        expendable: 11,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    fn shown(look: &Look, detail: Detail<'_>) -> String {
        let status = sample::stack();
        let units: Vec<&UnitStatus> = status.items.iter().collect();
        status_table(look, &status, &units, detail, sample::now())
    }

    #[test]
    fn the_table_shows_what_is_known() {
        insta::assert_snapshot!(shown(&Look::plain(), Detail::Usual));
    }

    #[test]
    fn the_wide_table_shows_more() {
        let taken = Usage {
            resident_bytes: 41 << 20,
            processor: std::time::Duration::from_millis(2_340),
        };
        let first = sample::stack().items[0].name.clone();
        let usage = BTreeMap::from([(first, taken)]);
        insta::assert_snapshot!(shown(&Look::plain(), Detail::Wide(&usage)));
    }

    #[test]
    fn sizes_are_short() {
        let sizes = [512 << 10, 41 << 20, 1_610_612_736].map(bytes);
        assert_eq!(sizes, ["512K", "41M", "1.5G"]);
    }

    #[test]
    fn a_narrow_terminal_gets_less() {
        let look = Look {
            width: Some(40),
            ..Look::plain()
        };
        let text = shown(&look, Detail::Usual);
        assert!(text.lines().all(|line| columns(line) <= 40), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn colour_is_all_that_colour_changes() {
        let colored = shown(
            &Look {
                color: true,
                ..Look::plain()
            },
            Detail::Usual,
        );
        assert!(colored.contains("\x1b[31m"), "{colored:?}");
        let stripped = super::super::escape::escaped(colored.replace('\n', "\t").as_bytes());
        assert_eq!(
            stripped.replace('\t', "\n"),
            shown(&Look::plain(), Detail::Usual)
        );
    }
}
