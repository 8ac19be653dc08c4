//! The process that stands beside each service, and the contract it keeps with whoever launched it.
//!
//! Owns: the run directory ([`run_dir`]), identity ([`identity`]), the control protocol ([`protocol`]), the log
//! segments ([`log`]) and the shim's own main ([`main`]). Never uses an async runtime, never logs, never holds
//! policy: when to start, restart or give up is decided elsewhere. Its program is also the forwarder (`forward`) that
//! carries connections to what listens on loopback only, and the [`agent`] that serves a daemon on another host.
//!
//! Start reading at [`run_dir`] for the layout and at `runner` for what the shim does all day. Linux only.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "service-shim needs Linux: pidfds, splice(2) and /proc are what its guarantees rest on"
);

pub mod agent;
mod entry;
pub mod exit;
mod forward;
pub mod identity;
pub mod log;
pub mod policy;
mod procfs;
pub mod protocol;
pub mod run_dir;
mod runner;
pub mod shore;
pub mod signal;
pub mod spec;
mod sys;
mod users;

pub use entry::{
    AGENT_VERB, EMBEDDED_FLAG, FORWARD_VERB, Task, is_embedded, main, run_if_asked, serve_on_thread,
};
pub use exit::{Escalation, ExitRecord, Leftovers, StopReport};
pub use identity::{Identity, ProcessRef};
pub use policy::{LogMode, LogPolicy, LogTotal, OnFull, StopPolicy, StopScope};
pub use protocol::{NotifyState, StartFailure, StartFailureKind};
pub use run_dir::{RunDir, is_instance_id, remove_run_dir};
pub use signal::{Signal, UnknownSignal};
pub use spec::{LAYOUT_VERSION, LaunchRecord, LaunchSpec, RawString};
