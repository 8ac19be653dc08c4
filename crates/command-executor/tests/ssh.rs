//! Commands on real hosts: those of `docker-test-env/hosts`.
//!
//! `cargo nextest run -p command-executor --features ssh-tests`

#![cfg(feature = "ssh-tests")]

#[path = "ssh/agent.rs"]
mod agent;
#[path = "ssh/carried.rs"]
mod carried;
#[path = "ssh/carried_ways.rs"]
mod carried_ways;
mod common;
#[path = "ssh/ends.rs"]
mod ends;
#[path = "ssh/failures.rs"]
mod failures;
#[path = "ssh/forwards.rs"]
mod forwards;
#[path = "ssh/place.rs"]
mod place;
#[path = "ssh/shells.rs"]
mod shells;
