//! The registry: a table of what is listed, a line for each change.
//!
//! Owns: what stands in them and in which order. What others have registered is not trusted with the terminal.

use harness_core::protocol::{
    Health, RegistryEndpoint, RegistryEntry, RegistryEvent, SnapshotReason, UnregisterReason,
};
use harness_core::report::PlaceKind;

use super::escape::escaped;
use super::look::{Look, Span};
use super::table::{Cell, Column, NOTHING, column, table};

/// What is listed.
pub(crate) fn registry_table(look: &Look, entries: &[RegistryEntry]) -> String {
    let rows: Vec<Vec<Cell>> = entries.iter().map(row).collect();
    let lines = table(look, &HEAD, &rows);
    lines.into_iter().map(|line| line + "\n").collect()
}

/// A change, or the lines of how things stand.
pub(crate) fn registry_line(look: &Look, event: &RegistryEvent) -> String {
    let change = |sign: &str, span, text: &str| format!("{} {text}\n", look.paint(span, sign));
    match event {
        RegistryEvent::Snapshot {
            reason, entries, ..
        } => {
            let mut text = match reason {
                SnapshotReason::First => String::new(),
                SnapshotReason::Gap => {
                    let text = "changes were missed; this is how things stand";
                    format!("{}\n", look.paint(Span::Dim, text))
                }
            };
            for entry in entries {
                text += &change("=", Span::Dim, &words(entry));
            }
            text
        }
        RegistryEvent::ServiceRegistered { entry, .. } => change("+", Span::Good, &words(entry)),
        RegistryEvent::ServiceHealthChanged { entry, .. } => {
            change("~", health_span(entry.health), &words(entry))
        }
        RegistryEvent::ServiceUnregistered { name, reason, .. } => {
            let reason = match reason {
                UnregisterReason::Withdrawn => "withdrawn",
                UnregisterReason::Lost => "lost: whoever registered it was not heard of in time",
            };
            change("-", Span::Bad, &format!("{name} {reason}"))
        }
        _ => String::new(),
    }
}

fn words(entry: &RegistryEntry) -> String {
    let owner = entry.owner.as_deref().unwrap_or(HERE);
    let text = format!(
        "{} {} {} ({owner}, run {})",
        entry.name,
        health(entry.health),
        listens(entry),
        entry.incarnation
    );
    escaped(text.as_bytes()).to_string()
}

fn row(entry: &RegistryEntry) -> Vec<Cell> {
    let plain = |text: &str| Cell::new(escaped(text.as_bytes()).to_string());
    let place = match entry.place.kind {
        PlaceKind::Container => format!("a container on {}", entry.place.host),
        PlaceKind::Host | PlaceKind::Other => entry.place.host.clone(),
    };
    vec![
        Cell::painted(entry.name.to_string(), Span::Strong),
        Cell::painted(health(entry.health), health_span(entry.health)),
        plain(&listens(entry)),
        plain(&place),
        plain(entry.owner.as_deref().unwrap_or(HERE)),
        Cell::new(entry.incarnation.to_string()),
    ]
}

/// Where it listens, at its own place.
fn listens(entry: &RegistryEntry) -> String {
    let port = |endpoint: &RegistryEndpoint| match &endpoint.name {
        Some(name) => format!("{name} {}", endpoint.port),
        None => endpoint.port.to_string(),
    };
    let ports: Vec<String> = entry.endpoints.iter().map(port).collect();
    match ports.is_empty() {
        true => entry.ip.to_string(),
        false => format!("{} {}", entry.ip, ports.join(", ")),
    }
}

fn health(health: Health) -> &'static str {
    match health {
        Health::Running => "running",
        Health::Ready => "ready",
        Health::Unhealthy => "unhealthy",
    }
}

fn health_span(health: Health) -> Span {
    match health {
        Health::Ready => Span::Good,
        Health::Running => Span::Dim,
        Health::Unhealthy => Span::Bad,
    }
}

const HEAD: [Column; 6] = [
    column("NAME", 0),
    column("HEALTH", 0),
    column("LISTENS ON", 0),
    column("PLACE", 1),
    column("BY", 2),
    column("RUN", 3),
];

/// Who runs what the daemon runs itself.
const HERE: &str = NOTHING;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> RegistryEntry {
        serde_json::from_str(text).expect("an entry")
    }

    fn entries() -> Vec<RegistryEntry> {
        let local = entry(
            r#"{"name":"shop:api","incarnation":3,"owner":null,"health":"ready","place":{"kind":"host","host":"local","networks":{}},
            "ip":"127.0.0.1","endpoints":[{"name":"http","port":40001,"scheme":"http","published":null}]}"#,
        );
        let remote = RegistryEntry {
            owner: Some("pi\u{1b}[2J".to_owned()),
            health: Health::Unhealthy,
            name: "shop:search/2".parse().expect("a name"),
            ip: [10, 0, 0, 7].into(),
            ..local.clone()
        };
        vec![local, remote]
    }

    #[test]
    fn what_is_listed_has_a_line_each() {
        insta::assert_snapshot!(registry_table(&Look::plain(), &entries()));
    }

    #[test]
    fn changes_have_a_line_each_whatever_they_say() {
        let cursor = "00000000deadbeef.17".parse().expect("a cursor");
        let entries = entries();
        let events = [
            RegistryEvent::Snapshot {
                reason: SnapshotReason::Gap,
                entries: entries.clone(),
                cursor: Some(cursor),
            },
            RegistryEvent::ServiceRegistered {
                cursor,
                entry: entries[0].clone(),
            },
            RegistryEvent::ServiceHealthChanged {
                cursor,
                entry: entries[1].clone(),
            },
            RegistryEvent::ServiceUnregistered {
                cursor,
                name: entries[1].name.clone(),
                incarnation: 3,
                reason: UnregisterReason::Lost,
            },
        ];
        let text: String = events
            .iter()
            .map(|event| registry_line(&Look::plain(), event))
            .collect();
        assert!(!text.contains('\u{1b}'), "{text:?}");
        insta::assert_snapshot!(text);
    }
}
