//! Answers of engines, read.

use super::*;

fn read(text: &str) -> Container {
    let answer: Answer = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}"));
    answer.into()
}

#[test]
fn a_running_container_is_read() {
    let container = read(
        r#"{"Id":"0a","Created":"2026-11-21T06:21:25.5Z","Path":"sh","Args":["-c","x"],"Name":"/db","Image":"sha256:1","RestartCount":0,
        "State":{"Status":"running","Running":true,"OOMKilled":false,"Pid":42,"ExitCode":0,"Error":"","StartedAt":"2026-11-21T06:21:25.000000001Z","FinishedAt":"0001-01-01T00:00:00Z",
          "Health":{"Status":"unhealthy","FailingStreak":3,"Log":[{"Start":"2026-11-21T07:21:25+01:00","End":"","ExitCode":1,"Output":"refused"}]}},
        "Config":{"Image":"postgres:15","Tty":false,"Labels":null,"Env":["PASSWORD=geheim"],"ExposedPorts":{"5432/tcp":{}}},
        "HostConfig":{"NetworkMode":"front","LogConfig":{"Type":"json-file","Config":{}}},
        "Mounts":[{"Type":"volume","Name":"data","Source":"/var/lib/x","Destination":"/data"},{"Type":"bind","Source":"/etc/y","Destination":"/y"}],
        "NetworkSettings":{"Ports":{"5432/tcp":[{"HostIp":"127.0.0.1","HostPort":"15432"}],"9/udp":null},
          "Networks":{"front":{"NetworkID":"n1","IPAddress":"172.18.0.2","Gateway":"172.18.0.1","Aliases":["db"]}}}}"#,
    );
    assert_eq!(
        (container.name.as_str(), container.state.pid),
        ("db", Some(42))
    );
    assert_eq!(container.state.exit_code, None);
    assert_eq!(container.state.started_ns, Some(1_795_242_085_000_000_001));
    assert_eq!(container.state.finished_ns, None);
    let health = container.state.health.as_ref().expect("it has a check");
    assert_eq!(health.status, HealthStatus::Unhealthy);
    let last = health.last.as_ref().expect("it has run");
    assert_eq!((last.exit_code, last.output.as_str()), (1, "refused"));
    assert_eq!(last.started_ns, Some(1_795_242_085_000_000_000));
    let front = &container.networks["front"];
    assert_eq!(front.ip, "172.18.0.2".parse().ok());
    assert_eq!(front.gateway, "172.18.0.1".parse().ok());
    assert_eq!(container.published_ports.len(), 1);
    assert_eq!(container.published_ports[0].host_port, Some(15432));
    assert_eq!(container.mounts["/data"], "data");
    assert_eq!(container.mounts["/y"], "/etc/y");
    assert_eq!(container.command, ["sh", "-c", "x"]);
    assert!(!format!("{container:?}").contains("geheim"));
}

#[test]
fn an_end_has_a_code_and_no_process() {
    let container = read(
        r#"{"Id":"0a","State":{"Status":"exited","Pid":0,"ExitCode":137,"OOMKilled":true,"Error":"out"},"Config":{},"HostConfig":{},"NetworkSettings":null}"#,
    );
    assert_eq!(container.state.status, ContainerStatus::Exited);
    assert_eq!(
        (container.state.exit_code, container.state.pid),
        (Some(137), None)
    );
    assert!(container.state.is_oom_killed);
    assert_eq!(container.state.error.as_deref(), Some("out"));
    assert_eq!(container.state.health, None);
}

#[test]
fn one_that_was_never_started_has_no_end() {
    let container = read(
        r#"{"Id":"0a","State":{"Status":"created","ExitCode":0,"Health":{"Status":"none"}},"Config":{},"HostConfig":{}}"#,
    );
    assert_eq!(container.state.exit_code, None);
    assert_eq!(container.state.health, None);
    assert!(!container.state.status.is_alive());
}
