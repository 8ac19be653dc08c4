//! What every test of this workspace shares: a misbehaving program, deadlines, and all runtimes.
//!
//! Owns: the program `fixture`, how it and the shim are found, waiting for a stated condition under a deadline, running
//! one test body under several runtimes, looking at the processes of this machine. Never part of a released program.
//!
//! Look next: [`run_everywhere`] to start, [`fixture_path`] for the program, [`lines`] for exact output. The tests
//! of this crate that need the fixture show each of its subcommands.

mod everywhere;
mod find_program;
mod hosts;
pub mod lines;
mod ports;
mod processes;
mod samples;
mod terminal;
mod wait;

pub use everywhere::run_everywhere;
pub use find_program::{fixture_path, shim_path};
pub use hosts::Hosts;
pub use ports::free_port;
pub use processes::{
    ThreadAtWork, alive, group_members, is_stopped, next_timer, parent_of, process_state,
    processes_with_env, session_of, threads_of,
};
pub use samples::{Sample, samples, samples_of};
pub use tempfile::TempDir;
pub use terminal::Terminal;
pub use wait::{
    at_rest_blocking, eventually, eventually_async, eventually_blocking, in_time, within,
};

/// A fresh directory that is removed when the value is dropped.
///
/// # Panics
/// When the system's temporary directory cannot be written.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("harness-test-")
        .tempdir()
        .expect("the temporary directory can be written")
}
