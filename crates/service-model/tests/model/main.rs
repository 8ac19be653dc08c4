//! What the model decides, shown under virtual time.
//!
//! Owns: named behaviours (one file per theme) and random worlds. No process, no clock, no sleep: [`sim`] plays the
//! shell and the processes.

mod adoption;
mod chaos;
mod dice;
mod faults;
mod graph;
mod health;
mod random;
mod restarting;
mod sim;
mod starting;
mod stopping;
mod telling;
mod text;
mod through;
mod witness;
