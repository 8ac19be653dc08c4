//! What an executor is told, word for word.
//!
//! Owns: the data of orders and tickets. Nothing in it waits to be resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use service_registry::Attachment;
use service_shim::{LogPolicy, LogTotal};

use super::{HostFacts, Input};
use crate::spec::{
    Log, LogMode, OnFull, Protocol, Stop, StopScope, TargetSpec, UnitId, VolumeSpec,
};

/// One attempt to be launched, everything in it resolved.
#[derive(Clone)]
pub struct LaunchOrder {
    /// Of which unit.
    pub unit: UnitId,
    /// Which run of it.
    pub attempt: u64,
    /// The identity of this run: 12 hexadecimal digits, in no other run of any unit.
    pub instance_id: String,
    /// Where it runs; every template in it is a literal.
    pub target: TargetSpec,
    /// Program and arguments, resolved; empty where the target has none.
    pub command: Vec<String>,
    /// What a container is told besides; absent for everything else.
    pub container: Option<Box<ContainerOrder>>,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its working directory.
    pub working_dir: PathBuf,
    /// What happens to its output.
    pub log: Log,
    /// Where its output is kept.
    pub log_dir: PathBuf,
    /// The caps that its output shares with that of others.
    pub log_totals: Vec<LogTotal>,
    /// How it will be stopped, should nobody say otherwise.
    pub stop: Stop,
    /// Whether it tells its readiness by the sd_notify protocol.
    pub notify: bool,
    /// What comes to its standard input; absent: nothing does. Whoever launches it only keeps the way open, and
    /// [`AttemptControl::feed`](super::AttemptControl::feed) carries it.
    pub input: Option<Input>,
}

impl LaunchOrder {
    /// Where its output goes, in the words of whoever writes it.
    pub(super) fn log_policy(&self) -> LogPolicy {
        LogPolicy {
            max_segment_bytes: self.log.max_size,
            max_segments: self.log.max_files,
            on_full: match self.log.on_full {
                OnFull::Drop => service_shim::OnFull::Drop,
                OnFull::Block => service_shim::OnFull::Block,
            },
            mode: match self.log.mode {
                LogMode::Capture => service_shim::LogMode::Capture,
                LogMode::File => service_shim::LogMode::File,
            },
            totals: self.log_totals.clone(),
            ..LogPolicy::new(self.log_dir.clone())
        }
    }
}

/// Without the environment, which may hold secrets.
impl fmt::Debug for LaunchOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaunchOrder")
            .field("unit", &self.unit)
            .field("attempt", &self.attempt)
            .field("instance_id", &self.instance_id)
            .field("target", &self.target.kind())
            .finish_non_exhaustive()
    }
}

/// What a container is told, everything in it resolved. What has no references is in its
/// [`ContainerTarget`](crate::spec::ContainerTarget).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerOrder {
    /// The image; absent when it is built.
    pub image: Option<String>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// The working directory inside.
    pub working_dir: Option<String>,
    /// The files that its stack is defined by.
    pub files: Vec<PathBuf>,
    /// Its ports.
    pub ports: Vec<PortOrder>,
    /// Names for its hosts file: of what it needs that its own network does not resolve.
    pub hosts: Vec<(String, IpAddr)>,
    /// What it needs of this machine that may listen on loopback only.
    pub forwards: Vec<Forward>,
    /// The volumes that its stack declares, by the name in the file.
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// Free text for tools.
    pub labels: BTreeMap<String, String>,
    /// Which variables of its environment nobody has asked for: what its image says by these names goes before them.
    pub told: BTreeSet<String>,
    /// The hash of the definition that it is launched with.
    pub hash: String,
    /// What becomes of the check of its image.
    pub check: CheckOrder,
    /// Whether its container outlives it, and is started again for the next attempt unless it would be another.
    pub keep: bool,
}

/// What becomes of the check that an image may bring along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckOrder {
    /// It is run where there is one.
    #[default]
    IfAny,
    /// Somebody waits for what it says: without one that would be for ever, so it is not launched.
    Needed,
    /// Something else says how it is: one that the image is known to have is not run.
    Replaced,
    /// It is not run.
    Off,
}

/// A port of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortOrder {
    /// The port inside.
    pub inside: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where the machine listens for it; absent: nowhere.
    pub published: Option<SocketAddr>,
}

/// Connections that are carried from a container's network to something that listens on this machine's loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forward {
    /// Where containers connect to: an address of this machine on their network.
    pub listen: SocketAddr,
    /// Where the connections go.
    pub to: SocketAddr,
}

/// What an attempt stands on, once it is there: networks, and the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// The networks that it will be on, by name. No own address is known yet.
    pub networks: BTreeMap<String, Attachment>,
    /// The machine that it will be on, when that is another one.
    pub host: Option<Box<HostFacts>>,
}

/// What is wanted of the ground of an attempt.
#[derive(Clone, Debug)]
pub struct GroundOrder {
    /// Of which unit.
    pub unit: UnitId,
    /// Which run of it.
    pub attempt: u64,
    /// Where it will run.
    pub target: TargetSpec,
    /// The image, resolved.
    pub image: Option<String>,
    /// The stack's directory.
    pub directory: PathBuf,
    /// Since when the image was wanted: what was made of it after that is as good as made for this. Absent: nothing is.
    pub since: Option<std::time::Instant>,
    /// Who is told how it goes on.
    pub progress: Progress,
}

/// What is done for the ground of an attempt, where it takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// An image is fetched.
    Pulling,
    /// An image is built.
    Building,
}

impl Activity {
    /// As people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulling => "pulling",
            Self::Building => "building",
        }
    }
}

/// How far the making of a ground has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Making {
    /// What is done.
    pub activity: Activity,
    /// The same as a reason: `pulling busybox:1 (3 of 5 layers)`.
    pub what: String,
    /// What was said since the last time.
    pub output: Vec<String>,
}

/// The way to whoever is told how the making of a ground goes on; by default to nobody.
#[derive(Clone, Default)]
pub struct Progress(Option<Arc<dyn Fn(Making) + Send + Sync>>);

impl Progress {
    /// To this function, which must not wait for anything.
    pub fn to(told: impl Fn(Making) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(told)))
    }

    /// Tells it.
    pub fn tell(&self, making: Making) {
        if let Some(told) = &self.0 {
            told(making);
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_heard = self.0.is_some();
        f.debug_tuple("Progress").field(&is_heard).finish()
    }
}

/// Enough to find an attempt again after a restart of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Whose.
    pub unit: UnitId,
    /// Which run.
    pub attempt: u64,
    /// Its identity.
    pub instance_id: String,
    /// What the executor added in [`AttemptFacts::ticket`].
    pub details: Option<serde_json::Value>,
}

/// How to ask an attempt to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopOrder {
    /// The signal's number; `None`: something else asks it to end, and only the time counts.
    pub signal: Option<i32>,
    /// How long it may take.
    pub grace: std::time::Duration,
    /// Whom the signal goes to.
    pub scope: StopScope,
}

/// A command that is run where an attempt runs.
#[derive(Clone, Debug)]
pub struct InsideCommand {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// The whole environment of it, where a place has none of its own.
    pub env: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: std::time::Duration,
}

/// How a command inside ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsideEnd {
    /// By itself.
    Exited {
        /// Its exit code.
        code: i64,
        /// The last of what it said.
        output: Vec<u8>,
    },
    /// Its time was over.
    TimedOut,
}

/// How the check is had that an attempt has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnCheck {
    /// Whoever runs the attempt runs its check too, counts the answers and tells what they amount to.
    Told,
    /// It is run when it is asked for, and says how the attempt is in that moment.
    Asked,
}

/// What the check of an attempt's own says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnHealth {
    /// It has not said anything yet.
    Starting,
    /// All is well.
    Healthy,
    /// Something is wrong.
    Unhealthy {
        /// What its check ended with and said last, where that is known.
        said: Option<(i64, String)>,
    },
}
