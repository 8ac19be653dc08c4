//! The keys of a service in a Compose file, and what becomes of each.
//!
//! Owns: the list. A key that the stack file learns later needs no change here where it is spelt alike: what is [`Fate::Same`]
//! goes over as soon as the tables of the stack file know it.

/// What becomes of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// The stack file says it by this key, with the same values.
    Same(&'static str),
    /// The same, of a flag whose `false` says nothing.
    Flag(&'static str),
    /// It becomes something else.
    Turned(Rule),
    /// It was used before a service is looked at, or is about a moment that has passed.
    Used,
}

/// How a key is turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Build,
    Command,
    Configs,
    DependsOn,
    Deploy,
    EnvFile,
    Environment,
    Expose,
    HealthCheck,
    Labels,
    Limit(&'static str),
    Links,
    Logging,
    NetworkMode,
    Networks,
    Ports,
    Pull,
    Restart,
    Scale,
    Secrets,
    StopGrace,
    StopSignal,
    Tmpfs,
    Volumes,
    VolumesFrom,
}

/// A key of Compose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) fate: Fate,
    /// What it means that it is not carried over.
    pub(super) means: &'static str,
    /// What can be done about it.
    pub(super) instead: &'static str,
}

/// The key of this name.
pub(super) fn of(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Every name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

const fn kept(name: &'static str, fate: Fate) -> Key {
    Key {
        name,
        fate,
        means: "the stack file cannot say it",
        instead: "start this container yourself and attach to it: `type: docker-attach`",
    }
}

const fn lost(name: &'static str, means: &'static str, instead: &'static str) -> Key {
    Key {
        name,
        fate: Fate::Same(name),
        means,
        instead,
    }
}

const fn flag(name: &'static str, means: &'static str, instead: &'static str) -> Key {
    Key {
        name,
        fate: Fate::Flag(name),
        means,
        instead,
    }
}

const fn limit(name: &'static str, as_limit: &'static str) -> Key {
    Key {
        name,
        fate: Fate::Turned(Rule::Limit(as_limit)),
        means: "the container may take as much as the machine has",
        instead: "set a limit for all containers of the machine in its engine",
    }
}

const ATTACH: &str = "where the program needs it, start this container yourself and attach to it: `type: docker-attach`";
const IN_IMAGE: &str = "put it into the image, or have its entry point do it";
const NOTHING: &str = "nothing is to be done unless the program needs it";

static KEYS: &[Key] = &[
    kept("image", Fate::Same("image")),
    kept("build", Fate::Turned(Rule::Build)),
    kept("command", Fate::Turned(Rule::Command)),
    kept("entrypoint", Fate::Turned(Rule::Command)),
    kept("environment", Fate::Turned(Rule::Environment)),
    kept("env_file", Fate::Turned(Rule::EnvFile)),
    kept("ports", Fate::Turned(Rule::Ports)),
    Key {
        name: "expose",
        fate: Fate::Turned(Rule::Expose),
        means: "it only tells: the containers of a stack reach each other at every port",
        instead: NOTHING,
    },
    kept("volumes", Fate::Turned(Rule::Volumes)),
    kept("tmpfs", Fate::Turned(Rule::Tmpfs)),
    kept("depends_on", Fate::Turned(Rule::DependsOn)),
    kept("links", Fate::Turned(Rule::Links)),
    kept("healthcheck", Fate::Turned(Rule::HealthCheck)),
    kept("profiles", Fate::Same("profiles")),
    kept("restart", Fate::Turned(Rule::Restart)),
    kept("stop_signal", Fate::Turned(Rule::StopSignal)),
    kept("stop_grace_period", Fate::Turned(Rule::StopGrace)),
    kept("user", Fate::Same("user")),
    kept("working_dir", Fate::Same("working_dir")),
    kept("labels", Fate::Turned(Rule::Labels)),
    kept("container_name", Fate::Same("container_name")),
    kept("networks", Fate::Turned(Rule::Networks)),
    kept("network_mode", Fate::Turned(Rule::NetworkMode)),
    kept("deploy", Fate::Turned(Rule::Deploy)),
    kept("scale", Fate::Turned(Rule::Scale)),
    kept("secrets", Fate::Turned(Rule::Secrets)),
    kept("configs", Fate::Turned(Rule::Configs)),
    kept("logging", Fate::Turned(Rule::Logging)),
    kept("pull_policy", Fate::Turned(Rule::Pull)),
    kept("extends", Fate::Used),
    kept("attach", Fate::Used),
    limit("mem_limit", "memory"),
    limit("cpus", "cpus"),
    limit("pids_limit", "pids"),
    Key {
        name: "volumes_from",
        fate: Fate::Turned(Rule::VolumesFrom),
        means: "the container does not see the other's volumes",
        instead: "name the volumes in both services",
    },
    flag(
        "init",
        "the program is process 1: it must reap its children itself",
        "use an image with an init such as tini",
    ),
    flag(
        "tty",
        "the program has no terminal, and may write in larger pieces or without colour",
        NOTHING,
    ),
    flag(
        "stdin_open",
        "its standard input is empty from the start",
        "run what is interactive by hand",
    ),
    flag(
        "privileged",
        "the container has the usual rights only, and cannot reach devices or the kernel's settings",
        ATTACH,
    ),
    flag(
        "read_only",
        "the container's own file system can be written to",
        NOTHING,
    ),
    flag(
        "oom_kill_disable",
        "the kernel may end it when memory is short",
        NOTHING,
    ),
    flag(
        "use_api_socket",
        "the engine's socket is not there inside",
        "mount it: `volumes: [/var/run/docker.sock:/var/run/docker.sock]`",
    ),
    lost(
        "hostname",
        "inside, the host name is what the engine chooses; others reach it by the service's name",
        NOTHING,
    ),
    lost("domainname", "inside, there is no domain name", NOTHING),
    lost(
        "platform",
        "the image is taken for the platform of the engine",
        "name an image of that platform by its digest",
    ),
    lost("cap_add", "the container has the usual rights only", ATTACH),
    lost(
        "cap_drop",
        "the container keeps the usual rights",
        "run it as another user: `user`",
    ),
    lost("security_opt", "the engine's usual profiles hold", NOTHING),
    lost("devices", "the devices are not there inside", ATTACH),
    lost(
        "device_cgroup_rules",
        "the devices are not there inside",
        ATTACH,
    ),
    lost("gpus", "graphics processors are not there inside", ATTACH),
    lost(
        "runtime",
        "the engine's usual runtime is taken",
        "make it the engine's default runtime",
    ),
    lost(
        "ulimits",
        "the engine's usual limits hold",
        "set default limits in the engine, or with `ulimit` in the command",
    ),
    lost("sysctls", "the engine's usual settings hold", ATTACH),
    lost(
        "shm_size",
        "/dev/shm has the engine's size, usually 64 MiB",
        "set `default-shm-size` in the engine",
    ),
    lost(
        "extra_hosts",
        "these names do not resolve inside, unless they are those of services it depends on",
        "use `${service.host}` in `env`, or an address",
    ),
    lost(
        "dns",
        "names resolve as the engine says",
        "set the name servers in the engine",
    ),
    lost(
        "dns_opt",
        "names resolve as the engine says",
        "set the options in the engine",
    ),
    lost(
        "dns_search",
        "names resolve as the engine says",
        "write whole names",
    ),
    lost("mac_address", "the engine chooses the address", NOTHING),
    lost(
        "group_add",
        "the program is in no further groups",
        "say user and group in `user`, or change the image",
    ),
    lost(
        "userns_mode",
        "the engine's usual user namespace is taken",
        ATTACH,
    ),
    lost("pid", "the container sees its own processes only", ATTACH),
    lost("ipc", "the container has shared memory of its own", ATTACH),
    lost("uts", "the container has a host name of its own", NOTHING),
    lost("cgroup", "the engine chooses the control group", NOTHING),
    lost(
        "cgroup_parent",
        "the engine chooses the control group",
        NOTHING,
    ),
    lost(
        "isolation",
        "the engine's usual isolation is taken",
        NOTHING,
    ),
    lost(
        "external_links",
        "containers outside of the stack are not known by these names",
        "attach to them: a service of `type: docker-attach`",
    ),
    lost(
        "annotations",
        "the container has no annotations",
        "use `labels` if a tool looks for them",
    ),
    lost(
        "label_file",
        "the labels of this file are not set",
        "write them under `labels`",
    ),
    lost("mem_reservation", "no memory is set aside", NOTHING),
    lost(
        "mem_swappiness",
        "the engine's usual setting holds",
        NOTHING,
    ),
    lost(
        "memswap_limit",
        "it may use swap as the engine says",
        NOTHING,
    ),
    lost(
        "oom_score_adj",
        "it is as likely as others to be ended when memory is short",
        NOTHING,
    ),
    lost("cpu_count", "it may run on every processor", "use `cpus`"),
    lost(
        "cpu_percent",
        "it may take every processor whole",
        "use `cpus`",
    ),
    lost(
        "cpu_period",
        "it may take every processor whole",
        "use `cpus`",
    ),
    lost(
        "cpu_quota",
        "it may take every processor whole",
        "use `cpus`",
    ),
    lost("cpu_rt_period", "it has no share of real time", NOTHING),
    lost("cpu_rt_runtime", "it has no share of real time", NOTHING),
    lost("cpu_shares", "it shares the processors evenly", NOTHING),
    lost("cpuset", "it may run on every processor", NOTHING),
    lost("blkio_config", "its disk access is not limited", NOTHING),
    lost(
        "storage_opt",
        "its own file system has the engine's size",
        NOTHING,
    ),
    lost("driver_opts", "they are for a network of its own", NOTHING),
    lost("credential_spec", "it has no account of a domain", NOTHING),
    lost(
        "develop",
        "changes of files are not watched",
        "mount the sources, and `harness restart` it after a change",
    ),
    lost(
        "post_start",
        "these commands are not run",
        "put them into the command, or make them a task that depends on it",
    ),
    lost(
        "pre_stop",
        "these commands are not run",
        "have the program do it when it is asked to end, or use `stop.command`",
    ),
    lost(
        "models",
        "no model is brought",
        "run what serves it as a service",
    ),
    lost(
        "provider",
        "nothing brings it up",
        "run it as a process or a container",
    ),
    lost("entitlements", "the image is built without them", IN_IMAGE),
];
