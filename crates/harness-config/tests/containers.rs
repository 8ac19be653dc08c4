//! What the keys of containers do to the specification.

mod support;

use harness_config::{unsupported, unsupported_with};
use service_orchestration::spec::{
    ContainerTarget, Limits, MountKind, Pull, ServiceSpec, TargetKind, TargetSpec, Ulimit,
};
use support::{lines, load_text};

fn unit(text: &str) -> ServiceSpec {
    let loaded = load_text(text);
    let lines = lines(&loaded);
    let stack = loaded.stack.unwrap_or_else(|| panic!("{text}\n{lines}"));
    stack.units.into_values().next().expect("one unit")
}

/// The container that these keys say.
fn container(rest: &str) -> ContainerTarget {
    let text = format!("volumes: {{data: }}\nservices: {{a: {{type: docker, image: x, {rest}}}}}");
    match unit(&text).target {
        TargetSpec::Docker(container) => *container,
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_of_containers_have_one_meaning_in_every_spelling() {
    let limits = Limits {
        memory: Some(512 << 20),
        millicpus: Some(1500),
        pids: Some(9),
        ulimits: [("nofile".to_owned(), Ulimit { soft: 5, hard: 5 })].into(),
    };
    for rest in [
        "limits: {memory: 512m, cpus: 1.5, pids: 9, ulimits: {nofile: 5}}",
        "mem_limit: 512MiB, cpus: '1.50', pids_limit: 9, ulimits: {nofile: {soft: 5, hard: 5}}",
        "deploy: {resources: {limits: {memory: 512M, cpus: '1.5', pids: 9}}}, ulimits: {nofile: 5}",
    ] {
        assert_eq!(container(rest).limits, limits, "{rest}");
    }
    assert_eq!(container("").limits, Limits::default());
}

#[test]
fn networks_of_the_stack_and_of_the_engine_are_told_apart() {
    let on = |rest: &str| {
        let spec = unit(&format!(
            "services: {{a: {{type: docker, image: x, {rest}}}}}"
        ));
        let TargetSpec::Docker(container) = spec.target else {
            panic!("a container")
        };
        (spec.network, container.network, container.aliases.join(" "))
    };
    let some = |name: &str| Some(name.to_owned());
    for (rest, expected) in [
        ("", (None, None, "")),
        ("network: local", (some("local"), None, "")),
        ("networks: [default]", (None, None, "")),
        (
            "networks: {default: {aliases: [b, c]}}",
            (None, None, "b c"),
        ),
        (
            "networks: {local: {aliases: [b]}}",
            (some("local"), None, "b"),
        ),
        ("network: host", (None, some("host"), "")),
        ("network_mode: other", (None, some("other"), "")),
    ] {
        let (stack, engine, aliases) = on(rest);
        assert_eq!((stack, engine, aliases.as_str()), expected, "{rest}");
    }
    let host = unit("services: {a: {type: docker, image: x, network: host, ports: [80, '81:81']}}");
    assert!(host.ports.iter().all(|port| port.published.is_none()));
}

#[test]
fn a_container_is_on_the_host_that_its_file_names_and_here_otherwise() {
    assert_eq!(container("host: build").host.as_deref(), Some("build"));
    assert_eq!(container("host: local").host, None);
    assert_eq!(container("").host, None);
    let text = "services: {a: {type: docker, image: x, host: build}}";
    let stack = load_text(text).stack.expect("a stack");
    assert_eq!(unsupported(&stack).len(), 0, "nobody says which there are");
    let known = harness_config::Sources::new().hosts(["other".to_owned()]);
    let refused = unsupported_with(&stack, &known);
    assert_eq!(
        refused[0].reason,
        "there is no host `build`: `harness host add build --address ADDRESS` adds it"
    );
}

#[test]
fn what_is_mounted_on_a_host_is_a_path_of_that_host() {
    for (volume, is_fine) in [
        ("/srv/data:/data", true),
        ("data:/data", true),
        ("./data:/data", false),
        ("~/data:/data", false),
        ("../data:/data", false),
    ] {
        let text = format!(
            "volumes: {{data: }}\nservices: {{a: {{type: docker, image: x, host: build, volumes: ['{volume}']}}}}"
        );
        let said = lines(&load_text(&text));
        let refusal = "is a path of this machine, and the container runs on `build`";
        assert_eq!(!said.contains(refusal), is_fine, "{volume}: {said}");
    }
}

#[test]
fn a_container_of_somebody_else_is_on_the_engine_of_the_host_that_is_named() {
    let of = |host: &str| {
        let text = format!("services: {{a: {{type: docker-attach, container: x{host}}}}}");
        let loaded = load_text(&text);
        let stack = loaded.stack.expect("it is right");
        let target = stack.units.into_values().next().expect("one").target;
        let TargetSpec::DockerAttach { container, host } = target else {
            panic!("{target:?}");
        };
        assert_eq!(container, "x");
        host
    };
    assert_eq!(of(", host: build").as_deref(), Some("build"));
    assert_eq!(of(", host: local"), None);
    assert_eq!(of(""), None);
}

#[test]
fn one_port_and_one_name_on_two_machines_are_two() {
    let two = |host: &str| {
        format!(
            "services:\n  a: {{type: docker, image: x, container_name: one, ports: ['80:80']}}\n  \
             b: {{type: docker, image: x, container_name: one, ports: ['80:80'], host: {host}}}\n"
        )
    };
    assert_eq!(lines(&load_text(&two("build"))), "");
    let said = lines(&load_text(&two("local")));
    assert!(
        said.contains("port 80 of this machine") || said.contains("one container name"),
        "{said}"
    );
}

#[test]
fn mounts_and_builds_are_taken_apart() {
    let mounts = container("volumes: [data:/d, {type: tmpfs, target: /m, tmpfs: {size: 1m}}], tmpfs: '/t:mode=700,noexec'").mounts;
    let tmpfs = |size, mode, options: &[&str]| MountKind::Tmpfs {
        size,
        mode,
        options: options.iter().map(ToString::to_string).collect(),
    };
    let kinds: Vec<MountKind> = mounts.into_iter().map(|mount| mount.kind).collect();
    assert_eq!(
        kinds,
        [
            MountKind::Volume {
                name: "data".into()
            },
            tmpfs(Some(1 << 20), None, &[]),
            tmpfs(None, Some(0o700), &["noexec"]),
        ]
    );
    let home = support::sources("services: {a: {type: docker, image: x, volumes: ['~/x:/x']}}");
    let loaded = harness_config::load(&home.variable("HOME", "/home/me"));
    let stack = loaded.stack.expect("it loads");
    let TargetSpec::Docker(container_at_home) = &stack.units["a"].target else {
        panic!("a container")
    };
    assert!(
        matches!(&container_at_home.mounts[0].kind, MountKind::Bind { source, .. } if source == "/home/me/x")
    );
    // A name without a value is passed on from the caller, and left out when the caller has none.
    let build = container("build: {args: [A=1, SET, NONE]}")
        .build
        .expect("a build");
    assert_eq!(build.context, ".");
    let args: Vec<_> = build.args.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(args, ["A=1", "SET=value"]);
    assert_eq!(
        container("build: ./b").build.expect("a build").context,
        "./b"
    );
    assert_eq!(container("pull_policy: if_not_present").pull, Pull::Missing);
    assert_eq!(container("pull: always").pull, Pull::Always);
}

#[test]
fn targets_that_can_be_run_here_are_no_warning() {
    let package = "services: {a: {type: package, host: h, package: x, version: '1'}}";
    let sources = support::sources(package);
    let loaded = harness_config::load(&sources);
    assert_eq!(lines(&loaded).matches("H0301").count(), 1);
    let stack = loaded.stack.expect("it loads");
    assert_eq!(unsupported(&stack).len(), 1);
    let sources = sources.runs(TargetKind::Package);
    assert_eq!(unsupported_with(&stack, &sources), []);
    assert_eq!(lines(&harness_config::load(&sources)), "");
}

#[test]
fn a_package_on_a_host_is_what_a_remote_one_is() {
    let target = |text: &str| {
        let loaded = harness_config::load(&support::sources(text));
        assert_eq!(lines(&loaded), "", "{text}");
        let stack = loaded.stack.expect("it loads");
        let mut units = stack.units.into_values();
        units.next().expect("one").target
    };
    let remote = target("services: {a: {type: remote, host: h, user: u, package: x.tar.gz}}");
    for kind in ["package", "wireguard"] {
        let text =
            format!("services: {{a: {{type: {kind}, host: h, user: u, package: x.tar.gz}}}}");
        assert_eq!(target(&text), remote);
    }
}

#[test]
fn a_host_that_is_not_known_is_told_with_what_to_do() {
    let sources = support::sources("services: {a: {type: remote, host: h, binary: x}}");
    let loaded = harness_config::load(&sources);
    assert_eq!(lines(&loaded), "", "nothing is known of any");
    let stack = loaded.stack.expect("it loads");
    let sources = sources.hosts(["build".to_owned()]);
    let told = lines(&harness_config::load(&sources));
    assert!(told.contains("H0301"), "{told}");
    assert!(
        told.contains("`harness host add h --address ADDRESS`"),
        "{told}"
    );
    assert_eq!(unsupported_with(&stack, &sources).len(), 1);
    let sources = sources.hosts(["h".to_owned()]);
    assert_eq!(unsupported_with(&stack, &sources), []);
}

#[test]
fn a_container_ends_by_its_images_signal_unless_the_file_names_one() {
    for (rest, of_the_image) in [
        ("", true),
        (", stop_grace_period: 5s", true),
        (", stop_signal: SIGTERM", false),
        (", stop: {signal: INT}", false),
    ] {
        let text = format!("services: {{a: {{type: docker, image: x{rest}}}}}");
        let loaded = harness_config::load(&support::sources(&text));
        let stack = loaded.stack.expect("it loads");
        let service_orchestration::spec::TargetSpec::Docker(container) = &stack.units["a"].target
        else {
            panic!("a container")
        };
        assert_eq!(container.image_signal, of_the_image, "{rest}");
    }
}
