//! Ports that are reached from their own host only.
//!
//! Owns: what a connection that is made there says of the unit, and what only of the way to its host.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use async_io::Async;

use super::tcp::not_connected;
use super::{Answer, Surroundings};
use crate::executors::AttemptControl;

/// A port, as its own host reaches it.
#[derive(Clone, Debug)]
pub(crate) struct FarPort {
    control: Arc<dyn AttemptControl>,
    to: SocketAddr,
}

impl FarPort {
    /// A port of the unit itself, where no way leads to it from here.
    pub(super) fn of(from: &Surroundings, host: Option<&str>, port: u16) -> Option<Self> {
        let control = from.dialer.as_ref().filter(|_| from.is_own(host))?;
        Some(Self {
            control: Arc::clone(control),
            to: SocketAddr::new(from.there, port),
        })
    }

    /// A connection to it; else what that says.
    pub(super) async fn connect(&self) -> Result<Async<UnixStream>, Answer> {
        let dialled = self.control.dial(self.to).await;
        let dialled = dialled.map_err(|error| Answer::unknown(crate::error_chain(&error)))?;
        let what = || format!("cannot connect to {} there", self.to);
        let stream = dialled.map_err(|error| not_connected(&what(), &error))?;
        Async::new(stream).map_err(|error| Answer::unknown(error.to_string()))
    }
}
