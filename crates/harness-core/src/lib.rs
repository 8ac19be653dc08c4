//! The daemon, its protocol and its client: what the program `harness` and daemons of your own are made of.
//!
//! Owns: where files lie ([`dirs`]), what is said between client and daemon ([`protocol`]), the daemon around a
//! [`service_orchestration::ServiceManager`] ([`daemon`]), who may ask it what, the record of what was changed
//! ([`audit`]), and the client ([`client`]). Never reads a stack file, never
//! draws on a terminal, never decides what a unit does. Works under any async runtime.
//!
//! Start reading at [`protocol`] (what can be asked), then [`daemon`] or [`client`].

mod access;
pub mod audit;
pub mod client;
pub mod daemon;
pub mod dirs;
mod files;
pub mod hosts;
pub mod protocol;

pub use access::{TokenError, WallClock};
pub use client::{
    AutoStart, ClientError, ConnectError, HarnessClient, LaunchError, ensure_daemon, is_running,
};
pub use daemon::{BaseDaemon, BaseDaemonBuilder, DaemonError, DaemonHandle, package_root};
pub use dirs::{Dirs, DirsError};
pub use files::Endpoint;
// What the protocol's types are made of, so that a program needs no second arrow to name them.
pub use service_orchestration::executors::ProgramFile;
pub use service_orchestration::{Volumes, error_chain, logs, package, report, spec};
