//! Events, one per line.
//!
//! Owns: which details of an event people see. Programs see all, as the daemon tells them.

use harness_core::report::Event;
use serde::Serialize;
use serde_json::Value;

use super::escape::escaped;
use super::look::{Look, Span};

/// An event for people.
pub(crate) fn event_line(look: &Look, event: &Event) -> String {
    let data = &event.event_data;
    let unit = data.get("service_name").and_then(Value::as_str);
    let subject = unit
        .or(event.stack.as_ref().map(|stack| stack.as_str()))
        .unwrap_or("daemon");
    let kind = event.event_type.name();
    let span = match kind.as_str() {
        kind if ["failed", "crash_loop", "lost", "unhealthy"]
            .iter()
            .any(|bad| kind.ends_with(bad)) =>
        {
            Span::Bad
        }
        kind if ["ready", "healthy", "completed"]
            .iter()
            .any(|good| kind.ends_with(good)) =>
        {
            Span::Good
        }
        _ => Span::Strong,
    };
    let details = DETAILS
        .iter()
        .filter(|key| **key != "restarts" || data.get("restarts") != Some(&Value::from(0)))
        .filter_map(|key| Some((key, data.get(*key).and_then(short)?)));
    let details: String = details
        .map(|(key, value)| format!("  {key}={value}"))
        .collect();
    let details = details + &changed(data).unwrap_or_default();
    format!(
        "{} {}  {}{}\n",
        look.paint(Span::Dim, &look.date(event.timestamp)),
        subject,
        look.paint(span, &kind),
        escaped(details.as_bytes())
    )
}

/// In what definitions changed: `changed=api(env.A,image)`.
fn changed(data: &Value) -> Option<String> {
    let of_unit = |(unit, names): (&String, &Value)| {
        let names = names.as_array()?.iter().filter_map(Value::as_str);
        Some(format!("{unit}({})", names.collect::<Vec<_>>().join(",")))
    };
    let units = data.get("changed")?.as_object()?.iter();
    let units: Vec<String> = units.filter_map(of_unit).collect();
    Some(format!("  changed={}", units.join(",")))
}

/// Anything as a line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("names, numbers and texts always serialise");
    line.push('\n');
    line
}

fn short(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.contains(' ') => Some(format!("{text:?}")),
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The details that people see, in this order.
const DETAILS: [&str; 10] = [
    "pid",
    "address",
    "exit_code",
    "signal",
    "restarts",
    "delay_ms",
    "cause",
    "health_status",
    "health_reason",
    "reason",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;
    use harness_core::report::EventKind;
    use serde_json::json;

    #[test]
    fn a_changed_definition_says_in_what() {
        let data = json!({"changed": {"api": ["env.A", "image"], "db": ["image"]}});
        let said = changed(&data).expect("it changed");
        assert_eq!(said, "  changed=api(env.A,image),db(image)");
        assert_eq!(changed(&json!({"units": ["api"]})), None);
    }

    #[test]
    fn an_event_is_one_line() {
        let event = |kind, data| Event {
            schema_version: 1,
            seq: 7,
            timestamp: sample::now(),
            event_type: kind,
            source: "harness".to_owned(),
            stack: harness_core::spec::StackName::new("webapp").ok(),
            event_data: data,
        };
        let ready = json!({"service_name": "api", "pid": 42, "address": "127.0.0.1:80", "dependencies": ["db"]});
        let failed = json!({"service_name": "api", "exit_code": 1, "reason": "no\u{1b}[2J luck", "signal": null});
        let lines = [
            event(EventKind::ServiceReady, ready),
            event(EventKind::ServiceFailed, failed),
            event(EventKind::StackDefined, json!({})),
        ];
        let text: String = lines
            .iter()
            .map(|event| event_line(&Look::plain(), event))
            .collect();
        insta::assert_snapshot!(text);
    }
}
