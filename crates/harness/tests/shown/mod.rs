//! What the tests named `shown_*` share: a sandboxed daemon, for whoever runs the tests and for a user without rights.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]

mod remains;
mod sandbox;
mod units;

pub(crate) use sandbox::{DEADLINE, Sandbox, kill, resident_kb, started};
