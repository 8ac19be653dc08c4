//! How to run a command somewhere, and how to watch what already runs there.
//!
//! Owns: the [`Command`] to run, the traits of the places that can run it ([`Launcher`], [`Attacher`],
//! [`ExecutionLayer`]) and the local implementation of each. Never decides *whether* something runs, restarts
//! nothing and knows no services. Works under any async runtime; Linux only for now, because it holds a process by
//! pidfd and never signals a number.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! use command_executor::event::ProcessEventType;
//! use command_executor::{Command, Executor, ManagedProcess, ProcessHandle, Target};
//! use futures_lite::StreamExt;
//!
//! let executor = Executor::local();
//! let mut cmd = Command::new("sh");
//! cmd.args(["-c", "echo hello; exit 3"]);
//!
//! let target = Target::ManagedProcess(ManagedProcess::new());
//! let (mut event_stream, handle) = executor.launch(&target, cmd).await?;
//! while let Some(event) = event_stream.next().await {
//!     if event.event_type == ProcessEventType::Stdout {
//!         println!("{}", event.data);
//!     }
//! }
//! assert_eq!(handle.wait().await?.code(), Some(3));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! Look next: [`Executor`] for the entry, [`ProcessHandle`] for control, [`event`] for output.

#[cfg(not(target_os = "linux"))]
compile_error!("command-executor holds processes by pidfd and reads /proc: it needs Linux");

pub mod agent;
mod attach;
pub mod blocking;
mod clock;
mod command;
mod docker;
mod driver;
pub mod event;
mod executor;
mod exit;
mod handle;
mod launch;
mod layer;
mod local;
mod open_files;
pub mod quote;
pub mod ssh;
mod stdin;
pub mod supervised;
mod target;

pub use attach::{AttachError, AttachedHandle, AttachedStatus, Attacher, ProcessMatch};
pub use command::{Command, OutputMode, StdinMode};
pub use docker::DockerLayer;
pub use executor::{Completed, ExecuteError, Executor};
pub use exit::Exit;
pub use handle::{ProcessHandle, Signal, SignalError, WaitError};
pub use launch::{LaunchError, Launcher};
pub use layer::{ExecutionLayer, LayerError, LayeredLauncher, LocalLayer};
pub use local::{LocalAttachedHandle, LocalAttacher, LocalHandle, LocalLauncher};
pub use open_files::raise_open_files;
pub use service_shim::Identity as ProcessIdentity;
pub use ssh::SshLayer;
pub use stdin::{StdinClosed, StdinHandle};
pub use target::{AttachedProcess, ManagedProcess, Target};
