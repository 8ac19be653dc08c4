//! How the health of a unit is asked for, and what its answers amount to.
//!
//! Owns: the questions ([`Asked`]), the counting of answers ([`Tally`], [`ProbeSet`]: pure) and the loop that asks
//! ([`run()`]). Never restarts or stops a unit: it reports, and the model decides.
//!
//! Start reading at [`Asked`] and [`Answer`], then [`Tally`], then [`run()`]. A new kind of question is one file here
//! and one line in `ask.rs`.

mod answer;
mod ask;
mod asked;
mod command;
mod dial;
mod http;
mod inside;
mod output;
mod pushed;
mod run;
mod schedule;
mod set;
mod slots;
mod sweep;
mod tally;
mod tcp;

pub use answer::{Answer, CustomProbe};
pub use ask::{Prober, ask};
pub use asked::{Asked, PrepareError, Surroundings};
pub use pushed::Feed;
pub use run::{Checked, Probes, run};
pub use schedule::Schedule;
pub use set::{Health, ProbeEvent, ProbeSet, Role, Rules};
pub use tally::{Rule, Tally, Verdict};
