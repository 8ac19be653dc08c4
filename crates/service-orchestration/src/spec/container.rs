//! What a container is made of.
//!
//! Owns: the data, in the words of Compose where it has some. What the engine makes of it is the executor's business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Mount, Template};

/// A container to be created. Its ports are those of the unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerTarget {
    /// The host whose engine runs it; this machine when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The image; absent when it is built, and then made from stack and unit.
    pub image: Option<Template>,
    /// How it is built.
    #[serde(default)]
    pub build: Option<Build>,
    /// When it is fetched.
    #[serde(default)]
    pub pull: Pull,
    /// Replaces the image's command.
    pub command: Option<Vec<Template>>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<Template>>,
    /// What is mounted.
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// The user inside.
    pub user: Option<String>,
    /// The engine's network: `host`, or one that is there; the stack's own when absent.
    pub network: Option<String>,
    /// Names beside the unit's own by which containers of the stack's network reach it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The working directory inside.
    pub working_dir: Option<Template>,
    /// Its name; made from stack and unit when absent.
    #[serde(default)]
    pub container_name: Option<String>,
    /// Its host name inside; the container's id when absent.
    #[serde(default)]
    pub hostname: Option<String>,
    /// Further lines of its hosts file: a name, and an address or `host-gateway`.
    #[serde(default)]
    pub extra_hosts: Vec<(String, String)>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// What it may do.
    #[serde(default)]
    pub security: Security,
    /// Whether a small init inside reaps what is left by others.
    #[serde(default)]
    pub init: bool,
    /// Whether it has a terminal: its outputs are then one.
    #[serde(default)]
    pub tty: bool,
    /// Whether it is asked to end by the signal that its image names, where that names one, and not by that of
    /// [`Stop`](super::Stop).
    #[serde(default)]
    pub image_signal: bool,
    /// Whether the check that its image brings along is switched off.
    #[serde(default)]
    pub no_check: bool,
    /// The size of `/dev/shm` in bytes; the engine's own when absent.
    #[serde(default)]
    pub shm_size: Option<u64>,
}

impl ContainerTarget {
    /// Whether it has the machine's own network, and so its addresses and ports.
    pub fn is_on_host(&self) -> bool {
        self.network.as_deref() == Some("host")
    }
}

/// What an image is called that is built and has no name: after stack and unit, as Compose does it.
pub fn built_image_name(stack: &super::StackName, unit: &super::UnitName) -> String {
    format!("{stack}-{unit}").to_lowercase()
}

/// How an image is built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The directory that is sent to the engine; relative ones to the stack's directory.
    pub context: String,
    /// The recipe, relative to the context; `Dockerfile` when absent.
    pub dockerfile: Option<String>,
    /// The values of its `ARG`s.
    pub args: BTreeMap<String, String>,
    /// The stage that is built; the last one when absent.
    pub target: Option<String>,
}

/// When an image is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pull {
    /// When the engine does not have it.
    #[default]
    Missing,
    /// Before every launch.
    Always,
    /// Never: without it, the launch fails.
    Never,
    /// Built before every launch, instead of fetched.
    Build,
}

/// A volume that containers of a stack share, and that survives them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Its name with the engine; made from the stack's and its own when absent.
    pub engine_name: Option<String>,
    /// Whether somebody else made it: it must be there, and is never removed.
    pub external: bool,
    /// What makes it; the engine's own when absent.
    pub driver: Option<String>,
    /// What the driver is told.
    pub driver_opts: BTreeMap<String, String>,
    /// Free text for tools.
    pub labels: BTreeMap<String, String>,
}

impl VolumeSpec {
    /// What the engine calls the volume `name` of a stack.
    pub fn name_with_engine(&self, stack: &super::StackName, name: &str) -> String {
        match &self.engine_name {
            Some(engine_name) => engine_name.clone(),
            None if self.external => name.to_owned(),
            None => format!("{stack}_{name}"),
        }
    }
}

/// What a container may use; absent: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Thousandths of a processor.
    pub millicpus: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Limits of its processes, by name (`nofile`).
    #[serde(default)]
    pub ulimits: BTreeMap<String, Ulimit>,
}

/// A limit of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// What it has.
    pub soft: i64,
    /// How far it may raise it itself.
    pub hard: i64,
}

/// What a container may do beyond the engine's own rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// Everything that root of the machine may.
    pub privileged: bool,
    /// Capabilities that it has besides.
    pub cap_add: Vec<String>,
    /// Capabilities that are taken from it.
    pub cap_drop: Vec<String>,
    /// The engine's own words (`no-new-privileges`).
    pub options: Vec<String>,
    /// Whether its own file system is closed to writes.
    pub read_only: bool,
    /// Kernel parameters of its namespaces.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// Devices of the machine, in the engine's short form.
    #[serde(default)]
    pub devices: Vec<String>,
    /// Groups of its user besides.
    #[serde(default)]
    pub groups: Vec<String>,
}
