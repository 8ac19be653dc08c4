//! The page of one unit, which ends in the last lines of its log.
//!
//! Owns: what stands on it and in which order. A line without anything to say is left out.

use chrono::{DateTime, Utc};
use harness_core::protocol::LogRecord;
use harness_core::report::{Health, StackStatus, UnitStatus};

use super::ages::{duration, since};
use super::escape::escaped;
use super::look::{Look, Span};
use super::report::log_line;
use super::status::{ending, kind_name, state_span};
use super::width::clipped;

/// Everything that is known of a unit.
pub(crate) fn status_page(
    look: &Look,
    status: &StackStatus,
    unit: &UnitStatus,
    lines: &[LogRecord],
    now: DateTime<Utc>,
) -> String {
    let bullet = look.paint(state_span(unit), look.glyph("●", "*"));
    let name = look.paint(Span::Strong, &unit.name);
    let mut text = format!(
        "{bullet} {name}  ({} {} of {})\n",
        unit.target,
        kind_name(unit.kind),
        status.stack
    );
    for (title, value) in facts(look, unit, now) {
        let line = format!("{title:>9}: {}", escaped(value.as_bytes()));
        text += &clipped(&line, look.width.unwrap_or(usize::MAX), look.unicode);
        text.push('\n');
    }
    if !lines.is_empty() {
        text.push('\n');
    }
    for line in lines {
        text += &clipped(
            &log_line(look, line),
            look.width.unwrap_or(usize::MAX),
            look.unicode,
        );
        text.push('\n');
    }
    text
}

fn facts(look: &Look, unit: &UnitStatus, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let mut facts = vec![("State", state(look, unit, now))];
    let mut add = |title, value: Option<String>| facts.extend(value.map(|value| (title, value)));
    let waits = unit.waiting_for.iter().map(|what| what.reason.clone());
    add("Waits for", joined(waits));
    add("Reason", unit.reason.clone());
    add("Health", health(look, unit));
    add("Host", unit.host.clone());
    add("Process", unit.pid.map(|pid| pid.to_string()));
    add("Container", unit.container_id.clone());
    add("Version", unit.version.clone());
    add("Address", unit.address.clone());
    add(
        "Ports",
        joined(
            unit.ports
                .iter()
                .map(|(name, port)| format!("{name} {port}")),
        ),
    );
    add("Needed by", joined(unit.required_by.iter().cloned()));
    add(
        "Restarts",
        (unit.restarts > 0).then(|| unit.restarts.to_string()),
    );
    add("Last end", last_end(look, unit));
    add("Instance", unit.instance_id.clone());
    facts
}

fn state(look: &Look, unit: &UnitStatus, now: DateTime<Utc>) -> String {
    let from = unit.stopped_at.or(unit.started_at);
    match from {
        Some(from) => {
            let (when, age) = (look.date(from), duration(since(from, now)));
            let word = if unit.stopped_at.is_some() {
                "ended"
            } else {
                "launched"
            };
            format!("{}, {word} {when} ({age} ago)", unit.state)
        }
        None => unit.state.clone(),
    }
}

fn health(look: &Look, unit: &UnitStatus) -> Option<String> {
    if unit.health == Health::None {
        return None;
    }
    let mut text = unit.health.as_str().to_owned();
    if let Some(reason) = &unit.health_reason {
        text += &format!(": {reason}");
    }
    if let Some(checked) = unit.last_checked {
        text += &format!(" (checked {})", look.clock(checked));
    }
    Some(text)
}

fn last_end(look: &Look, unit: &UnitStatus) -> Option<String> {
    let mut text = ending(unit)?;
    if let Some(stopped) = unit.stopped_at {
        text += &format!(" at {}", look.date(stopped));
    }
    Some(text)
}

fn joined(parts: impl Iterator<Item = String>) -> Option<String> {
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::logs::tests::record;
    use crate::render::sample;

    #[test]
    fn the_page_ends_in_the_last_lines_of_the_log() {
        let status = sample::stack();
        let lines = [
            record("api", "listening"),
            record("api", "\x1b[2Jcleared \u{7}"),
        ];
        let page = status_page(
            &Look::plain(),
            &status,
            &status.items[0],
            &lines,
            sample::now(),
        );
        insta::assert_snapshot!(page);
    }
}
