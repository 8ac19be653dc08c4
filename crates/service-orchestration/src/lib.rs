//! Runs services wherever each belongs and keeps them the way their stack says.
//!
//! Owns: what a unit is told to be ([`spec`]), the loop that acts on it and on the
//! model ([`supervisor`]), executors, probes and logs. Never parses YAML, never draws on a terminal, never listens on a socket
//! of its own. Works under any async runtime: see [`ServiceManager::builder`].
//!
//! Start reading at [`ServiceManager`], then [`spec`] (what is wanted), [`model`] (what is decided), [`supervisor`] (what
//! is done).

mod account;
pub mod config;
pub mod executors;
pub mod health;
mod host;
mod listening;
pub mod logs;
pub mod manager;
pub mod package;
pub mod probe;
pub mod report;
pub mod setup;
mod shared_events;
pub mod spec;
pub mod store;
pub mod supervisor;

pub use command_executor::blocking;
pub use command_executor::supervised::ShimProgram;
pub use config::{ConfigError, HealthCheck, ServiceConfig, ServiceTarget};
pub use executors::{
    AttachExecutor, NetworkInfo, ProcessExecutor, RunningService, ServiceExecutor,
};
pub use health::{HealthChecker, HealthMonitor};
pub use host::allowed_environment;
pub use manager::{Driver, ManagerBuilder, ManagerError, ServiceManager, StartError, Volumes};
pub use service_model as model;
pub use service_shim::{Identity, ProcessRef};
pub use shared_events::{EventReader, SharedEventStream};

/// An error and its causes, in one line.
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
