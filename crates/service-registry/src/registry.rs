//! The registry's handle: many may read, publish and watch through clones of it.
//!
//! Owns: the one [`Ledger`] and the wakers of those who watch. Decides nothing beyond which instance answers a
//! `resolve`.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::task::Waker;

use crate::ledger::Ledger;
use crate::{
    Cursor, Detour, Entry, Incarnation, InstanceKey, Outcome, Place, Readiness, Resolved,
    RouteError, ServiceKey, Topology, Watch, detour,
};

/// Why a service has no address for the one who asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Nothing of that name has been published; try again once it is ready.
    #[error("`{0}` has not published an address")]
    Unpublished(ServiceKey),
    /// It is there, and out of reach.
    #[error("`{service}` cannot be reached")]
    NoRoute {
        /// Who was asked for.
        service: ServiceKey,
        /// Why there is no route.
        #[source]
        source: Box<RouteError>,
    },
}

/// Everything that is listed at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last change it includes: watch from here on.
    pub cursor: Cursor,
    /// The instances, in the order of their keys.
    pub entries: Vec<Arc<Entry>>,
}

/// Who is where. Cheap to clone; all clones are one registry.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    /// Tells the sequence numbers of this registry from those of another that ran before it.
    pub(crate) epoch: u64,
    // A lock and not an actor: readers on any thread have their answer within a microsecond. It is held for one
    // operation on the maps, never over an await or a waker.
    ledger: RwLock<Ledger>,
    topology: RwLock<Topology>,
    // Those whose next change has not come yet, by the number of their watch. Taken after `ledger`, never before.
    waiting: Mutex<BTreeMap<u64, Waker>>,
    watches: std::sync::atomic::AtomicU64,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry that keeps the last 4,096 changes for those who resume.
    pub fn new() -> Self {
        Self::keeping(KEPT_CHANGES)
    }

    /// An empty registry that keeps this many changes, at least one, for those who resume.
    pub fn keeping(changes: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                epoch: RandomState::new().hash_one("epoch"),
                ledger: RwLock::new(Ledger::new(changes.max(1))),
                topology: RwLock::default(),
                waiting: Mutex::default(),
                watches: std::sync::atomic::AtomicU64::new(0),
            }),
        }
    }

    /// Replaces what is known of the network. Routes that were handed out before are not changed by it.
    pub fn set_topology(&self, topology: Topology) {
        *self
            .shared
            .topology
            .write()
            .unwrap_or_else(PoisonError::into_inner) = topology;
    }

    /// Lists an instance, or replaces what is listed of it. An earlier incarnation than the listed one is ignored.
    pub fn publish(&self, entry: Entry) -> Outcome {
        self.shared.change(|ledger| ledger.publish(entry))
    }

    /// Takes an instance off the list, unless a later incarnation of it stands there by now, or it is listed for somebody
    /// else under a lease.
    pub fn withdraw(&self, key: &InstanceKey, incarnation: Incarnation) -> Outcome {
        self.shared
            .change(|ledger| ledger.withdraw(key, incarnation))
    }

    /// The listed instances of a service, in the order of their numbers.
    pub fn lookup(&self, service: &ServiceKey) -> Vec<Arc<Entry>> {
        self.shared.read().lookup(service).cloned().collect()
    }

    /// One instance, if it is listed.
    pub fn instance(&self, key: &InstanceKey) -> Option<Arc<Entry>> {
        self.shared.read().instance(key).cloned()
    }

    /// The instance that others are told of: the first that is ready, else the first that runs, else the first.
    pub fn best(&self, service: &ServiceKey) -> Option<Arc<Entry>> {
        let ledger = self.shared.read();
        let listed = ledger.lookup(service);
        let best = listed.min_by_key(|entry| match entry.readiness {
            Readiness::Ready => 0,
            Readiness::Running => 1,
            Readiness::Unhealthy => 2,
        });
        best.cloned()
    }

    /// How something at `from` reaches the service: its [best](Self::best) instance.
    ///
    /// # Errors
    /// [`ResolveError`] when nothing is published, or no route leads there.
    pub fn resolve(&self, service: &ServiceKey, from: &Place) -> Result<Resolved, ResolveError> {
        let entry = self
            .best(service)
            .ok_or_else(|| ResolveError::Unpublished(service.clone()))?;
        self.reach(entry, from)
            .map_err(|source| ResolveError::NoRoute {
                service: service.clone(),
                source: Box::new(source),
            })
    }

    /// How something at `from` reaches this very instance.
    ///
    /// # Errors
    /// [`RouteError`] when no route leads there.
    pub fn reach(&self, entry: Arc<Entry>, from: &Place) -> Result<Resolved, RouteError> {
        let topology = self
            .shared
            .topology
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Resolved::new(entry, from, &topology)
    }

    /// For each port of an instance, what has to be carried so that something at `from` reaches it, where no way leads there
    /// by itself.
    pub fn detours(&self, entry: &Entry, from: &Place) -> Vec<Option<Detour>> {
        let topology = self
            .shared
            .topology
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let each = entry.endpoints.iter();
        each.map(|endpoint| detour(from, &entry.place, entry.ip, endpoint, &topology))
            .collect()
    }

    /// Everything that is listed, and the place in the changes where it was seen.
    pub fn snapshot(&self) -> Snapshot {
        let ledger = self.shared.read();
        Snapshot {
            cursor: self.shared.cursor(ledger.sequence()),
            entries: ledger.entries().cloned().collect(),
        }
    }

    /// Every change from now on.
    pub fn watch(&self) -> Watch {
        let now = self.shared.read().sequence();
        self.watch_from(self.shared.cursor(now))
    }

    /// Every change after `cursor`, which an earlier watch or a [`Snapshot`] left off at. When some of them are no
    /// longer kept, or `cursor` is another registry's, the first update is [`crate::Update::Gap`].
    pub fn watch_from(&self, cursor: Cursor) -> Watch {
        Watch::new(self.shared.clone(), cursor)
    }
}

impl Shared {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Ledger> {
        self.ledger.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor {
            epoch: self.epoch,
            sequence,
        }
    }

    pub(crate) fn next_watch(&self) -> u64 {
        self.watches
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    pub(crate) fn wait(&self, watch: u64, waker: &Waker) {
        self.waiting().insert(watch, waker.clone());
    }

    pub(crate) fn forget(&self, watch: u64) {
        self.waiting().remove(&watch);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acts on the ledger, and wakes those who wait when that changed something: once, however much it was.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut Ledger) -> T) -> T {
        let (done, has_changed) = {
            let mut ledger = self.ledger.write().unwrap_or_else(PoisonError::into_inner);
            let before = ledger.sequence();
            let done = act(&mut ledger);
            (done, ledger.sequence() != before)
        };
        if has_changed {
            let waiting = std::mem::take(&mut *self.waiting());
            waiting.into_values().for_each(Waker::wake);
        }
        done
    }
}

/// Some 100 bytes each: enough for a reader that was away during a restart of a large stack.
const KEPT_CHANGES: usize = 4096;
