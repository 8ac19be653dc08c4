//! Against engines that misbehave, each made of a few lines, at a unix socket.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod answers;
mod connections;
mod streams;
mod support;
