//! A connection whose other end is known, and not let in yet.
//!
//! Owns: the rest of the way in, for a client ([`Visitor`]) and for somebody without a certificate ([`Applicant`]), under
//! the deadline of the whole way. Never decides who may come in: the caller does, who has the register.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::FutureExt;

use super::acceptor::{AcceptError, Gate};
use super::greeting::{Explanation, Greeting, HelloError, greet};
use super::session::Session;
use super::upgrade::Rules;
use crate::enrol::{self, Application, Granted};
use crate::error::RpcError;
use crate::frame;
use crate::identity::PeerIdentity;
use crate::limits::Limits;
use crate::link::{Link, LinkError, Transport};

/// Whoever came through TLS.
#[derive(Debug)]
pub enum Arrival {
    /// It has a certificate of this installation.
    Client(Visitor),
    /// It has none, and applies for one.
    Applicant(Applicant),
}

/// A client with a certificate of this installation. Whether it is still welcome, the caller decides.
pub struct Visitor {
    pub(super) stream: Transport,
    pub(super) gate: Arc<Gate>,
    pub(super) rules: Rules,
    pub(super) identity: PeerIdentity,
    pub(super) deadline: Deadline,
}

/// Somebody without a certificate, who may ask one question.
pub struct Applicant {
    pub(super) stream: Transport,
    pub(super) deadline: Deadline,
}

/// When the way in must be over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at: Instant,
    within: Duration,
}

impl Deadline {
    pub(super) fn new(within: Duration) -> Self {
        Self {
            at: Instant::now() + within,
            within,
        }
    }

    pub(super) async fn bound<T>(
        self,
        work: impl Future<Output = Result<T, AcceptError>>,
    ) -> Result<T, AcceptError> {
        let too_late = async {
            Timer::at(self.at).await;
            Err(AcceptError::TimedOut {
                within: self.within,
            })
        };
        work.or(too_late).await
    }
}

impl Visitor {
    /// Who it is, as its certificate says.
    pub fn identity(&self) -> &PeerIdentity {
        &self.identity
    }

    /// Lets it in: as whom, and within which bounds.
    ///
    /// # Errors
    /// [`AcceptError`]; the client has been told as far as the protocol allows.
    ///
    /// # Cancellation
    /// Dropping the future drops the connection.
    pub async fn admit(
        self,
        identity: PeerIdentity,
        limits: Limits,
    ) -> Result<Session, AcceptError> {
        let deadline = self.deadline;
        // On the heap: else what is only needed to come in would lie in the session's future for good.
        deadline
            .bound(Box::pin(self.admit_now(identity, limits)))
            .await
    }

    async fn admit_now(
        self,
        identity: PeerIdentity,
        limits: Limits,
    ) -> Result<Session, AcceptError> {
        match self.greeted(&limits).await? {
            (link, Ok(greeting)) => {
                let session = Session::new(link, limits, identity, greeting.agreed);
                session.greet(greeting.answer);
                Ok(session)
            }
            (mut link, Err((error, answer))) => {
                if let Some((id, answer)) = answer {
                    let mut answer = Some(frame::failure(id.as_ref(), &answer));
                    link.close(&LinkError::Abandoned, || answer.take().map(Into::into))
                        .await;
                }
                Err(error.into())
            }
        }
    }

    /// Turns it away with this answer to its `hello`.
    ///
    /// # Errors
    /// [`AcceptError`] when it could not be told.
    pub async fn refuse(self, error: RpcError) -> Result<(), AcceptError> {
        let deadline = self.deadline;
        let limits = self.gate.limits.clone();
        let telling = async {
            let (mut link, greeting) = self.greeted(&limits).await?;
            let id = match &greeting {
                Ok(greeting) => Some(greeting.id.clone()),
                Err((_, answer)) => answer.as_ref().and_then(|(id, _)| id.clone()),
            };
            let mut answer = Some(frame::failure(id.as_ref(), &error));
            link.close(&LinkError::Abandoned, || answer.take().map(Into::into))
                .await;
            Ok(())
        };
        deadline.bound(Box::pin(telling)).await
    }

    /// The upgrade and the first message.
    async fn greeted(
        self,
        limits: &Limits,
    ) -> Result<(Link, Result<Greeting, (HelloError, Explanation)>), AcceptError> {
        let socket = self.rules.upgrade(self.stream, limits).await?;
        let mut link = Link::new(socket, limits.clone());
        let greeting = greet(&mut link, &self.gate.hello, limits.max_depth).await;
        Ok((link, greeting))
    }
}

impl Applicant {
    /// Its question.
    ///
    /// # Errors
    /// [`AcceptError`].
    pub async fn application(&mut self) -> Result<Application, AcceptError> {
        let deadline = self.deadline;
        let read = async {
            enrol::receive(&mut self.stream)
                .await
                .map_err(AcceptError::Application)
        };
        deadline.bound(read).await
    }

    /// Answers it and ends the connection.
    ///
    /// # Errors
    /// [`AcceptError`] when it could not be told.
    pub async fn answer(mut self, outcome: Result<Granted, RpcError>) -> Result<(), AcceptError> {
        let deadline = self.deadline;
        let told = async {
            enrol::answer(&mut self.stream, outcome)
                .await
                .map_err(AcceptError::Application)
        };
        deadline.bound(told).await
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visitor")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Applicant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applicant").finish_non_exhaustive()
    }
}
