//! What a container is made of.
//!
//! Owns: the type. What is left at its default is the image's or the engine's own. Never a restart policy: whoever
//! makes the container decides when it runs.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::container::body;
use crate::container::parts::{ContainerPort, Device, HealthCheck, Mount, PublishedPort, Ulimit};
use crate::id::ContainerId;

/// A container to be made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerConfig {
    /// The image, by name or id. It has to be on the engine.
    pub image: String,
    /// For an image of several: `linux/arm64`.
    pub platform: Option<String>,
    /// The arguments of the entry point; `None`: the image's.
    pub command: Option<Vec<String>>,
    /// The entry point; `None`: the image's; empty: none, and then the image's command is not used either.
    pub entrypoint: Option<Vec<String>>,
    /// Added to the image's.
    pub environment: Environment,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `name`, `uid` or `uid:gid`.
    pub user: Option<String>,
    /// Groups beside the user's own.
    pub group_add: Vec<String>,
    /// Where the command begins.
    pub working_dir: Option<String>,
    /// The name that it has inside.
    pub hostname: Option<String>,
    /// The domain that it has inside.
    pub domainname: Option<String>,
    /// Ports that are told, beside the published ones.
    pub exposed_ports: Vec<ContainerPort>,
    /// Ports that are reached at the host.
    pub published_ports: Vec<PublishedPort>,
    /// Files and directories from elsewhere.
    pub mounts: Vec<Mount>,
    /// How it is connected.
    pub network: NetworkMode,
    /// Further lines of its hosts file. The address `None` stands for the host's, as `host-gateway`.
    pub extra_hosts: Vec<(String, Option<IpAddr>)>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Domains in which short names are looked for.
    pub dns_search: Vec<String>,
    /// Options of the resolver.
    pub dns_options: Vec<String>,
    /// What the engine sends when it stops the container by itself: `SIGINT`.
    pub stop_signal: Option<String>,
    /// How long the engine waits after that. Whole seconds; parts count as one.
    pub stop_timeout: Option<Duration>,
    /// Bounds.
    pub resources: Resources,
    /// Capabilities more than usual.
    pub cap_add: Vec<String>,
    /// Capabilities less.
    pub cap_drop: Vec<String>,
    /// Everything that root may.
    pub privileged: bool,
    /// As the engine takes them: `seccomp=unconfined`, `no-new-privileges`.
    pub security_opt: Vec<String>,
    /// Settings of the kernel, for it alone.
    pub sysctls: BTreeMap<String, String>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// A small PID 1 that reaps and hands signals on.
    pub init: bool,
    /// Nothing but mounts can be written to.
    pub read_only: bool,
    /// Size of `/dev/shm`.
    pub shm_size_bytes: Option<u64>,
    /// Whose processes it sees: `host`, `container:ID`.
    pub pid_mode: Option<String>,
    /// Whose shared memory it uses: `host`, `shareable`, `container:ID`.
    pub ipc_mode: Option<String>,
    /// `host` switches remapping of users off.
    pub userns_mode: Option<String>,
    /// Below which cgroup it stands.
    pub cgroup_parent: Option<String>,
    /// `None`: the image's.
    pub healthcheck: Option<HealthCheck>,
    /// `None`: the engine's.
    pub log: Option<LogConfig>,
    /// A terminal instead of pipes; output then has one stream.
    pub tty: bool,
    /// It has an input, which ends with whoever attaches to it first.
    pub open_stdin: bool,
}

impl ContainerConfig {
    /// What the engine is told, as bytes: the same for the same container. With the values of its environment, so for
    /// comparing by a hash only.
    #[must_use]
    pub fn to_comparable(&self) -> Vec<u8> {
        let mut told = body::creation(self).to_string().into_bytes();
        if let NetworkMode::Networks(networks) = &self.network {
            for network in networks.iter().skip(1) {
                told.extend(format!("{}{}", network.network, body::endpoint(network)).bytes());
            }
        }
        told.extend(self.platform.iter().flat_map(|platform| platform.bytes()));
        told
    }
}

/// Environment variables. Their values are shown nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Sets a variable; a value of that name is replaced.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The variables, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let entries = self.0.iter();
        entries.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(name, value)| format!("{name}={value}");
        self.iter().map(line).collect()
    }

    /// The text without any of the values. Values of a few characters stay: they stand in every text by chance.
    pub(crate) fn redact(&self, text: String) -> String {
        let values = self.0.values().filter(|value| value.len() >= 5);
        values.fold(text, |text, value| text.replace(value.as_str(), "***"))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        Self(
            variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// How a container is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NetworkMode {
    /// The engine's own bridge, without names.
    #[default]
    EngineDefault,
    /// Not at all, but for its loopback.
    None,
    /// It uses the host's interfaces. Nothing can be published.
    Host,
    /// It uses another container's.
    Container(ContainerId),
    /// To these, which have to exist. At least one; the first is its way out.
    Networks(Vec<NetworkAttachment>),
}

/// A network that a container is connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkAttachment {
    /// Its name or id.
    pub network: String,
    /// Names by which others on it find the container.
    pub aliases: Vec<String>,
    /// A fixed address; the network has to have been made with a subnet.
    pub ipv4: Option<Ipv4Addr>,
    /// Likewise.
    pub ipv6: Option<Ipv6Addr>,
}

/// Bounds of what a container may use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resources {
    /// Memory.
    pub memory_bytes: Option<u64>,
    /// Memory and swap together.
    pub memory_swap_bytes: Option<u64>,
    /// What it is pressed down to when memory is short.
    pub memory_reservation_bytes: Option<u64>,
    /// Processors; parts of one count.
    pub cpus: Option<f64>,
    /// Share of the processors when they are short; 1024 is usual.
    pub cpu_shares: Option<u64>,
    /// Which processors: `0-3,7`.
    pub cpuset_cpus: Option<String>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Limits of each process.
    pub ulimits: Vec<Ulimit>,
    /// From -1000 (never killed for memory) to 1000.
    pub oom_score_adj: Option<i32>,
}

/// Where the engine puts the output.
///
/// No driver of docker 20.10 keeps every byte. `json-file`, the usual default, replaces what is no UTF-8 by U+FFFD, and so a
/// character that it cuts in two at 16 KiB of a line. `local` keeps such bytes, but loses the end of a line that is longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogConfig {
    /// `json-file`, `local`, `journald` …
    pub driver: String,
    /// `max-size`, `max-file` …
    pub options: BTreeMap<String, String>,
}
