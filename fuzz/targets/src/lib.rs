//! What the fuzzer feeds: one function for each kind of input that comes from outside or from a disk.
//!
//! Owns: the list of targets, and what must hold for every input: no panic, no endless loop, and what each target states
//! beyond that. The engine under `fuzz/engine` drives them; the test of this crate replays the saved inputs.

mod agent;
mod compose;
mod config;
mod log_index;
mod request;
mod shim_dir;
mod state;
mod substitution;

/// One kind of input.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of the directory of its saved inputs.
    pub name: &'static str,
    /// Takes any bytes. Panics when something does not hold.
    pub run: fn(&[u8]),
    /// No saved input is longer.
    pub max_bytes: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "agent",
        run: agent::run,
        max_bytes: 2048,
    },
    Target {
        name: "config",
        run: config::run,
        max_bytes: 4096,
    },
    Target {
        name: "compose",
        run: compose::run,
        max_bytes: 4096,
    },
    Target {
        name: "substitution",
        run: substitution::run,
        max_bytes: 512,
    },
    Target {
        name: "request",
        run: request::run,
        max_bytes: 4096,
    },
    Target {
        name: "state",
        run: state::run,
        max_bytes: 8192,
    },
    Target {
        name: "log-index",
        run: log_index::run,
        max_bytes: 2048,
    },
    Target {
        name: "shim-dir",
        run: shim_dir::run,
        max_bytes: 4096,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
