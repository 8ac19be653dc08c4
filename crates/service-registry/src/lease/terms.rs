//! What is agreed with those who publish from elsewhere.
//!
//! Owns: the terms. Which lease is where in its time is [`super::book`]'s business.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Entry, Incarnation, InstanceKey};

/// Who publishes from elsewhere, by a name that is stable over its restarts: another daemon, or a program that
/// registers itself; and under which of its leases. Whoever has the name may change what it published, whatever the lease.
///
/// Programs that share a name have a lease each, so that the signs of life of one keep nothing of another that died.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    name: Arc<str>,
    lease: Arc<str>,
}

impl Owner {
    /// The owner of this name, under the one lease that it has.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self::under(name, "")
    }

    /// The owner of this name, under this one of its leases.
    pub fn under(name: impl Into<Arc<str>>, lease: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            lease: lease.into(),
        }
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Which of its leases.
    pub fn lease(&self) -> &str {
        &self.lease
    }

    /// Whether both have one name.
    pub fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

/// What an owner asks for: that its entries stay listed for so long after each sign of life. All entries under one lease
/// stay or go together; the time that was named last holds for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose entries.
    pub owner: Owner,
    /// How long they stay after the owner was heard of.
    pub ttl: Duration,
}

impl Lease {
    /// A lease of 15 s, to be renewed every 5 s: two renewals may be lost on the way.
    pub fn new(owner: Owner) -> Self {
        let ttl = Self::DEFAULT;
        Self { owner, ttl }
    }

    /// How long an entry stays unless its owner asks for something else.
    pub const DEFAULT: Duration = Duration::from_secs(15);
    /// The shortest: a slow network alone must not end a lease.
    pub const SHORTEST: Duration = Duration::from_secs(1);
    /// The longest: what is gone must not stay listed for days.
    pub const LONGEST: Duration = Duration::from_secs(60 * 60);
}

/// An entry, and the lease that it is listed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its lease.
    pub lease: Lease,
}

/// How an entry with a lease came off the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its owner took it off: that run is over.
    Withdrawn,
    /// Its owner was not heard of in time: the run may still be there, and come back.
    Lost,
}

/// What stands of an instance, for whoever keeps it over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is listed under a lease.
    Listed(Leased),
    /// It is off the list, which is remembered.
    Gone(Tombstone),
    /// Nothing that would have to be kept.
    Nothing,
}

/// What is remembered of an entry that is off the list, so that news that come late do not put it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Which instance.
    pub key: InstanceKey,
    /// The run that was listed last.
    pub incarnation: Incarnation,
    /// Whose it was.
    pub owner: Owner,
    /// How it ended.
    pub ending: Ending,
    /// How long ago. After [`Tombstone::KEPT`] it is forgotten.
    pub age: Duration,
}

impl Tombstone {
    /// How long it is remembered.
    pub const KEPT: Duration = Duration::from_secs(60 * 60);
}

/// Why what an owner asks for is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseError {
    /// Nobody needs a lease like that.
    #[error(
        "a lease of {ttl:?} is not given: between {:?} and {:?} are",
        Lease::SHORTEST,
        Lease::LONGEST
    )]
    Duration {
        /// What was asked for.
        ttl: Duration,
    },
    /// The name is somebody else's.
    #[error("`{key}` is listed for {}, and not for {asker} to change", holder.as_ref().map_or("this daemon", Owner::as_str))]
    Taken {
        /// Which instance.
        key: InstanceKey,
        /// Who asked.
        asker: Owner,
        /// Whose it is; `None` when it is a service of this very daemon.
        holder: Option<Owner>,
    },
    /// A later run of the instance has been seen, or the end of this one. Publish a later run.
    #[error("run {} of `{key}` is over: run {} has been seen", incarnation.0, known.0)]
    Stale {
        /// Which instance.
        key: InstanceKey,
        /// What was to be published or withdrawn.
        incarnation: Incarnation,
        /// What is known.
        known: Incarnation,
    },
    /// There is nothing to renew: the lease has run out, or the owner never published. Publish again.
    #[error("{owner} has no lease to renew")]
    NoLease {
        /// Who asked.
        owner: Owner,
    },
}
