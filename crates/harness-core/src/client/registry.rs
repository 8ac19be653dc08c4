//! The registry of the daemon: looking services up, and following what changes.
//!
//! Owns: the last cursor seen. A watch survives its connection and its daemon; what it missed meanwhile comes as a
//! snapshot.

use futures_lite::StreamExt;
use harness_wire::Subscription as Items;

use super::connection::Connection;
use super::recover::Departure;
use super::{ClientError, HarnessClient};
use crate::protocol::method::{
    ListRegistry, PublishService, RenewLease, ResolveService, WatchRegistry, WithdrawService,
};
use crate::protocol::{
    InstanceName, Method, NamePattern, RegistryCursor, RegistryEntry, RegistryEvent,
    RegistryListParams, RegistryPublishParams, RegistryPublished, RegistryRenewParams,
    RegistryResolveParams, RegistryResolved, RegistryWatchParams, RegistryWithdrawParams,
    ResolveFrom,
};

impl HarnessClient {
    /// What is listed below this (`None`: all of it), in the order of the names.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn registry(
        &self,
        within: Option<NamePattern>,
    ) -> Result<Vec<RegistryEntry>, ClientError> {
        let mut params = RegistryListParams {
            within,
            after: None,
        };
        let mut entries: Vec<RegistryEntry> = Vec::new();
        loop {
            let mut part = self.call::<ListRegistry>(&params).await?;
            entries.append(&mut part.items);
            match entries.last() {
                Some(last) if part.more => params.after = Some(last.name.clone()),
                Some(_) | None => return Ok(entries),
            }
        }
    }

    /// Where a service is, for the one who asks.
    ///
    /// # Errors
    /// [`ClientError`]; [`ErrorCode::UnknownService`](crate::protocol::ErrorCode::UnknownService) when nothing of that
    /// name is listed, [`ErrorCode::NoRoute`](crate::protocol::ErrorCode::NoRoute) when it is out of reach.
    pub async fn resolve(
        &self,
        name: &InstanceName,
        from: ResolveFrom,
    ) -> Result<RegistryResolved, ClientError> {
        let name = name.clone();
        self.call::<ResolveService>(&RegistryResolveParams { name, from })
            .await
    }

    /// Lists a service that somebody runs, until its lease runs out. [`HarnessClient::register`] keeps it listed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn publish(
        &self,
        params: &RegistryPublishParams,
    ) -> Result<RegistryPublished, ClientError> {
        self.call::<PublishService>(params).await
    }

    /// A sign of life for everything that this client has listed under a lease.
    ///
    /// # Errors
    /// [`ClientError`]; [`ErrorCode::NoLease`](crate::protocol::ErrorCode::NoLease) when nothing is listed under it: it
    /// has to be published again.
    pub async fn renew_lease(&self, lease: &str) -> Result<(), ClientError> {
        let lease = lease.to_owned();
        self.call::<RenewLease>(&RegistryRenewParams { lease })
            .await
            .map(|_done| ())
    }

    /// Takes a service off the list that this client has published. Answers whether it was there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn withdraw(
        &self,
        name: &InstanceName,
        incarnation: Option<u64>,
    ) -> Result<bool, ClientError> {
        let params = RegistryWithdrawParams {
            name: name.clone(),
            incarnation,
        };
        self.call::<WithdrawService>(&params)
            .await
            .map(|withdrawn| withdrawn.changed)
    }

    /// Follows what is listed below this (`None`: all of it). Begins with a snapshot, unless it goes on from a cursor.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn watch_registry(
        &self,
        within: Option<NamePattern>,
        since: Option<RegistryCursor>,
    ) -> Result<RegistryWatch, ClientError> {
        let mut connection = self.connection().await?;
        let mut watch = RegistryWatch {
            client: self.clone(),
            params: RegistryWatchParams { within, since },
            open: None,
            parts: Vec::new(),
            departure: Departure::Killed,
        };
        while let Err(error) = watch.subscribe(connection).await {
            let ClientError::Lost { .. } = error else {
                return Err(error);
            };
            connection = self.reconnect(Departure::of(&error)).await?;
        }
        Ok(watch)
    }
}

/// The changes of a daemon's registry. Ends only with an error.
#[derive(Debug)]
pub struct RegistryWatch {
    client: HarnessClient,
    params: RegistryWatchParams,
    open: Option<(Connection, Items<RegistryEvent>)>,
    /// Of a snapshot, while it comes.
    parts: Vec<RegistryEntry>,
    /// How the last daemon went away, while there is no other.
    departure: Departure,
}

impl RegistryWatch {
    /// What happened next. A snapshot is told whole.
    ///
    /// A lost connection is made anew and the watch goes on after the last change seen; so too when the daemon has ended
    /// and another one comes, which tells how things stand.
    ///
    /// # Errors
    /// [`ClientError`]; the watch is over then.
    ///
    /// # Cancellation
    /// Dropping the future loses no change.
    pub async fn next(&mut self) -> Result<RegistryEvent, ClientError> {
        loop {
            let Some((connection, items)) = &mut self.open else {
                let connection = self.client.reconnect(self.departure).await?;
                match self.subscribe(connection).await {
                    Ok(()) => {}
                    Err(error @ ClientError::Lost { .. }) => self.departure = Departure::of(&error),
                    Err(error) => return Err(error),
                }
                continue;
            };
            match connection.drive(items.next()).await {
                Some(Ok(event)) => {
                    if let Some(event) = self.took(event) {
                        return Ok(event);
                    }
                }
                Some(Err(error)) => {
                    match ClientError::of_subscription(error, WatchRegistry::NAME) {
                        error @ ClientError::Lost { .. } => {
                            self.departure = Departure::of(&error);
                            self.open = None;
                        }
                        error => return Err(error),
                    }
                }
                // The daemon has ended in order: the next one tells how things stand.
                None => {
                    self.departure = Departure::InOrder;
                    self.open = None;
                }
            }
        }
    }

    /// Where it is: what [`HarnessClient::watch_registry`] goes on from.
    pub fn cursor(&self) -> Option<RegistryCursor> {
        self.params.since
    }

    /// The event, once it is whole.
    fn took(&mut self, event: RegistryEvent) -> Option<RegistryEvent> {
        self.params.since = event.cursor().or(self.params.since);
        match event {
            RegistryEvent::Snapshot {
                reason,
                mut entries,
                cursor,
            } => {
                self.parts.append(&mut entries);
                cursor?;
                Some(RegistryEvent::Snapshot {
                    reason,
                    entries: std::mem::take(&mut self.parts),
                    cursor,
                })
            }
            RegistryEvent::Unrecognised => None,
            event => Some(event),
        }
    }

    async fn subscribe(&mut self, connection: Connection) -> Result<(), ClientError> {
        self.parts.clear();
        let opening = connection
            .client()
            .subscribe(WatchRegistry::NAME, &self.params);
        let opened = connection.drive(opening).await;
        let items = opened.map_err(|error| ClientError::of_call(error, WatchRegistry::NAME))?;
        self.open = Some((connection, items));
        Ok(())
    }
}
