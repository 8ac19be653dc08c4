//! The words of engines, as they were seen.

use super::*;
use crate::id::ContainerId;

fn explained(status: u16, message: &str) -> EngineError {
    let about = Object::Container(ContainerId::new("db"));
    let status = StatusCode::from_u16(status).expect("a status");
    explain(&about, status, message.to_owned())
}

#[test]
fn a_name_that_is_taken_tells_by_whom() {
    let error = explained(
        409,
        "Conflict. The container name \"/db\" is already in use by container \"0a1b\". You have to remove (or rename) that container to be able to reuse that name.",
    );
    assert!(
        matches!(&error, EngineError::NameTaken { by: Some(by), .. } if by == "0a1b"),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "the name of container `db` is taken by `0a1b`: remove or rename that, or choose another name"
    );
    let podman = explained(
        409,
        "creating container storage: the container name \"db\" is already in use by 77aa. You have to remove that container to be able to reuse that name: that name is already in use",
    );
    assert!(
        matches!(&podman, EngineError::NameTaken { by: Some(by), .. } if by == "77aa"),
        "{podman:?}"
    );
}

#[test]
fn a_port_that_is_taken_is_named() {
    for message in [
        "driver failed programming external connectivity on endpoint db (0a): Bind for 127.0.0.1:5432 failed: port is already allocated",
        "driver failed programming external connectivity on endpoint db (0a): Error starting userland proxy: listen tcp4 0.0.0.0:5432: bind: address already in use",
        "rootlessport listen tcp 0.0.0.0:5432: bind: address already in use",
        "Error starting userland proxy: listen tcp4 [::1]:5432: bind: address already in use",
    ] {
        let error = explained(500, message);
        assert!(
            matches!(
                error,
                EngineError::PortTaken {
                    port: Some(5432),
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_program_that_cannot_be_run_is_told_by_the_words_of_every_runtime() {
    for message in [
        "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"/plain\": permission denied: unknown",
        "runc: runc create failed: unable to start container process: exec: \"/plain\": permission denied: OCI permission denied",
        "crun: executable file `/no` not found: No such file or directory: OCI runtime attempted to invoke a command that was not found",
    ] {
        let error = explained(500, message);
        assert!(
            matches!(error, EngineError::NotRunnable { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn what_is_missing_is_not_always_what_was_asked_about() {
    assert!(matches!(
        explained(404, "No such image: nowhere:latest"),
        EngineError::NoSuchImage { image } if image == "nowhere:latest"
    ));
    assert!(matches!(
        explained(404, "network front not found"),
        EngineError::NotFound { object: Object::Network(name) } if name == "front"
    ));
    assert!(matches!(
        explained(404, "No such container: db"),
        EngineError::NotFound {
            object: Object::Container(_)
        }
    ));
    assert!(matches!(
        explained(404, ""),
        EngineError::NotFound {
            object: Object::Container(_)
        }
    ));
}

#[test]
fn conflicts_are_told_apart() {
    assert!(matches!(
        explained(
            409,
            "Cannot kill container: db: Container 0a is not running"
        ),
        EngineError::NotRunning { .. }
    ));
    assert!(matches!(
        explained(409, "removal of container 0a is already in progress"),
        EngineError::BeingRemoved { .. }
    ));
    assert!(matches!(
        explained(
            409,
            "can not get logs from container which is dead or marked for removal"
        ),
        EngineError::BeingRemoved { .. }
    ));
    assert!(matches!(
        explained(
            403,
            "error while removing network: network n id 0a has active endpoints"
        ),
        EngineError::InUse { .. }
    ));
    assert!(matches!(
        explained(409, "remove v: volume is in use - [0a]"),
        EngineError::InUse { .. }
    ));
    assert!(matches!(
        explained(409, "Container 0a is paused"),
        EngineError::Conflict { .. }
    ));
    assert!(matches!(
        explained(
            400,
            "OCI runtime create failed: exec: \"nope\": executable file not found in $PATH: unknown"
        ),
        EngineError::NotRunnable { .. }
    ));
    assert!(matches!(
        explained(500, "out of luck"),
        EngineError::Refused { .. }
    ));
}

#[test]
fn messages_are_one_line_of_bounded_length() {
    assert_eq!(message(br#"{"message":"a\nb\u001b[1m c"}"#), "a; b; [1m c");
    assert_eq!(message(b"page not found\n"), "page not found");
    assert_eq!(message(b""), "it says nothing more");
    assert_eq!(message("é".repeat(5000).as_bytes()).chars().count(), 1001);
}

#[test]
fn a_broken_answer_shows_nothing_of_itself() {
    let error = serde_json::from_slice::<u8>(b"{\"Env\":[\"PASSWORD=geheim\"").expect_err("broken");
    assert!(!json_reason(&error).contains("geheim"));
}

#[test]
fn an_engine_that_is_not_there_comes_with_what_to_do() {
    let socket = EngineAddress::Unix("/var/run/docker.sock".into());
    let told = |kind: io::ErrorKind| {
        let path = "/var/run/docker.sock".into();
        let source = io::Error::from(kind);
        hint(&socket, &HttpError::Socket { path, source })
    };
    assert!(told(io::ErrorKind::PermissionDenied).contains("usermod -aG docker"));
    assert!(told(io::ErrorKind::NotFound).contains("start it"));
    assert!(told(io::ErrorKind::ConnectionRefused).contains("nobody listens"));
    assert!(told(io::ErrorKind::BrokenPipe).contains("docker version"));
}
