//! A typed client of the Docker Engine API: docker, and podman where it speaks the same.
//!
//! Owns: finding the engine, the connections to it, and what its answers mean. Never decides when anything runs, never
//! retries what changes something, keeps nothing about any container, spawns no task and no thread. Works under any
//! async runtime. Pulling, building and interactive shells are left to the command line that [`Engine::cli`] names.
//!
//! | to | use |
//! |---|---|
//! | find the engine | [`Engine::discover`], [`Engine::at_socket`], [`Engine::over_stdio`], [`Engine::over`] |
//! | make, start, signal, look at, remove | [`Engine::create`], [`Engine::start`], [`Engine::kill`], [`Engine::inspect`], [`Engine::remove`] |
//! | find one's own again | [`Engine::list`] with labels in [`Filters`] |
//! | read output | [`Engine::logs`] |
//! | learn what happens | [`Engine::events`] |
//! | write to its standard input | [`Engine::attach_input`] |
//! | run something inside | [`Engine::exec`]; a container's own check, where the engine does not: [`Engine::check`] |
//! | see what is there | [`Engine::image`], [`Engine::networks`], [`Engine::volumes`], [`Engine::info`] |
//!
//! ```no_run
//! # async fn run() -> Result<(), container_engine::EngineError> {
//! use container_engine::{ContainerConfig, Discovery, Engine, LogsQuery};
//! use futures::StreamExt;
//!
//! let engine = Engine::discover(&Discovery::from_env())?;
//! let config = ContainerConfig {
//!     image: "busybox".to_owned(),
//!     command: Some(vec!["echo".to_owned(), "hello".to_owned()]),
//!     environment: [("GREETING", "hello")].into_iter().collect(),
//!     ..ContainerConfig::default()
//! };
//! let container = engine.create("greeter", &config).await?;
//! engine.start(&container).await?;
//! let follow = LogsQuery { follow: true, ..LogsQuery::default() };
//! let mut logs = engine.logs(&container, &follow).await?;
//! while let Some(record) = logs.next().await {
//!     let record = record?;
//!     println!("{} {:?}", record.time_ns, record.bytes);
//! }
//! let ended = engine.wait(&container).await?;
//! println!("exit code {}", ended.exit_code);
//! engine.remove(&container, false, true).await?;
//! # Ok(())
//! # }
//! ```

mod address;
mod attach;
mod call;
mod container;
mod dial;
mod discovery;
mod engine;
mod error;
mod events;
mod exec;
mod frames;
mod id;
mod image;
mod info;
mod json;
mod logs;
mod network;
mod refusal;
mod stdio;
mod target;
mod time;
mod version;
mod volume;

pub use address::EngineAddress;
pub use container::*;
pub use dial::{ByteStream, Dial};
pub use discovery::Discovery;
pub use engine::{Engine, Timeouts};
pub use error::{EngineError, Object};
pub use events::{
    ContainerAction, EngineEvent, EventKind, EventStream, EventsQuery, NetworkAction,
};
pub use exec::{ExecConfig, ExecEnd, ExecLimits, ExecOutcome};
pub use frames::{FrameError, Frames, LogRecord, LogSource, Records};
pub use id::ContainerId;
pub use image::Image;
pub use info::{Capabilities, EngineInfo};
pub use logs::{LogStream, LogsQuery};
pub use network::{Network, NetworkConfig};
pub use target::Filters;
pub use version::ApiVersion;
pub use volume::{Volume, VolumeConfig};
