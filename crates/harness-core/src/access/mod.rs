//! Who may come in, and as what.
//!
//! Owns: nothing itself. [`register`] decides, [`keeper`] carries it out and keeps it, [`token`] is what an invited person
//! is handed, [`limits`] says what each role may cost.

mod clock;
mod invite;
mod keeper;
mod limits;
mod register;
mod token;

pub use clock::WallClock;
pub(crate) use keeper::{Access, Pass};
pub(crate) use limits::{limits_of, max_entries, max_watches};
pub use token::TokenError;
pub(crate) use token::{Token, hex};
