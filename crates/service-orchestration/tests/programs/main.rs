//! The manager with real programs: probes that ask them, restarts, stops, adoption.
//!
//! Owns: nothing but the list. What is decided is tested in `tests/model`, what is done with programs that play along in
//! `tests/supervisor.rs`; here it is the kernel that answers.

mod attaching;
mod driving;
mod place;
mod readiness;
mod restarting;
mod setting_up;
mod stopping;
mod surviving;
