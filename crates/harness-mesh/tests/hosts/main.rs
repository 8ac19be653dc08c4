//! Meshes of real hosts: sets of `docker-test-env/hosts`, each with an sshd, a network and processes of its own.
//!
//! `cargo nextest run -p harness-mesh --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod joined;
mod place;
mod secrets;
