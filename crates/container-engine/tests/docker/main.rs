//! Against the engine that answers on this machine, with the image `harness-test/busybox` (see docker-test-env).
//!
//! `cargo nextest run -p container-engine --features docker-tests`

#![cfg(feature = "docker-tests")]
#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod events;
mod exec;
mod lifecycle;
mod logs;
mod parts;
mod refusals;
mod support;
mod transport;
