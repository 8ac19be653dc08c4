//! Containers: how they are made, what is asked of them, what they look like.
//!
//! Never decides when a container starts or ends, and keeps nothing of any.

mod body;
mod config;
mod inspect;
mod list;
mod parts;
mod requests;
mod stats;

pub use config::{
    ContainerConfig, Environment, LogConfig, NetworkAttachment, NetworkMode, Resources,
};
pub use inspect::{
    Container, ContainerState, ContainerStatus, Health, HealthLog, HealthStatus, NetworkAddress,
};
pub use list::ContainerSummary;
pub use parts::{
    ContainerPort, Device, HealthCheck, HealthTest, Mount, MountSource, Protocol, PublishedPort,
    Relabel, Ulimit,
};
pub use requests::Ended;
pub(crate) use requests::path;
pub use stats::Stats;
