//! What a stack is told to be: units, where they run, what they need, how they are judged and stopped.
//!
//! Owns: the data that a client sends and the daemon keeps. Everything in it is already validated and substituted,
//! except references to other units, which wait in [`Template`]s until the unit that asks is started. Never decides
//! anything. These types are the wire and journal form too (see the ADR on the specification): fields are only added,
//! with a default.

mod build_line;
mod container;
mod mount;
mod name;
mod policy;
mod probe;
mod secret;
mod stack;
mod target;
mod template;
mod unit;
mod uses;

pub use build_line::{BuildHow, BuildLine};
pub use container::{
    Build, ContainerTarget, Limits, Pull, Security, Ulimit, VolumeSpec, built_image_name,
};
pub use mount::{Mount, MountError, MountKind, PROPAGATIONS};
pub use name::{NameError, StackName, UnitId, UnitName};
pub use policy::{Log, LogMode, OnFull, Stop, StopScope};
pub use probe::{Probe, ProbeAction};
pub use secret::{MASK, Secret, SecretName, SecretSource, SecretSpec, SecretValues, exposed};
pub use service_model::{Backoff, CrashLoop, Gate, Restart, RestartWhen, UnitKind};
pub use stack::{NetworkKind, NetworkSpec, Origin, StackSources, StackSpec};
pub use target::{PackageTarget, ProcessTarget, RemoteRun, RemoteTarget, TargetKind, TargetSpec};
pub use template::{Attribute, Part, Placeholder, Reference, Template};
pub use unit::{Dependency, OnUnhealthy, PortNumber, PortSpec, Protocol, Published, ServiceSpec};
