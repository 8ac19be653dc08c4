//! Events as a stream that survives its connection, and its daemon.
//!
//! Owns: the last sequence number seen. Never skips: what the daemon no longer keeps is told as missed.

use futures_lite::StreamExt;
use harness_wire::Subscription as Items;
use service_orchestration::report::Event;

use super::connection::Connection;
use super::recover::Departure;
use super::{ClientError, HarnessClient};
use crate::protocol::method::SubscribeEvents;
use crate::protocol::{ErrorCode, Method, SubscribeParams, Subscription};

/// A subscription to events. Ends only with an error, or after the last event when only the past was asked for.
#[derive(Debug)]
pub struct EventStream {
    client: HarnessClient,
    params: SubscribeParams,
    open: Option<(Connection, Items<Event>)>,
    missed: u64,
    /// How the last daemon went away, while there is no other.
    departure: Departure,
}

impl HarnessClient {
    /// Subscribes to events. After [`SubscribeParams::until_now`] the stream ends by itself.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn events(&self, params: SubscribeParams) -> Result<EventStream, ClientError> {
        let mut connection = self.connection().await?;
        let mut stream = EventStream {
            client: self.clone(),
            params,
            open: None,
            missed: 0,
            departure: Departure::Killed,
        };
        while let Err(error) = stream.subscribe(connection).await {
            let ClientError::Lost { .. } = error else {
                return Err(error);
            };
            connection = self.reconnect(Departure::of(&error)).await?;
        }
        Ok(stream)
    }
}

impl EventStream {
    /// The next event; `None` at the end.
    ///
    /// A lost connection is made anew and the subscription goes on after the last event seen; so too when the daemon
    /// has ended and another one comes.
    ///
    /// # Errors
    /// [`ClientError`]; the stream is over then.
    ///
    /// # Cancellation
    /// Dropping the future loses no event.
    pub async fn next(&mut self) -> Option<Result<Event, ClientError>> {
        loop {
            let Some((connection, items)) = &mut self.open else {
                let connection = match self.client.reconnect(self.departure).await {
                    Ok(connection) => connection,
                    Err(error) => return Some(Err(error)),
                };
                match self.subscribe(connection).await {
                    Ok(()) => continue,
                    Err(error @ ClientError::Lost { .. }) => {
                        self.departure = Departure::of(&error);
                        continue;
                    }
                    Err(error) => return Some(Err(error)),
                }
            };
            let item = connection.drive(items.next()).await;
            let Some(item) = item else {
                if self.params.until_now {
                    return None;
                }
                // The daemon has ended in order: the next one goes on where it was.
                self.departure = Departure::InOrder;
                self.open = None;
                continue;
            };
            match item {
                Ok(event) => {
                    self.params.since = Some(event.seq + 1);
                    return Some(Ok(event));
                }
                Err(error) => match ClientError::of_subscription(error, SubscribeEvents::NAME) {
                    error @ ClientError::Lost { .. } => {
                        self.departure = Departure::of(&error);
                        self.open = None;
                    }
                    ClientError::Api(error) if error.code == ErrorCode::Lagged => self.open = None,
                    error => return Some(Err(error)),
                },
            }
        }
    }

    /// How many events were no longer kept when they were asked for, since the last call.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    async fn subscribe(&mut self, connection: Connection) -> Result<(), ClientError> {
        let opening = connection
            .client()
            .subscribe(SubscribeEvents::NAME, &self.params);
        let opened = connection.drive(opening).await;
        let items: Items<Event> =
            opened.map_err(|error| ClientError::of_call(error, SubscribeEvents::NAME))?;
        let greeting: Subscription =
            items.greeting().map_err(|source| ClientError::Unreadable {
                method: SubscribeEvents::NAME.to_owned(),
                source,
            })?;
        self.missed += greeting.missed;
        // Asked for "from now on", and what happens while the connection is away belongs to it.
        self.params.since.get_or_insert(greeting.next);
        self.open = Some((connection, items));
        Ok(())
    }
}
