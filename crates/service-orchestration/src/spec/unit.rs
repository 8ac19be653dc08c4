//! One service or task.
//!
//! Owns: everything the daemon must know to run a unit. Never says what state it is in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use service_model::{Gate, UnitKind};

use super::{Log, Origin, Probe, Restart, Stop, TargetSpec, Template, UnitName};

/// What a service or task is told to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name in the stack.
    pub name: UnitName,
    /// Service or task.
    pub kind: UnitKind,
    /// Where it runs.
    pub target: TargetSpec,
    /// Free text for people.
    pub display_name: Option<String>,
    /// Free text for people.
    pub description: Option<String>,
    /// The registered implementation that it is linked to (`service_type`, `task_type`).
    pub type_name: Option<String>,
    /// The network it is on; `local` when absent.
    pub network: Option<String>,
    /// What its environment declares, on top of the stack's environment and the variables of its dependencies.
    pub env: BTreeMap<String, Template>,
    /// Whether it is told in its environment of what it needs, and who it is itself.
    #[serde(default = "told", skip_serializing_if = "is_told")]
    pub inject: bool,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// Gates dependents and sets health.
    pub readiness: Option<Probe>,
    /// Restarts when it fails.
    pub liveness: Option<Probe>,
    /// Holds the other probes back until it has succeeded once.
    pub startup: Option<Probe>,
    /// What a failing readiness probe does beyond setting health.
    pub on_unhealthy: OnUnhealthy,
    /// Started again when?
    pub restart: Restart,
    /// Ended how?
    pub stop: Stop,
    /// Ready within this time of its launch, or it has failed.
    pub startup_timeout: Option<Duration>,
    /// A task's run may take this long.
    pub timeout: Option<Duration>,
    /// Exit codes that mean success.
    pub success_exit_codes: Vec<i32>,
    /// The ports it listens on.
    pub ports: Vec<PortSpec>,
    /// What happens to its output.
    pub log: Log,
    /// How many instances; 1 is unreplicated.
    pub replicas: u32,
    /// Only started when one of these is asked for; empty: always.
    pub profiles: Vec<String>,
    /// Free text for tools.
    pub labels: BTreeMap<String, String>,
    /// The input of a task's registered implementation (`action` or `config`).
    pub action: Option<serde_json::Value>,
    /// Prepares it once it runs. Code, not data: neither sent nor kept.
    #[serde(skip)]
    pub setup: Option<crate::setup::SetupHook>,
    /// Where it stands in the stack file.
    pub origin: Origin,
}

fn told() -> bool {
    true
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the form is that which serde asks for"
)]
fn is_told(inject: &bool) -> bool {
    *inject
}

impl ServiceSpec {
    /// Whether it is a service in a container of ours, which is kept from one attempt to the next.
    pub(crate) fn keeps_container(&self) -> bool {
        self.kind == UnitKind::Service && matches!(self.target, TargetSpec::Docker(_))
    }

    /// Whether the check of its image says how it is, where that has one: a service in a container of ours whose file says
    /// nothing of its readiness. Whether the image has one is known once it runs.
    pub fn is_judged_by_image(&self) -> bool {
        let is_open = self.readiness.is_none() && self.startup.is_none();
        let takes_it = |container: &super::ContainerTarget| !container.no_check;
        let has_image = matches!(&self.target, TargetSpec::Docker(target) if takes_it(target));
        self.kind == UnitKind::Service && is_open && has_image
    }

    /// A unit with nothing but a name, a kind and a target: every policy at its default.
    pub fn new(name: UnitName, kind: UnitKind, target: TargetSpec) -> Self {
        let restart = match kind {
            UnitKind::Service => Restart::default(),
            UnitKind::Task => Restart {
                when: super::RestartWhen::Never,
                ..Restart::default()
            },
        };
        Self {
            name,
            kind,
            target,
            display_name: None,
            description: None,
            type_name: None,
            network: None,
            env: BTreeMap::new(),
            inject: true,
            dependencies: Vec::new(),
            readiness: None,
            liveness: None,
            startup: None,
            on_unhealthy: OnUnhealthy::default(),
            restart,
            stop: Stop::default(),
            startup_timeout: None,
            timeout: None,
            success_exit_codes: vec![0],
            ports: Vec::new(),
            log: Log::default(),
            replicas: 1,
            profiles: Vec::new(),
            labels: BTreeMap::new(),
            action: None,
            setup: None,
            origin: Origin::default(),
        }
    }

    /// The gate that this unit opens to dependents that name none: `completed` for a task, `ready` for a service
    /// whose file says how it tells, `started` for another.
    pub fn default_gate(&self) -> Gate {
        match (self.kind, &self.readiness, &self.startup) {
            (UnitKind::Task, _, _) => Gate::Completed,
            (UnitKind::Service, None, None) => Gate::Started,
            (UnitKind::Service, _, _) => Gate::Ready,
        }
    }
}

/// An edge of the graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// What is needed.
    pub unit: UnitName,
    /// How far it must have come; [`ServiceSpec::default_gate`] of it when absent.
    pub gate: Option<Gate>,
    /// Without it, the dependent does not start; else it starts as soon as the other is there or cannot be.
    pub required: bool,
    /// Whether the dependent is restarted when the other has been restarted.
    pub restart: bool,
    /// Where the edge stands in the stack file.
    pub origin: Origin,
}

/// What a failing readiness probe does beyond setting health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnhealthy {
    /// Nothing.
    #[default]
    None,
    /// The service is restarted, by its restart policy.
    Restart,
}

/// A port that a unit listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Its name, for `${svc.port.NAME}` and `<SVC>_PORT_<NAME>`.
    pub name: Option<String>,
    /// Its number, as the unit itself sees it: of a container, the one inside.
    pub port: PortNumber,
    /// TCP or UDP.
    #[serde(default, skip_serializing_if = "Protocol::is_tcp")]
    pub protocol: Protocol,
    /// Of a container: where it is reached from outside; absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

impl PortSpec {
    /// A TCP port without a name.
    pub fn new(port: PortNumber) -> Self {
        Self {
            name: None,
            port,
            protocol: Protocol::default(),
            published: None,
        }
    }
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Whether it is the one that is meant where none is named. Kept out of what is written, so that the hash of a
    /// definition is what it was before there was a choice.
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form is that which serde asks for"
    )]
    fn is_tcp(&self) -> bool {
        *self == Self::Tcp
    }

    /// As it is written in the stack file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// Where a container's port is reached on the machine that it runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The address; loopback when absent.
    pub address: Option<IpAddr>,
    /// The port there; a free one is chosen and kept for [`PortNumber::Auto`].
    pub port: PortNumber,
}

/// A port's number, or the wish for a free one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortNumber {
    /// This one.
    Fixed(u16),
    /// A free one, chosen when the unit is first started and kept; the unit is told as `PORT` and `PORT_<NAME>`.
    Auto,
}
