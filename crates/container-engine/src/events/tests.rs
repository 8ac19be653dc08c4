//! Events as engines write them.

use super::*;

fn event(line: &str) -> EngineEvent {
    parse(line.as_bytes()).unwrap_or_else(|reason| panic!("{reason}: {line}"))
}

fn container(action: &str, attributes: &str) -> ContainerAction {
    let line = format!(
        r#"{{"status":"{action}","id":"0a","from":"busybox","Type":"container","Action":"{action}","Actor":{{"ID":"0a","Attributes":{attributes}}},"scope":"local","time":1795242085,"timeNano":1795242085000000007}}"#
    );
    let event = event(&line);
    assert_eq!(
        (event.id.as_str(), event.time_ns),
        ("0a", 1_795_242_085_000_000_007)
    );
    match event.kind {
        EventKind::Container(action) => action,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_happens_to_containers_is_told_apart() {
    assert_eq!(container("start", "{}"), ContainerAction::Start);
    assert_eq!(
        container("die", r#"{"exitCode":"137","image":"busybox"}"#),
        ContainerAction::Die {
            exit_code: Some(137)
        }
    );
    assert_eq!(container("oom", "null"), ContainerAction::Oom);
    assert_eq!(
        container("health_status: unhealthy", "{}"),
        ContainerAction::Health(HealthStatus::Unhealthy)
    );
    assert_eq!(
        container("rename", r#"{"name":"b","oldName":"/a"}"#),
        ContainerAction::Rename {
            old: "a".to_owned(),
            new: "b".to_owned()
        }
    );
    assert_eq!(
        container("kill", r#"{"signal":"15"}"#),
        ContainerAction::Kill {
            signal: "15".to_owned()
        }
    );
    assert_eq!(
        container("exec_create: sh -c true", "{}"),
        ContainerAction::Other("exec_create: sh -c true".to_owned())
    );
    assert_eq!(
        container("health_status: odd", "{}"),
        ContainerAction::Other("health_status: odd".to_owned())
    );
}

#[test]
fn podman_has_words_of_its_own() {
    assert_eq!(
        container("died", r#"{"containerExitCode":"3"}"#),
        ContainerAction::Die { exit_code: Some(3) }
    );
    assert_eq!(
        container("health_status", r#"{"health_status":"healthy"}"#),
        ContainerAction::Health(HealthStatus::Healthy)
    );
    assert_eq!(container("remove", "{}"), ContainerAction::Destroy);
}

#[test]
fn networks_and_everything_else_are_kept() {
    let connected = event(
        r#"{"Type":"network","Action":"connect","Actor":{"ID":"n1","Attributes":{"container":"0a","name":"front"}},"time":5}"#,
    );
    assert_eq!(
        connected.kind,
        EventKind::Network(NetworkAction::Connect {
            container: "0a".to_owned()
        })
    );
    assert_eq!(connected.time_ns, 5_000_000_000);
    let other = event(r#"{"Type":"image","Action":"untag","Actor":{"ID":"i"}}"#);
    assert!(matches!(other.kind, EventKind::Other { .. }));
}

#[test]
fn lines_are_put_together_and_one_that_never_ends_is_refused() {
    let mut lines = Lines::default();
    for piece in [
        "{\"Type\":\"da",
        "emon\"}\n\n{\"Type\":",
        "\"image\"}\r\nnot json\n",
    ] {
        lines.buffer.extend_from_slice(piece.as_bytes());
    }
    assert!(matches!(lines.take(), Some(Ok(_))));
    assert!(matches!(lines.take(), Some(Ok(_))));
    assert!(matches!(lines.take(), Some(Err(_))));
    assert!(lines.take().is_none());
    lines
        .buffer
        .extend_from_slice(&vec![b' '; MAX_EVENT_BYTES + 1]);
    assert!(matches!(lines.take(), Some(Err(_))));
}
