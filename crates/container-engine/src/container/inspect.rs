//! What the engine knows of one container.
//!
//! Owns: the types, and how they are read. Never the values of environment variables: what is not read cannot leak.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use crate::container::parts::{ContainerPort, PublishedPort};
use crate::id::ContainerId;
use crate::json::null_is_default;
use crate::time;

/// A container, as it was when the engine was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's id.
    pub id: ContainerId,
    /// The name, without the slash that the engine writes before it.
    pub name: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: Option<u64>,
    /// How it is.
    pub state: ContainerState,
    /// The image by name, as it was asked for.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// Labels, the image's included.
    pub labels: BTreeMap<String, String>,
    /// Entry point and command, as they were put together.
    pub command: Vec<String>,
    /// Whether it has a terminal, so that its output has one stream.
    pub tty: bool,
    /// `default`, `host`, `none`, `container:ID` or the name of a network.
    pub network_mode: String,
    /// The networks that it is connected to, by name. Addresses are there while it runs.
    pub networks: BTreeMap<String, NetworkAddress>,
    /// Where its ports are reached, while it runs.
    pub published_ports: Vec<PublishedPort>,
    /// Its ports, published or not.
    pub exposed_ports: Vec<ContainerPort>,
    /// Where its output goes.
    pub log_driver: String,
    /// How often the engine has restarted it by itself.
    pub restart_count: u64,
    /// What it mounts: the path inside, and the volume's name or the path at the host.
    pub mounts: BTreeMap<String, String>,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// In a word.
    pub status: ContainerStatus,
    /// Its first process, as the host numbers it.
    pub pid: Option<u32>,
    /// How its last run ended; `None` while it runs, and before it has. 128 and the signal's number, where one ended it.
    pub exit_code: Option<i64>,
    /// Whether the kernel killed something in it for want of memory.
    pub is_oom_killed: bool,
    /// Why it could not be started.
    pub error: Option<String>,
    /// Start of its last run, in nanoseconds since 1970.
    pub started_ns: Option<u64>,
    /// End of its last run.
    pub finished_ns: Option<u64>,
    /// What its check says, if it has one.
    pub health: Option<Health>,
}

/// A container's state, in the engine's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerStatus {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Between two runs that the engine makes by itself.
    Restarting,
    /// On its way out.
    Removing,
    /// Ended.
    Exited,
    /// Its removal has failed.
    Dead,
    /// Another word.
    Other(String),
}

impl ContainerStatus {
    /// Whether there are processes in it.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    pub(crate) fn parse(word: &str) -> Self {
        match word {
            // podman has words of its own.
            "created" | "configured" | "initialized" => Self::Created,
            "running" | "stopping" => Self::Running,
            "paused" => Self::Paused,
            "restarting" => Self::Restarting,
            "removing" => Self::Removing,
            "exited" | "stopped" => Self::Exited,
            "dead" => Self::Dead,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What a container's check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u64,
    /// The last run of the check.
    pub last: Option<HealthLog>,
}

/// The verdict of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthStatus {
    /// Not yet known.
    Starting,
    /// Well.
    Healthy,
    /// Not.
    Unhealthy,
}

impl HealthStatus {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "starting" => Some(Self::Starting),
            "healthy" => Some(Self::Healthy),
            "unhealthy" => Some(Self::Unhealthy),
            _ => None,
        }
    }
}

/// One run of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthLog {
    /// When it began, in nanoseconds since 1970.
    pub started_ns: Option<u64>,
    /// 0: well.
    pub exit_code: i64,
    /// What it said; the engine keeps the beginning.
    pub output: String,
}

/// A container's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkAddress {
    /// The network's id.
    pub network_id: String,
    /// Its address there.
    pub ip: Option<IpAddr>,
    /// The host's address there.
    pub gateway: Option<IpAddr>,
    /// Names by which others there find it.
    pub aliases: Vec<String>,
}

/// What the engine writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    created: String,
    #[serde(default)]
    path: String,
    #[serde(default, deserialize_with = "null_is_default")]
    args: Vec<String>,
    state: StateAnswer,
    #[serde(default)]
    image: String,
    #[serde(default)]
    restart_count: i64,
    config: ConfigAnswer,
    host_config: HostAnswer,
    #[serde(default, deserialize_with = "null_is_default")]
    network_settings: NetworkAnswer,
    #[serde(default, deserialize_with = "null_is_default")]
    mounts: Vec<MountAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StateAnswer {
    status: String,
    #[serde(default)]
    pid: i64,
    #[serde(default)]
    exit_code: i64,
    #[serde(default, rename = "OOMKilled")]
    oom_killed: bool,
    #[serde(default)]
    error: String,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    finished_at: String,
    #[serde(default)]
    health: Option<HealthAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthAnswer {
    #[serde(default)]
    status: String,
    #[serde(default)]
    failing_streak: i64,
    #[serde(default, deserialize_with = "null_is_default")]
    log: Vec<HealthLogAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthLogAnswer {
    #[serde(default)]
    start: String,
    #[serde(default)]
    exit_code: i64,
    #[serde(default)]
    output: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigAnswer {
    #[serde(default)]
    image: String,
    #[serde(default)]
    tty: bool,
    #[serde(default, deserialize_with = "null_is_default")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "null_is_default")]
    exposed_ports: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HostAnswer {
    #[serde(default)]
    network_mode: String,
    #[serde(default)]
    log_config: LogAnswer,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct LogAnswer {
    #[serde(default)]
    r#type: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct NetworkAnswer {
    #[serde(default, deserialize_with = "null_is_default")]
    ports: BTreeMap<String, Option<Vec<BindingAnswer>>>,
    #[serde(default, deserialize_with = "null_is_default")]
    networks: BTreeMap<String, EndpointAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BindingAnswer {
    #[serde(default)]
    host_ip: String,
    #[serde(default)]
    host_port: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct EndpointAnswer {
    #[serde(default, rename = "NetworkID")]
    network_id: String,
    #[serde(default, rename = "IPAddress")]
    ip_address: String,
    #[serde(default)]
    gateway: String,
    #[serde(default, deserialize_with = "null_is_default")]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MountAnswer {
    #[serde(default)]
    name: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    destination: String,
}

impl From<Answer> for Container {
    fn from(answer: Answer) -> Self {
        let mut command = vec![answer.path];
        command.extend(answer.args);
        let ports = answer.network_settings.ports;
        let exposed = answer.config.exposed_ports.into_keys();
        let mounts = answer.mounts.into_iter().map(|mount| {
            let source = if mount.name.is_empty() {
                mount.source
            } else {
                mount.name
            };
            (mount.destination, source)
        });
        Self {
            id: ContainerId::new(answer.id),
            name: answer.name.trim_start_matches('/').to_owned(),
            created_ns: time::whole(&answer.created),
            state: answer.state.into(),
            image: answer.config.image,
            image_id: answer.image,
            labels: answer.config.labels,
            command,
            tty: answer.config.tty,
            network_mode: answer.host_config.network_mode,
            networks: addresses(answer.network_settings.networks),
            published_ports: published(ports),
            exposed_ports: exposed.filter_map(|port| port.parse().ok()).collect(),
            log_driver: answer.host_config.log_config.r#type,
            restart_count: u64::try_from(answer.restart_count).unwrap_or(0),
            mounts: mounts.collect(),
        }
    }
}

impl From<StateAnswer> for ContainerState {
    fn from(answer: StateAnswer) -> Self {
        let status = ContainerStatus::parse(&answer.status);
        let has_ended = !status.is_alive() && status != ContainerStatus::Created;
        Self {
            pid: u32::try_from(answer.pid).ok().filter(|pid| *pid > 0),
            exit_code: has_ended.then_some(answer.exit_code),
            is_oom_killed: answer.oom_killed,
            error: (!answer.error.is_empty()).then_some(answer.error),
            started_ns: time::whole(&answer.started_at),
            finished_ns: time::whole(&answer.finished_at),
            // "none" stands for a container without a check.
            health: answer.health.and_then(HealthAnswer::read),
            status,
        }
    }
}

impl HealthAnswer {
    fn read(self) -> Option<Health> {
        let last = self.log.into_iter().next_back().map(|log| HealthLog {
            started_ns: time::whole(&log.start),
            exit_code: log.exit_code,
            output: log.output,
        });
        Some(Health {
            status: HealthStatus::parse(&self.status)?,
            failing_streak: u64::try_from(self.failing_streak).unwrap_or(0),
            last,
        })
    }
}

pub(crate) fn addresses(
    networks: BTreeMap<String, EndpointAnswer>,
) -> BTreeMap<String, NetworkAddress> {
    let read = |endpoint: EndpointAnswer| NetworkAddress {
        network_id: endpoint.network_id,
        ip: endpoint.ip_address.parse().ok(),
        gateway: endpoint.gateway.parse().ok(),
        aliases: endpoint.aliases,
    };
    let networks = networks.into_iter();
    networks
        .map(|(name, endpoint)| (name, read(endpoint)))
        .collect()
}

fn published(ports: BTreeMap<String, Option<Vec<BindingAnswer>>>) -> Vec<PublishedPort> {
    let mut published = Vec::new();
    for (port, bindings) in ports {
        let Ok(container) = port.parse() else {
            continue;
        };
        published.extend(bindings.into_iter().flatten().map(|binding| PublishedPort {
            container,
            host_ip: binding.host_ip.parse().ok(),
            host_port: binding.host_port.parse().ok(),
        }));
    }
    published
}

#[cfg(test)]
mod tests;
