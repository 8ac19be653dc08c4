//! The subscription to changes of the registry.
//!
//! Owns: one reader's place in the changes, and how many watches each client has open. A reader costs no queue: it reads
//! what the registry keeps, and one that fell behind is told how things stand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_lite::{StreamExt, future};
use harness_wire::{PublishError, Publisher, Responder, Role};
use service_registry::{Change, ChangeKind, Entry, InstanceKey, Registry, Snapshot, Update, Watch};

use super::registry::PART_BYTES;
use super::serve::Caller;
use super::shared::Shared;
use crate::access::max_watches;
use crate::protocol::{
    ApiError, ErrorCode, InstanceName, NamePattern, RegistryCursor, RegistryEntry, RegistryEvent,
    RegistryWatchParams, RegistryWatching, SCHEMA_VERSION, SnapshotReason, UnregisterReason,
};

/// How many watches each client has open.
#[derive(Debug, Default)]
pub(super) struct Watches {
    // A lock, because the sessions of a client run on any thread. It is held for a count.
    open: Mutex<BTreeMap<String, usize>>,
}

/// One of them, until it is dropped.
struct Place<'a> {
    watches: &'a Watches,
    client: &'a str,
}

impl Watches {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter<'a>(&'a self, client: &'a str, role: Role) -> Result<Place<'a>, ApiError> {
        let most = max_watches(role);
        let mut open = self.open();
        let count = open.entry(client.to_owned()).or_default();
        if *count >= most {
            let message = format!("`{client}` has {most} watches of the registry open already");
            let data = serde_json::json!({ "most": most });
            return Err(ApiError::new(ErrorCode::TooMany, message).with_data(data));
        }
        *count += 1;
        Ok(Place {
            watches: self,
            client,
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut open = self.watches.open();
        if let Some(count) = open.get_mut(self.client) {
            *count -= 1;
            if *count == 0 {
                open.remove(self.client);
            }
        }
    }
}

/// Serves one watch until nobody reads any more.
pub(super) async fn watch(
    shared: &Shared,
    caller: &Caller,
    role: Role,
    params: RegistryWatchParams,
    responder: Responder,
) {
    let _place = match shared.watches.enter(&caller.identity.name, role) {
        Ok(place) => place,
        Err(error) => return responder.error(&error.into()),
    };
    let registry = shared.manager.registry();
    let greeting = RegistryWatching {
        schema_version: SCHEMA_VERSION,
    };
    let mut reader = Reader {
        registry,
        within: params.within,
        publisher: responder.subscribe(&greeting),
    };
    // However it ends, nobody is there any more to be told.
    let _gone = match params.since {
        Some(cursor) => reader.follow(registry.watch_from(cursor.0)).await,
        None => {
            let snapshot = registry.snapshot();
            let watch = registry.watch_from(snapshot.cursor);
            match reader.snapshot(&snapshot, SnapshotReason::First).await {
                Ok(()) => reader.follow(watch).await,
                Err(error) => Err(error),
            }
        }
    };
}

struct Reader<'a> {
    registry: &'a Registry,
    within: Option<NamePattern>,
    publisher: Publisher,
}

impl Reader<'_> {
    async fn follow(&mut self, mut watch: Watch) -> Result<(), PublishError> {
        loop {
            let update = async { Ok(watch.next().await) };
            let gone = async {
                self.publisher.closed().await;
                Err(PublishError::Closed)
            };
            match future::or(update, gone).await? {
                Some(Update::Change(change)) => {
                    let cursor = RegistryCursor(watch.cursor());
                    self.change(&change, cursor).await?;
                }
                Some(Update::Gap(snapshot)) => {
                    self.snapshot(&snapshot, SnapshotReason::Gap).await?;
                }
                None => return Ok(()),
            }
        }
    }

    async fn change(
        &mut self,
        change: &Change,
        cursor: RegistryCursor,
    ) -> Result<(), PublishError> {
        let event = match &change.kind {
            ChangeKind::Published(entry) => self
                .entry(entry)
                .map(|entry| RegistryEvent::ServiceRegistered { cursor, entry }),
            ChangeKind::HealthChanged(entry) => self
                .entry(entry)
                .map(|entry| RegistryEvent::ServiceHealthChanged { cursor, entry }),
            ChangeKind::Withdrawn(key, run) => {
                self.name(key)
                    .map(|name| RegistryEvent::ServiceUnregistered {
                        cursor,
                        name,
                        incarnation: run.0,
                        reason: UnregisterReason::Withdrawn,
                    })
            }
            ChangeKind::Lost(key, run) => {
                self.name(key)
                    .map(|name| RegistryEvent::ServiceUnregistered {
                        cursor,
                        name,
                        incarnation: run.0,
                        reason: UnregisterReason::Lost,
                    })
            }
        };
        match event {
            Some(event) => self.publisher.send(&event).await,
            None => Ok(()),
        }
    }

    /// How things stand, in as many parts as it takes.
    async fn snapshot(
        &mut self,
        snapshot: &Snapshot,
        reason: SnapshotReason,
    ) -> Result<(), PublishError> {
        let (mut entries, mut weight) = (Vec::new(), 0);
        for entry in &snapshot.entries {
            let Some(entry) = self.entry(entry) else {
                continue;
            };
            weight += entry.weight();
            if weight > PART_BYTES && !entries.is_empty() {
                weight = entry.weight();
                let part = RegistryEvent::Snapshot {
                    reason,
                    entries: std::mem::take(&mut entries),
                    cursor: None,
                };
                self.publisher.send(&part).await?;
            }
            entries.push(entry);
        }
        let last = RegistryEvent::Snapshot {
            reason,
            entries,
            cursor: Some(RegistryCursor(snapshot.cursor)),
        };
        self.publisher.send(&last).await
    }

    fn name(&self, key: &InstanceKey) -> Option<InstanceName> {
        let service = &key.service;
        let within = self.within.as_ref();
        let is_meant =
            within.is_none_or(|within| within.contains(&service.stack, &service.service));
        is_meant.then(|| InstanceName::of(key)).flatten()
    }

    fn entry(&self, entry: &Arc<Entry>) -> Option<RegistryEntry> {
        self.name(&entry.key)?;
        RegistryEntry::of(entry, self.registry.owner(&entry.key).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_watches_and_no_more_until_one_ends() {
        let watches = Watches::default();
        let most = max_watches(Role::Observer);
        let mut open: Vec<_> = (0..most)
            .map(|_| {
                watches
                    .enter("ci", Role::Observer)
                    .map_err(|error| error.code)
            })
            .collect();
        let refused = watches.enter("ci", Role::Observer).map(drop);
        assert_eq!(refused.map_err(|error| error.code), Err(ErrorCode::TooMany));
        assert!(watches.enter("other", Role::Observer).is_ok());
        open.pop();
        assert!(watches.enter("ci", Role::Observer).is_ok());
        drop(open);
        assert!(watches.open().is_empty());
    }
}
