//! What of an order becomes what of a container, field by field.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use container_engine::{ContainerId, EngineError};
use service_shim::LogTotal;

use super::super::identity::{container_name, labels};
use super::super::launch::{is_about_user, refused};
use super::super::pump::Output;
use super::*;
use crate::executors::{CheckOrder, PortOrder};
use crate::spec::{
    Build, Limits, Log, Pull, Security, StackName, Stop, TargetSpec, Ulimit as UlimitSpec, UnitId,
    UnitName, VolumeSpec,
};

fn unit() -> UnitId {
    let stack = StackName::new("shop").expect("a legal name");
    UnitId::single(stack, UnitName::new("db").expect("a legal name"))
}

fn order(target: ContainerTarget, own: ContainerOrder) -> LaunchOrder {
    LaunchOrder {
        unit: unit(),
        attempt: 3,
        instance_id: "0123456789ab".into(),
        target: TargetSpec::Docker(Box::new(target)),
        command: Vec::new(),
        container: Some(Box::new(own)),
        env: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
        working_dir: "/stack".into(),
        log: Log {
            max_size: 1234,
            max_files: 0,
            ..Log::default()
        },
        log_dir: "/log".into(),
        log_totals: Vec::<LogTotal>::new(),
        stop: Stop {
            signal: 2,
            grace: Duration::from_secs(7),
            ..Stop::default()
        },
        notify: false,
        input: None,
    }
}

fn made(target: ContainerTarget, own: ContainerOrder) -> ContainerConfig {
    let order = order(target, own);
    let TargetSpec::Docker(target) = &order.target else {
        unreachable!("a container")
    };
    let own = order.container.as_deref().expect("a container");
    config(
        &order,
        target,
        own,
        BTreeMap::new(),
        &Environment::default(),
    )
    .expect("it can be made")
}

#[test]
fn nothing_on_another_host_is_relative_to_the_stack() {
    let mounted = |host: Option<&str>, source: &str| {
        let mount = crate::spec::Mount::parse(&format!("{source}:/data")).expect("a mount");
        let target = ContainerTarget {
            host: host.map(str::to_owned),
            mounts: vec![mount],
            ..ContainerTarget::default()
        };
        let order = order(target.clone(), ContainerOrder::default());
        let own = ContainerOrder::default();
        let said = Environment::default();
        let made = config(&order, &target, &own, BTreeMap::new(), &said);
        made.map(drop).map_err(|error| error.0.to_string())
    };
    assert_eq!(mounted(None, "./data"), Ok(()));
    assert_eq!(mounted(Some("build"), "/srv/data"), Ok(()));
    assert_eq!(
        mounted(Some("build"), "./data"),
        Err("`./data` is mounted from build: give its path there, from `/` on".to_owned())
    );
}

#[test]
fn what_the_image_says_goes_before_what_nobody_asked_for() {
    let said = Environment::from_iter([("DB_HOST", "image"), ("A", "image"), ("PATH", "/bin")]);
    let own = ContainerOrder {
        told: ["DB_HOST", "DB_PORT"].map(str::to_owned).into(),
        ..ContainerOrder::default()
    };
    let mut order = order(ContainerTarget::default(), own);
    let told = [("DB_HOST", "172.18.0.2"), ("DB_PORT", "5432")];
    let told = told.map(|(name, value)| (name.to_owned(), value.to_owned()));
    order.env.extend(told);
    let own = order.container.clone().expect("a container");
    let expected = [("A", "1"), ("DB_PORT", "5432")];
    let made = environment(&order, &own, &said);
    assert_eq!(made.iter().collect::<Vec<_>>(), expected);
    // Nothing of the image's own is in the way of what is told.
    let made = environment(&order, &own, &Environment::default());
    assert!(
        made.iter()
            .any(|variable| variable == ("DB_HOST", "172.18.0.2"))
    );
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn what_is_not_said_is_left_to_the_image_and_the_engine() {
    let config = made(ContainerTarget::default(), ContainerOrder::default());
    let expected = ContainerConfig {
        image: "shop-db".into(),
        environment: Environment::from_iter([("A", "1")]),
        network: NetworkMode::Networks(vec![NetworkAttachment {
            network: "shop_default".into(),
            aliases: words(&["db"]),
            ..NetworkAttachment::default()
        }]),
        stop_signal: Some("2".into()),
        stop_timeout: Some(Duration::from_secs(7)),
        log: Some(LogConfig {
            driver: "json-file".into(),
            options: [("max-size", "1234"), ("max-file", "1")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        }),
        ..ContainerConfig::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn everything_that_is_said_becomes_part_of_the_container() {
    // Field by field, so that a new one is not forgotten here.
    let target = ContainerTarget {
        host: None,
        image: None,
        build: Some(Build::default()),
        pull: Pull::Never,
        command: None,
        entrypoint: None,
        mounts: vec![],
        user: Some("nobody".into()),
        network: Some("backbone".into()),
        aliases: words(&["database"]),
        working_dir: None,
        container_name: Some("the-db".into()),
        hostname: Some("db.local".into()),
        extra_hosts: vec![
            ("far".into(), "10.0.0.9".into()),
            ("host".into(), "host-gateway".into()),
        ],
        limits: Limits {
            memory: Some(1 << 20),
            millicpus: Some(1500),
            pids: Some(40),
            ulimits: BTreeMap::from([("nofile".into(), UlimitSpec { soft: 1, hard: 2 })]),
        },
        security: Security {
            privileged: true,
            cap_add: words(&["NET_ADMIN"]),
            cap_drop: words(&["ALL"]),
            options: words(&["no-new-privileges"]),
            read_only: true,
            sysctls: BTreeMap::from([("net.core.somaxconn".into(), "9".into())]),
            devices: words(&["/dev/fuse", "/dev/a:/dev/b:r"]),
            groups: words(&["audio"]),
        },
        init: true,
        tty: true,
        image_signal: true,
        no_check: false,
        shm_size: Some(64),
    };
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 15432));
    let own = ContainerOrder {
        files: Vec::new(),
        image: Some("postgres:14".into()),
        command: Some(words(&["-c", "x=1"])),
        entrypoint: Some(words(&["/run"])),
        working_dir: Some("/data".into()),
        ports: vec![
            PortOrder {
                inside: 5432,
                protocol: Protocol::Tcp,
                published: Some(at),
            },
            PortOrder {
                inside: 53,
                protocol: Protocol::Udp,
                published: None,
            },
        ],
        hosts: vec![("api".into(), IpAddr::V4(Ipv4Addr::new(172, 18, 0, 1)))],
        forwards: vec![],
        volumes: BTreeMap::new(),
        labels: BTreeMap::new(),
        hash: "abc".into(),
        keep: false,
        check: CheckOrder::IfAny,
        told: BTreeSet::new(),
    };
    let port = |port, protocol| ContainerPort { port, protocol };
    let tcp = port(5432, container_engine::Protocol::Tcp);
    let device = |host: &str, inside: &str, permissions: &str| Device {
        host_path: host.into(),
        container_path: inside.into(),
        permissions: permissions.into(),
    };
    let ip = |a, b, c, d| Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d)));
    let config = made(target, own);
    let expected = ContainerConfig {
        image: "postgres:14".into(),
        command: Some(words(&["-c", "x=1"])),
        entrypoint: Some(words(&["/run"])),
        user: Some("nobody".into()),
        group_add: words(&["audio"]),
        working_dir: Some("/data".into()),
        hostname: Some("db.local".into()),
        exposed_ports: vec![tcp, port(53, container_engine::Protocol::Udp)],
        published_ports: vec![PublishedPort {
            container: tcp,
            host_ip: Some(at.ip()),
            host_port: Some(15432),
        }],
        network: NetworkMode::Networks(vec![NetworkAttachment {
            network: "backbone".into(),
            aliases: words(&["db", "database"]),
            ..NetworkAttachment::default()
        }]),
        extra_hosts: vec![
            ("api".into(), ip(172, 18, 0, 1)),
            ("far".into(), ip(10, 0, 0, 9)),
            ("host".into(), None),
        ],
        resources: Resources {
            memory_bytes: Some(1 << 20),
            cpus: Some(1.5),
            pids: Some(40),
            ulimits: vec![Ulimit {
                name: "nofile".into(),
                soft: 1,
                hard: 2,
            }],
            ..Resources::default()
        },
        cap_add: words(&["NET_ADMIN"]),
        cap_drop: words(&["ALL"]),
        privileged: true,
        security_opt: words(&["no-new-privileges"]),
        sysctls: BTreeMap::from([("net.core.somaxconn".into(), "9".into())]),
        devices: vec![
            device("/dev/fuse", "/dev/fuse", "rwm"),
            device("/dev/a", "/dev/b", "r"),
        ],
        init: true,
        read_only: true,
        shm_size_bytes: Some(64),
        stop_signal: None,
        tty: true,
        ..made(ContainerTarget::default(), ContainerOrder::default())
    };
    assert_eq!(config, expected);
}

#[test]
fn mounts_are_what_the_stack_means_by_them() {
    let volume = |engine_name: Option<&str>, external| VolumeSpec {
        engine_name: engine_name.map(str::to_owned),
        external,
        ..VolumeSpec::default()
    };
    let own = ContainerOrder {
        volumes: BTreeMap::from([
            ("named".into(), volume(Some("elsewhere"), false)),
            ("theirs".into(), volume(None, true)),
        ]),
        ..ContainerOrder::default()
    };
    let short = [
        "./a/../b:/b:ro",
        "/c:/c:rslave",
        "data:/data",
        "named:/named",
        "theirs:/theirs",
        "/anonymous",
    ];
    let mut mounts: Vec<crate::spec::Mount> = short
        .iter()
        .map(|text| crate::spec::Mount::parse(text).expect("a short form"))
        .collect();
    mounts.push(crate::spec::Mount {
        kind: MountKind::Tmpfs {
            size: Some(5),
            mode: Some(0o700),
            options: words(&["noexec"]),
        },
        target: "/t".into(),
        read_only: false,
    });
    let target = ContainerTarget {
        mounts,
        ..ContainerTarget::default()
    };
    let bind = |path: &str, propagation: Option<&str>| MountSource::Bind {
        path: path.into(),
        create: true,
        relabel: None,
        propagation: propagation.map(str::to_owned),
    };
    let expected = [
        (bind("/stack/b", None), "/b", true),
        (bind("/c", Some("rslave")), "/c", false),
        (MountSource::volume("shop_data"), "/data", false),
        (MountSource::volume("elsewhere"), "/named", false),
        (MountSource::volume("theirs"), "/theirs", false),
        (
            MountSource::Volume {
                name: None,
                no_copy: false,
                driver: None,
                options: BTreeMap::new(),
            },
            "/anonymous",
            false,
        ),
        (
            MountSource::Tmpfs {
                size_bytes: Some(5),
                mode: Some(0o700),
                options: words(&["noexec"]),
            },
            "/t",
            false,
        ),
    ];
    let expected = expected.map(|(source, target, read_only)| Mount {
        source,
        target: target.into(),
        read_only,
    });
    assert_eq!(made(target, own).mounts, expected);
}

#[test]
fn the_networks_of_the_engine_itself_go_by_their_own_names() {
    let network = |name: &str| {
        let target = ContainerTarget {
            network: Some(name.into()),
            ..ContainerTarget::default()
        };
        made(target, ContainerOrder::default()).network
    };
    assert_eq!(network("host"), NetworkMode::Host);
    assert_eq!(network("none"), NetworkMode::None);
    assert_eq!(network("bridge"), NetworkMode::EngineDefault);
}

#[test]
fn what_is_no_address_and_no_device_is_refused() {
    let refused = |target: ContainerTarget| {
        let order = order(target.clone(), ContainerOrder::default());
        config(
            &order,
            &target,
            &ContainerOrder::default(),
            BTreeMap::new(),
            &Environment::default(),
        )
        .is_err()
    };
    assert!(refused(ContainerTarget {
        extra_hosts: vec![("far".into(), "away".into())],
        ..ContainerTarget::default()
    }));
    assert!(refused(ContainerTarget {
        security: Security {
            devices: words(&["fuse"]),
            ..Security::default()
        },
        ..ContainerTarget::default()
    }));
}

#[test]
fn a_container_is_labelled_as_ours_and_as_those_of_compose() {
    let own = ContainerOrder {
        labels: BTreeMap::from([
            ("team".to_owned(), "blue".to_owned()),
            ("org.harness.stack".to_owned(), "another".to_owned()),
        ]),
        hash: "abc".into(),
        ..ContainerOrder::default()
    };
    let mut order = order(ContainerTarget::default(), own);
    let all = labels("home-1", &order);
    let expected = [
        ("com.docker.compose.config-hash", "abc"),
        ("com.docker.compose.container-number", "1"),
        ("com.docker.compose.oneoff", "False"),
        ("com.docker.compose.project", "shop"),
        ("com.docker.compose.service", "db"),
        ("org.harness.attempt", "3"),
        ("org.harness.hash", "abc"),
        ("org.harness.home", "home-1"),
        ("org.harness.instance", "0123456789ab"),
        ("org.harness.replica", "0"),
        ("org.harness.service", "db"),
        ("org.harness.stack", "shop"),
        ("team", "blue"),
    ];
    let own: Vec<_> = all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(own, expected, "no label of a file hides one of ours");
    order.container.as_mut().expect("a container").keep = true;
    let kept = labels("home-1", &order);
    order.attempt += 1;
    order.instance_id = "ba9876543210".into();
    assert_eq!(kept, labels("home-1", &order), "nothing tells of a run");
    assert_eq!(kept.len(), all.len() - 4);
}

#[test]
fn where_its_output_goes_is_read_back_from_its_label() {
    let order = order(ContainerTarget::default(), ContainerOrder::default());
    let labels = BTreeMap::from([Output::new(&order).label()]);
    let read = Output::of(&labels, 3).expect("the label is there");
    assert_eq!(format!("{read:?}"), format!("{:?}", Output::new(&order)));
    assert!(Output::of(&BTreeMap::new(), 3).is_none());
}

#[test]
fn names_are_made_from_stack_unit_and_replica() {
    let replica = UnitId {
        replica: 2,
        ..unit()
    };
    assert_eq!(container_name(&unit()), "shop-db-1");
    assert_eq!(container_name(&replica), "shop-db-2");
    assert_eq!(network_name("shop"), "shop_default");
    assert_eq!(image::name(Some("a:b"), &unit()), "a:b");
    assert_eq!(image::name(None, &unit()), "shop-db");
}

#[test]
fn a_refusal_says_what_was_to_be_run_and_as_whom() {
    let own = ContainerOrder {
        entrypoint: Some(words(&["/run", "x"])),
        ..ContainerOrder::default()
    };
    let order = order(ContainerTarget::default(), own);
    let object = container_engine::Object::Container(ContainerId::new("c"));
    let missing = EngineError::NotRunnable {
        object: object.clone(),
        message: "no such file".into(),
    };
    let text = |error| crate::error_chain(&refused(&order, error));
    assert!(text(missing).starts_with("cannot run `/run`"));
    let image = EngineError::NoSuchImage { image: "x".into() };
    assert!(text(image).starts_with("cannot run `db`"));
    assert!(is_about_user(
        "unable to find user x: no matching entries in passwd file"
    ));
    assert!(!is_about_user("no space left on device"));
}
