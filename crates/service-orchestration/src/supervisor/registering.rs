//! What others register: services that this daemon does not run.
//!
//! Owns: which names are free for others, how many entries there may be, and what of the registry goes into the next
//! write. Signs of life do not come here: they change nothing that is kept.

use std::time::Instant;

use service_registry::journal::{SavedMoment, SavedStanding};
use service_registry::{
    Entry, Incarnation, InstanceKey, Lease, LeaseError, Outcome, Owner, Registry, Standing,
};

use super::request::Reply;
use super::turn::Supervisor;
use crate::spec::{StackName, UnitName};

/// What was listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registered {
    /// As which run of the instance.
    pub incarnation: Incarnation,
    /// Whether it is any news.
    pub outcome: Outcome,
}

/// Why something was not registered or withdrawn. Nothing was changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The registry does not take it.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// The name is one of a unit that is defined here, whether that runs or not.
    #[error("`{key}` is defined here: a service of this daemon is not for others to register")]
    Own {
        /// Which.
        key: InstanceKey,
    },
    /// The owner has as many entries as it may have.
    #[error("`{owner}` has {most} services registered, and no more are taken")]
    TooMany {
        /// Whose.
        owner: String,
        /// How many it may have.
        most: usize,
    },
    /// All owners together have as many as there may be.
    #[error("{most} services are registered by others, and no more are taken")]
    Full {
        /// How many there may be.
        most: usize,
    },
    /// The supervisor is ending.
    #[error("the daemon is ending and takes no more orders")]
    Ended,
}

/// What others want of the registry.
#[derive(Debug)]
pub(crate) enum Registering {
    /// List an instance.
    Publish {
        entry: Box<Entry>,
        /// As a new run, whatever the entry says.
        is_new_run: bool,
        lease: Lease,
        /// How many entries the owner may have.
        most: usize,
        reply: Reply<Result<Registered, RegisterError>>,
    },
    /// Take an instance off; without a number, whichever run of it is listed.
    Withdraw {
        key: InstanceKey,
        incarnation: Option<Incarnation>,
        owner: Owner,
        reply: Reply<Result<Outcome, RegisterError>>,
    },
    /// Take instances off in which their owner has no word any more.
    Lose {
        name: String,
        keys: Vec<InstanceKey>,
        reply: Reply<usize>,
    },
}

impl Supervisor {
    /// The registry, for those who look and follow.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Does it, and answers once it is kept.
    pub(super) fn register(&mut self, what: Registering) {
        let now = self.clock.moment();
        match what {
            Registering::Publish {
                entry,
                is_new_run,
                lease,
                most,
                reply,
            } => {
                let answer = self.publish_for(*entry, is_new_run, &lease, most, now);
                self.reply(reply, answer);
            }
            Registering::Withdraw {
                key,
                incarnation,
                owner,
                reply,
            } => {
                let listed = || self.registry.instance(&key).map(|entry| entry.incarnation);
                let answer = match incarnation.or_else(listed) {
                    Some(run) => self.registry.withdraw_leased(&key, run, &owner, now),
                    None => Ok(Outcome::Unchanged),
                };
                self.reply(reply, answer.map_err(RegisterError::from));
            }
            Registering::Lose { name, keys, reply } => {
                let lost = self.registry.lose(&name, &keys, now);
                self.reply(reply, lost);
            }
        }
    }

    fn publish_for(
        &self,
        mut entry: Entry,
        is_new_run: bool,
        lease: &Lease,
        most: usize,
        now: Instant,
    ) -> Result<Registered, RegisterError> {
        if self.is_ending {
            return Err(RegisterError::Ended);
        }
        if self.is_defined(&entry.key) {
            return Err(RegisterError::Own { key: entry.key });
        }
        if self.registry.instance(&entry.key).is_none() {
            if self.registry.count_of(lease.owner.as_str()) >= most {
                let owner = lease.owner.to_string();
                return Err(RegisterError::TooMany { owner, most });
            }
            if self.registry.count_leased() >= MOST_ENTRIES {
                return Err(RegisterError::Full { most: MOST_ENTRIES });
            }
        }
        if is_new_run {
            entry.incarnation = self.registry.next_incarnation(&entry.key, now);
        }
        let incarnation = entry.incarnation;
        let outcome = self.registry.publish_leased(entry, lease, now)?;
        Ok(Registered {
            incarnation,
            outcome,
        })
    }

    /// Whether a unit of this daemon has the name.
    fn is_defined(&self, key: &InstanceKey) -> bool {
        let (Ok(stack), Ok(name)) = (
            StackName::new(&key.service.stack),
            UnitName::new(&key.service.service),
        ) else {
            return false;
        };
        self.units
            .of_stack(&stack)
            .any(|entry| entry.id.name == name)
    }

    /// Takes those off the list whose owners have been silent for too long.
    pub(super) fn expire_leases(&mut self) {
        let now = self.clock.moment();
        if self.registry.next_expiry().is_some_and(|due| due <= now) {
            self.registry.expire(now);
        }
    }

    /// What stands otherwise than it was kept, into the next write.
    pub(super) fn record_standings(&mut self) {
        let unsaved = self.registry.take_unsaved(self.clock.moment());
        if unsaved.is_empty() {
            return;
        }
        let now = self.saved_now();
        let saved = unsaved.into_iter().map(|(key, standing)| {
            let saved = SavedStanding::of(&standing, &now);
            (key, saved)
        });
        self.keeper.batch().standings.extend(saved);
    }

    /// Lists what was listed when the last daemon ended, for one lease in full.
    pub(super) fn recall_standings(&mut self, standings: &[SavedStanding]) {
        let (now, today) = (self.clock.moment(), self.saved_now());
        let mut stones = Vec::new();
        for saved in standings {
            let is_back = match saved.restore(&today) {
                Standing::Listed(leased) => {
                    let entry = (*leased.entry).clone();
                    let listed = self.registry.publish_leased(entry, &leased.lease, now);
                    listed.is_ok()
                }
                Standing::Gone(stone) => {
                    stones.push(stone);
                    true
                }
                Standing::Nothing => false,
            };
            if !is_back {
                self.keeper.batch().standings.insert(saved.key(), None);
            }
        }
        self.registry.remember(&stones, now);
        self.registry.note_unsaved();
    }

    fn saved_now(&self) -> SavedMoment {
        SavedMoment {
            boot_id: self.boot_id.clone(),
            at_ns: u64::try_from(self.clock.now().as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

/// Some 10 MB, and twice what the registry is measured with.
const MOST_ENTRIES: usize = 20_000;
