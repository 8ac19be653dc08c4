//! The way to the next daemon, when the one that was asked is gone.
//!
//! Owns: what its going means. One that was killed is followed at once by one that this client brings up, if it may bring
//! one up at all; one that ended in order was ended by somebody, who knows when the next one shall come. Never decides
//! whether something is asked again: the calls do.

use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;
use harness_wire::LinkError;

use super::connect::{Way, connect};
use super::connection::Connection;
use super::launch::{Starter, bring_up};
use super::{ClientError, ConnectError, HarnessClient};
use crate::dirs::Dirs;
use crate::files::{Watch, has_active_stacks, is_being_started};
use crate::protocol::ErrorCode;

/// How a daemon went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Departure {
    /// Without a word.
    Killed,
    /// It said so before.
    InOrder,
}

impl Departure {
    /// What a lost connection tells of the daemon.
    pub(super) fn of(error: &ClientError) -> Self {
        match error {
            ClientError::Lost { end, .. } if matches!(**end, LinkError::Closed { .. }) => {
                Self::InOrder
            }
            _ => Self::Killed,
        }
    }
}

impl HarnessClient {
    /// A new connection after one was lost, to the next daemon if need be.
    ///
    /// Where it may not bring one up, it waits up to [`PATIENCE`] for one to come: whoever ended the last one may be
    /// starting the next.
    pub(super) async fn reconnect(&self, departure: Departure) -> Result<Connection, ClientError> {
        let way = self.way();
        let watch = way
            .watch()
            .map_err(|error| ConnectError::Unreadable(Box::new(error)))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let error = match connect(way).await {
                Ok(connection) => {
                    self.replace(&connection);
                    return Ok(connection);
                }
                Err(error @ (ConnectError::NotRunning { .. } | ConnectError::NoAnswer { .. })) => {
                    error
                }
                Err(error) => return Err(error.into()),
            };
            if departure == Departure::Killed
                && let Some((dirs, starter)) = way.successor_for(&error)
            {
                // On the heap, as it is rare and large.
                let connection = Box::pin(bring_up(dirs, &starter.daemon)).await;
                let connection =
                    connection.map_err(|error| ClientError::Launch(Box::new(error)))?;
                self.replace(&connection);
                return Ok(connection);
            }
            if !changed(watch.as_ref(), deadline).await {
                return Err(error.into());
            }
        }
    }

    /// How the daemon goes away that brought this error instead of an answer, where the next one may bring the answer. Of
    /// one that says that it ends, the end is waited for.
    pub(super) async fn departure(
        &self,
        error: &ClientError,
        connection: &Connection,
    ) -> Option<Departure> {
        match error {
            ClientError::Lost { .. } => Some(Departure::of(error)),
            ClientError::Api(api) if api.code == ErrorCode::ShuttingDown => {
                connection.ended().await;
                self.leaves_work().then_some(Departure::InOrder)
            }
            _ => None,
        }
    }

    /// Whether something is left for the next daemon to go on with, as far as can be told from here.
    pub(super) fn leaves_work(&self) -> bool {
        match self.way() {
            Way::Local(dirs, _) => has_active_stacks(dirs.state()) || self.is_being_replaced(),
            Way::Remote(_) => true,
        }
    }

    /// Whether whoever ends the daemon brings the next one up, as far as can be told from here.
    pub(super) fn is_being_replaced(&self) -> bool {
        match self.way() {
            Way::Local(dirs, _) => is_being_started(dirs.state()),
            Way::Remote(_) => false,
        }
    }
}

/// Waits for something to change; false when it is too late.
async fn changed(watch: Option<&Watch>, deadline: Instant) -> bool {
    let changed = async {
        match watch {
            Some(watch) => {
                let _unseen = watch.changed().await;
            }
            // Nobody tells when a daemon elsewhere is back.
            None => {
                Timer::after(REMOTE_RETRY).await;
            }
        }
        true
    };
    let too_late = async {
        Timer::at(deadline).await;
        false
    };
    future::or(changed, too_late).await
}

impl Way {
    /// How to bring a daemon up where this error says that there is none, if this client may.
    pub(super) fn starter_for(&self, error: &ConnectError) -> Option<(&Dirs, &Starter)> {
        match self {
            Self::Local(dirs, Some(starter)) if starter.may_start(dirs, error) => {
                Some((dirs, starter))
            }
            Self::Local(..) | Self::Remote(_) => None,
        }
    }

    /// How to bring up the next daemon after one that was killed while it was asked. Whether anything is left to look
    /// after does not matter: the last that it did may have been to end that, and who asked has no answer yet.
    fn successor_for(&self, error: &ConnectError) -> Option<(&Dirs, &Starter)> {
        match self {
            Self::Local(dirs, Some(starter)) => {
                starter.may_follow(error).then_some((dirs, starter))
            }
            Self::Local(_, None) | Self::Remote(_) => None,
        }
    }

    fn watch(&self) -> std::io::Result<Option<Watch>> {
        match self {
            Self::Local(dirs, _) => Watch::new(dirs.state()).map(Some),
            Self::Remote(_) => Ok(None),
        }
    }
}

/// How often a daemon elsewhere is tried.
const REMOTE_RETRY: Duration = Duration::from_millis(250);
/// How long a lost daemon is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
