//! What happens, as lines that are only ever added.
//!
//! Owns: which events are a change worth a line, and how long a unit took. The live view is [`super::live`]'s.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use harness_core::report::{Event, EventKind, StackStatus, UnitStatus};
use serde_json::Value;

use super::ages::{duration, since};
use super::escape::escaped;
use super::look::{Look, Span};
use super::width::{columns, padded};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A view that is drawn again and again.
    Live,
    /// A line for every change.
    Plain,
    /// Not at all.
    Quiet,
}

/// A unit went from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) time: DateTime<Utc>,
    pub(crate) unit: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// Since it left the state that it began this with.
    pub(crate) took: Option<Duration>,
    pub(crate) detail: Option<String>,
}

/// Remembers where every unit is, so that each change is told once, whether an event or a status tells of it.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    states: BTreeMap<String, String>,
    begun: BTreeMap<String, DateTime<Utc>>,
    width: usize,
    last: Option<DateTime<Utc>>,
}

impl Tracker {
    /// Begins with these units as they are.
    pub(crate) fn new(status: Option<&StackStatus>) -> Self {
        let mut tracker = Self::default();
        for unit in status.iter().flat_map(|status| &status.items) {
            tracker.width = tracker.width.max(columns(&unit.name));
            tracker.states.insert(unit.name.clone(), unit.state.clone());
        }
        tracker
    }

    /// Makes room for these names from the first line on.
    pub(crate) fn expect<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        self.width = names.map(columns).fold(self.width, usize::max);
    }

    /// Whether any change was told.
    pub(crate) fn has_told(&self) -> bool {
        self.last.is_some()
    }

    /// How wide names are.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The change that an event tells of, unless it is known.
    pub(crate) fn event(&mut self, event: &Event) -> Option<Transition> {
        let text = |key: &str| event.event_data.get(key).and_then(Value::as_str);
        let unit = text("service_name")?;
        let to = match event.event_type {
            EventKind::ServiceUnhealthy => "unhealthy",
            EventKind::ServiceHealthy => "healthy",
            EventKind::ServiceStarting | EventKind::TaskStarting
                if text("unreachable").is_some() =>
            {
                "waiting"
            }
            EventKind::ServicePreparing => text("activity")?,
            _ => text("state")?,
        };
        let detail = match to {
            "unhealthy" => text("health_reason").map(str::to_owned),
            "ready" => text("address").map(str::to_owned),
            "waiting" => text("unreachable").map(str::to_owned),
            "pulling" | "building" => text("reason").map(str::to_owned),
            "failed" | "crash-loop" | "lost" | "backoff" => text("reason")
                .map(str::to_owned)
                .or_else(|| ending(&event.event_data)),
            // It is started again at once: what it ended with is told nowhere else.
            _ if is_restart(event.event_type) => ending(&event.event_data),
            _ => None,
        };
        self.change(event.timestamp, unit, to, detail)
    }

    /// The changes that a status tells of and that no event has told yet.
    pub(crate) fn status(&mut self, units: &[&UnitStatus], now: DateTime<Utc>) -> Vec<Transition> {
        let change = |unit: &&UnitStatus| {
            let detail = match unit.state.as_str() {
                "ready" => unit.address.clone(),
                _ => unit.reason.clone(),
            };
            self.change(now, &unit.name, &unit.state, detail)
        };
        units.iter().filter_map(change).collect()
    }

    fn change(
        &mut self,
        time: DateTime<Utc>,
        unit: &str,
        to: &str,
        detail: Option<String>,
    ) -> Option<Transition> {
        self.width = self.width.max(columns(unit));
        // Of whom nothing was told yet is at rest.
        let from = self.states.insert(unit.to_owned(), to.to_owned());
        let from = from.unwrap_or_else(|| "idle".to_owned());
        if from == to {
            return None;
        }
        // Clocks may be set back; what was told stays in order.
        let time = self.last.map_or(time, |last| last.max(time));
        self.last = Some(time);
        let begins = matches!(to, "starting" | "stopping");
        let begun = match begins {
            true => self.begun.insert(unit.to_owned(), time),
            false => self.begun.get(unit).copied(),
        };
        Some(Transition {
            time,
            unit: unit.to_owned(),
            from,
            to: to.to_owned(),
            took: begun.filter(|_| !begins).map(|begun| since(begun, time)),
            detail,
        })
    }
}

/// A change as one line.
pub(crate) fn transition_line(look: &Look, width: usize, transition: &Transition) -> String {
    let Transition {
        time,
        unit,
        from,
        to,
        took,
        detail,
    } = transition;
    let arrow = look.glyph("→", "->");
    let mut line = format!(
        "{} {}  {from} {arrow} {}",
        look.paint(Span::Dim, &look.clock(*time)),
        padded(unit, width),
        look.paint(span(to), to),
    );
    if let Some(took) = took {
        line += &format!(" {}", duration(*took));
    }
    if let Some(detail) = detail {
        line += &format!("  {}", escaped(detail.as_bytes()));
    }
    line.push('\n');
    line
}

pub(super) fn span(state: &str) -> Span {
    match state {
        "ready" | "done" | "healthy" => Span::Good,
        "failed" | "crash-loop" | "lost" | "unhealthy" | "paused" => Span::Bad,
        "idle" | "held" => Span::Dim,
        _ => Span::Busy,
    }
}

fn is_restart(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::ServiceRestarting | EventKind::TaskRestarting
    )
}

fn ending(data: &Value) -> Option<String> {
    let number = |key: &str| data.get(key).and_then(Value::as_i64);
    number("exit_code")
        .map(|code| format!("exit code {code}"))
        .or_else(|| number("signal").map(|signal| format!("signal {signal}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;
    use chrono::TimeDelta;
    use serde_json::json;

    fn event(milliseconds: i64, kind: EventKind, data: Value) -> Event {
        Event {
            schema_version: 1,
            seq: 1,
            timestamp: sample::now() + TimeDelta::milliseconds(milliseconds),
            event_type: kind,
            source: "harness".to_owned(),
            stack: None,
            event_data: data,
        }
    }

    #[test]
    fn whoever_waits_for_an_engine_is_told_why_once() {
        let mut tracker = Tracker::default();
        let data = |more: Value| {
            let mut data = json!({"service_name": "db", "state": "starting"});
            let own = data.as_object_mut().expect("an object");
            own.extend(more.as_object().cloned().unwrap_or_default());
            data
        };
        let kind = EventKind::ServiceStarting;
        let begun = tracker.event(&event(0, kind, data(json!({}))));
        assert_eq!(begun.expect("a change").to, "starting");
        let away = json!({"unreachable": "no engine"});
        let waits = tracker.event(&event(1, kind, data(away.clone())));
        let waits = waits.expect("a change");
        assert_eq!(
            (waits.to.as_str(), waits.detail.as_deref()),
            ("waiting", Some("no engine"))
        );
        assert_eq!(tracker.event(&event(2, kind, data(away))), None);
    }

    #[test]
    fn what_rests_and_rests_is_no_change_and_an_end_before_a_restart_is_told() {
        let mut tracker = Tracker::new(None);
        let data = |state| json!({"service_name": "api", "state": state, "exit_code": 3});
        assert_eq!(
            tracker.event(&event(0, EventKind::ServiceStopped, data("idle"))),
            None
        );
        tracker.event(&event(1, EventKind::ServiceStarted, data("settling")));
        let restarts = tracker.event(&event(2, EventKind::ServiceRestarting, data("idle")));
        let restarts = restarts.expect("it ended");
        assert_eq!(
            (restarts.from.as_str(), restarts.detail.as_deref()),
            ("settling", Some("exit code 3"))
        );
    }

    #[test]
    fn each_change_is_one_line_and_is_told_once() {
        let data = |unit, state| json!({"service_name": unit, "state": state, "address": "127.0.0.1:80", "exit_code": 3});
        let events = [
            event(0, EventKind::ServiceStarting, data("api", "starting")),
            event(400, EventKind::ServiceStarted, data("api", "ready")),
            event(400, EventKind::ServiceReady, data("api", "ready")),
            event(900, EventKind::TaskStarting, data("seed-data", "starting")),
            event(700, EventKind::TaskFailed, data("seed-data", "failed")),
        ];
        let mut tracker = Tracker::new(None);
        let told: Vec<Transition> = events
            .iter()
            .filter_map(|event| tracker.event(event))
            .collect();
        let text: String = told
            .iter()
            .map(|told| transition_line(&Look::plain(), tracker.width(), told))
            .collect();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_status_fills_in_what_no_event_told() {
        let status = sample::stack();
        let units: Vec<&UnitStatus> = status.items.iter().collect();
        let mut tracker = Tracker::new(Some(&status));
        assert_eq!(tracker.status(&units, sample::now()), []);
        let mut changed = status.clone();
        changed.items[1].state = "stopping".to_owned();
        let units: Vec<&UnitStatus> = changed.items.iter().collect();
        let told = tracker.status(&units, sample::now());
        assert_eq!(
            (told.len(), told[0].from.as_str(), told[0].to.as_str()),
            (1, "ready", "stopping")
        );
    }
}
