//! Processes that outlive whoever launched them: each has a shim beside it, which keeps its output and its end. Where that
//! is, the [`Shore`] knows.
//!
//! Owns: the asynchronous half of [`service_shim`]: launching, adopting, hearing of and ending one attempt. Never
//! restarts anything and keeps no list: each [`SupervisedProcess`] carries its own connection. Works under any
//! async runtime. Output is not here: read it with [`service_shim::log::LogReader`].

mod adopt;
mod control;
mod error;
mod launch;
mod line;
mod order;
mod process;
mod program;
mod remote;
mod shore;

pub use adopt::{Adopted, adopt};
pub use control::Control;
pub use error::{AdoptError, ControlError, LaunchError, ShoreError};
pub use launch::launch;
pub use order::SupervisedLaunch;
pub use process::{SupervisedEvent, SupervisedProcess};
pub(crate) use program::ShimChild;
pub use program::ShimProgram;
pub use service_shim::remove_run_dir;
pub use shore::Shore;
