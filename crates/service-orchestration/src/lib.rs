//! Runs services wherever each belongs and keeps them the way their stack says.
//!
//! Owns: the model of a stack ([`model`]), what a unit is told to be ([`spec`]), the loop that acts on both, executors,
//! probes and logs. Never parses YAML, never draws on a terminal, never listens on a socket of its own.
//!
//! Start reading at [`spec`] (what is wanted), then [`model`] (what is decided).

pub mod model;
pub mod spec;
