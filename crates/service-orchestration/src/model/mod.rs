//! What is decided: one unit's life, and which units may move.
//!
//! Owns: every unit's state, attempt, timers and what is wanted of it. Only `World::step` changes them.
//! Never touches a clock, a process, a file or a log: time comes in with each step, and what shall be done goes out
//! as [`Effect`]s that the supervisor carries out.

mod vocabulary;

pub use vocabulary::{
    Attempt, Command, Edge, Effect, End, Index, Input, LaunchFailure, Moved, Policy, Report, State,
    Token,
};
