//! What the benchmarks share: a stage, contenders, figures and the table.
//!
//! A benchmark is a program under `src/bin`: it puts every contender that is installed on the same stage, in the same
//! run, and prints medians with their ratio to the floor. The floor is the least that does the job at all: a
//! `posix_spawn` loop, a copy from pipe to file. None of this is a test; nothing here judges a figure.
//!
//! Start reading at [`contender`] (what is compared) and [`stage`] (how services tell that they run).

pub mod compose;
pub mod contender;
pub mod failure;
pub mod figures;
pub mod floor;
pub mod hosts;
mod layout;
pub mod link;
pub mod machine;
pub mod ours;
pub mod process;
pub mod pump;
pub mod report;
pub mod runit;
pub mod s6;
pub mod service;
pub mod ssh;
pub mod stage;
pub mod supervisord;
pub mod tunnel;
pub mod writer;
