//! What is decided: one unit's life, and which units may move.
//!
//! Owns: every unit's state, attempt, timers and what is wanted of it. Only [`World::step`] changes them.
//! Never touches a clock, a process, a file or a log: time comes in with each step, and what shall be done goes out
//! as [`Effect`]s that the supervisor carries out.
//!
//! Invariants, recomputed by [`World::check`] or held by the random worlds of the tests:
//! 1. A unit has at most one attempt that may be alive. Nothing is launched before the end of the one before was
//!    confirmed; an end that was never confirmed is [`State::Lost`], and nothing is launched over it.
//! 2. A unit is launched only while it is wanted and not held, and every gate it waits for is open (or it was started
//!    `gateless`). A gate is shut as soon as the unit behind it shall stop, even while that still runs, and that of
//!    what has completed while a gate is shut that it needed itself.
//! 3. Down in reverse: a stop that somebody asked for waits until no unit that needs this one, directly or through
//!    units of which nothing runs, and is itself on its way down, may still be alive. Units that shall go
//!    on running do not hold it back, lost ones do not, and force does not wait at all.
//! 4. A running unit is never stopped because another failed. A `restart` edge renews it, once per new attempt of the
//!    other, when the other's gate opens again.
//! 5. `Publish` and `Withdraw` of an attempt alternate; between them it is ready and healthy.
//! 6. Reports of another attempt and timers of another stay change nothing.
//! 7. What is cached of the graph equals what is recomputed from the units' own facts.
//! 8. When no process misbehaves any more, every world comes to rest.
//!
//! Start reading at [`World`], then `lifecycle` (one unit), then `plan` (the graph).

mod backoff;
mod budget;
mod command;
mod face;
mod graph;
mod kind;
mod life;
mod lifecycle;
mod moves;
mod oracle;
mod plan;
mod restart;
mod restore;
mod verdict;
mod view;
mod vocabulary;
mod why;
mod world;

pub use budget::Budget;
pub use graph::{DefineError, StillActive};
pub use kind::{Gate, UnitKind};
pub use life::Cause;
pub use moves::LADDER_MARGIN;
pub use restart::{Backoff, CrashLoop, Restart, RestartWhen};
pub use restore::Restored;
pub use verdict::{Goal, Obstacle, Verdict};
pub use view::{View, Waiting};
pub use vocabulary::{
    Attempt, Command, Edge, Effect, End, Index, Input, LaunchFailure, Moved, Policy, Report, State,
    Token,
};
pub use why::{Because, Reason, Why};
pub use world::World;
