//! Where a unit runs.
//!
//! Owns: the targets and their fields. That a target stands here does not mean that it can be run yet: see
//! [`TargetSpec::kind`] and the executors that are registered.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ContainerTarget, Template};

/// Where a unit runs, and as what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TargetSpec {
    /// A program on this machine.
    Process(ProcessTarget),
    /// A program on this machine that somebody else started: observed, never signalled.
    ProcessAttach {
        /// By its number …
        pid: Option<u32>,
        /// … or by its name, which exactly one process must have.
        process_name: Option<String>,
    },
    /// A container that we create.
    Docker(Box<ContainerTarget>),
    /// A container that somebody else created: observed, never stopped.
    DockerAttach {
        /// Its name or id.
        container: String,
        /// The host whose engine it is with; absent: this machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
    },
    /// A program on a host that SSH reaches.
    Remote(RemoteTarget),
    /// A package on a WireGuard peer or a LAN host.
    Package(PackageTarget),
    /// A task whose registered type does the work itself.
    Builtin,
}

/// The types of target, without their fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TargetKind {
    /// See [`TargetSpec::Process`].
    Process,
    /// See [`TargetSpec::ProcessAttach`].
    ProcessAttach,
    /// See [`TargetSpec::Docker`].
    Docker,
    /// See [`TargetSpec::DockerAttach`].
    DockerAttach,
    /// See [`TargetSpec::Remote`].
    Remote,
    /// See [`TargetSpec::Package`].
    Package,
    /// See [`TargetSpec::Builtin`].
    Builtin,
}

impl TargetSpec {
    /// Its type.
    pub fn kind(&self) -> TargetKind {
        match self {
            Self::Process(_) => TargetKind::Process,
            Self::ProcessAttach { .. } => TargetKind::ProcessAttach,
            Self::Docker(_) => TargetKind::Docker,
            Self::DockerAttach { .. } => TargetKind::DockerAttach,
            Self::Remote(_) => TargetKind::Remote,
            Self::Package(_) => TargetKind::Package,
            Self::Builtin => TargetKind::Builtin,
        }
    }
}

impl TargetKind {
    /// Whether such a unit is only observed.
    pub fn is_attached(self) -> bool {
        matches!(self, Self::ProcessAttach | Self::DockerAttach)
    }

    /// As it is written in the stack file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::ProcessAttach => "process-attach",
            Self::Docker => "docker",
            Self::DockerAttach => "docker-attach",
            Self::Remote => "remote",
            Self::Package => "package",
            Self::Builtin => "builtin",
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A program and how it is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTarget {
    /// The program: a path when it has a slash (relative ones to the stack's directory), else looked up in PATH.
    pub program: Template,
    /// Its arguments.
    pub args: Vec<Template>,
    /// Its working directory; the stack's directory when absent, and relative to that.
    pub working_dir: Option<Template>,
    /// The user it runs as, by name or number.
    pub user: Option<String>,
    /// The group it runs as, by name or number; the user's own when absent.
    pub group: Option<String>,
}

impl ProcessTarget {
    /// The program and its arguments.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Template> {
        std::iter::once(&self.program).chain(&self.args)
    }
}

/// A program on a host that SSH reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteTarget {
    /// The host.
    pub host: String,
    /// The user to log in as.
    pub user: Option<String>,
    /// The port of the SSH server.
    pub port: Option<u16>,
    /// The private key.
    pub ssh_key: Option<PathBuf>,
    /// What runs there.
    pub run: RemoteRun,
}

/// What runs on a remote host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteRun {
    /// A program that is there already.
    Program(ProcessTarget),
    /// A package that is brought there.
    Package(String),
}

/// A package on a WireGuard peer or a LAN host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageTarget {
    /// The host.
    pub host: String,
    /// The user to log in as.
    pub user: Option<String>,
    /// The package's file or name.
    pub package: String,
    /// Its version.
    pub version: Option<String>,
    /// Where it is installed.
    pub install_path: Option<PathBuf>,
    /// Whether the host is reached through a WireGuard mesh.
    pub wireguard: bool,
}
