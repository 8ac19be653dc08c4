//! The engine's words for a definition.

use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::container::{ContainerPort, Environment, HealthTest, LogConfig, Protocol, Ulimit};

#[test]
fn what_is_at_its_default_is_left_to_the_image_and_the_engine() {
    let config = ContainerConfig {
        image: "busybox".to_owned(),
        ..ContainerConfig::default()
    };
    assert_eq!(
        creation(&config),
        json!({
            "Image": "busybox",
            "Labels": {},
            "HostConfig": { "RestartPolicy": { "Name": "no" }, "NetworkMode": "default" },
        })
    );
}

#[test]
fn ports_are_exposed_and_published() {
    let udp = ContainerPort {
        port: 53,
        protocol: Protocol::Udp,
    };
    let published = |container, host_ip, host_port| PublishedPort {
        container,
        host_ip,
        host_port,
    };
    let config = ContainerConfig {
        exposed_ports: vec![ContainerPort::tcp(9)],
        published_ports: vec![
            published(
                ContainerPort::tcp(80),
                Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                Some(8080),
            ),
            published(ContainerPort::tcp(80), None, None),
            published(udp, None, Some(5353)),
        ],
        ..ContainerConfig::default()
    };
    let body = creation(&config);
    assert_eq!(
        body["ExposedPorts"],
        json!({ "9/tcp": {}, "80/tcp": {}, "53/udp": {} })
    );
    assert_eq!(
        body["HostConfig"]["PortBindings"],
        json!({
            "80/tcp": [
                { "HostIp": "127.0.0.1", "HostPort": "8080" },
                { "HostIp": "", "HostPort": "" },
            ],
            "53/udp": [{ "HostIp": "", "HostPort": "5353" }],
        })
    );
}

#[test]
fn mounts_take_the_older_form_only_where_the_newer_cannot_say_it() {
    let mount = |source, read_only| Mount {
        source,
        target: "/in".to_owned(),
        read_only,
    };
    let created = MountSource::Bind {
        path: "/made".to_owned(),
        create: true,
        relabel: Some(Relabel::Private),
        propagation: None,
    };
    let config = ContainerConfig {
        mounts: vec![
            mount(MountSource::bind("/there"), true),
            mount(created, true),
            mount(MountSource::volume("data"), false),
            mount(
                MountSource::Tmpfs {
                    size_bytes: Some(1024),
                    mode: Some(0o700),
                    options: Vec::new(),
                },
                false,
            ),
            mount(
                MountSource::Tmpfs {
                    size_bytes: Some(1024),
                    mode: Some(0o700),
                    options: vec!["noexec".to_owned()],
                },
                true,
            ),
        ],
        ..ContainerConfig::default()
    };
    let host = &creation(&config)["HostConfig"];
    assert_eq!(host["Binds"], json!(["/made:/in:ro,Z"]));
    assert_eq!(
        host["Tmpfs"],
        json!({ "/in": "noexec,size=1024,mode=700,ro" })
    );
    assert_eq!(
        host["Mounts"],
        json!([
            { "Target": "/in", "ReadOnly": true, "Type": "bind", "Source": "/there" },
            { "Target": "/in", "Type": "volume", "Source": "data" },
            { "Target": "/in", "Type": "tmpfs", "TmpfsOptions": { "SizeBytes": 1024, "Mode": 0o700 } },
        ])
    );
}

#[test]
fn the_first_network_comes_with_the_definition() {
    let attachment = |network: &str| NetworkAttachment {
        network: network.to_owned(),
        aliases: vec!["db".to_owned()],
        ipv4: Some(Ipv4Addr::new(172, 30, 0, 9)),
        ipv6: None,
    };
    let config = ContainerConfig {
        network: NetworkMode::Networks(vec![attachment("front"), attachment("back")]),
        ..ContainerConfig::default()
    };
    let body = creation(&config);
    assert_eq!(body["HostConfig"]["NetworkMode"], "front");
    assert_eq!(
        body["NetworkingConfig"],
        json!({ "EndpointsConfig": {
            "front": { "Aliases": ["db"], "IPAMConfig": { "IPv4Address": "172.30.0.9" } },
        } })
    );
}

#[test]
fn limits_checks_and_times_have_the_engines_units() {
    let config = ContainerConfig {
        entrypoint: Some(vec![]),
        stop_timeout: Some(Duration::from_millis(1500)),
        healthcheck: Some(HealthCheck {
            test: HealthTest::Shell("true".to_owned()),
            interval: Some(Duration::from_millis(500)),
            timeout: None,
            start_period: None,
            retries: Some(2),
        }),
        resources: Resources {
            cpus: Some(0.5),
            memory_bytes: Some(1 << 20),
            ulimits: vec![Ulimit {
                name: "nofile".to_owned(),
                soft: 10,
                hard: 20,
            }],
            ..Resources::default()
        },
        extra_hosts: vec![("host".to_owned(), None)],
        log: Some(LogConfig {
            driver: "json-file".to_owned(),
            options: [("max-size".to_owned(), "1m".to_owned())].into(),
        }),
        ..ContainerConfig::default()
    };
    let body = creation(&config);
    assert_eq!(body["Entrypoint"], json!([""]));
    assert_eq!(body["StopTimeout"], 2);
    assert_eq!(
        body["Healthcheck"],
        json!({ "Test": ["CMD-SHELL", "true"], "Interval": 500_000_000, "Retries": 2 })
    );
    let host = &body["HostConfig"];
    assert_eq!(host["NanoCpus"], 500_000_000);
    assert_eq!(
        host["Ulimits"],
        json!([{ "Name": "nofile", "Soft": 10, "Hard": 20 }])
    );
    assert_eq!(host["ExtraHosts"], json!(["host:host-gateway"]));
    assert_eq!(host["LogConfig"]["Config"]["max-size"], "1m");
}

#[test]
fn values_of_variables_are_sent_and_shown_nowhere() {
    let environment: Environment = [("PASSWORD", "geheim")].into_iter().collect();
    assert_eq!(environment.lines(), ["PASSWORD=geheim"]);
    assert_eq!(
        environment.redact("bad: PASSWORD=geheim".to_owned()),
        "bad: PASSWORD=***"
    );
    let config = ContainerConfig {
        environment,
        ..ContainerConfig::default()
    };
    assert!(!format!("{config:?}").contains("geheim"), "{config:?}");
}
