//! The registry of the manager: who is where, whether the manager runs it or somebody else does.
//!
//! Owns: the way of what others register to the supervisor, which keeps it.

use service_registry::{Entry, Incarnation, InstanceKey, Lease, Outcome, Owner, Registry};

use super::ServiceManager;
use crate::supervisor::{RegisterError, Registered, Registering, Request};

impl ServiceManager {
    /// The registry, to look things up and to follow what changes. What runs here lists itself; what others run is listed
    /// by [`ServiceManager::register`], which keeps it over a restart, and renewed at the registry itself.
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// Lists an instance that somebody else runs, for as long as its owner is heard of. Returns once that is kept. With
    /// `is_new_run` it is listed as the run after every one that is known of, whatever the entry says.
    ///
    /// # Errors
    /// [`RegisterError`]; `most` is how many entries the owner may have.
    pub async fn register(
        &self,
        entry: Entry,
        is_new_run: bool,
        lease: Lease,
        most: usize,
    ) -> Result<Registered, RegisterError> {
        let answer = self.ask(|reply| {
            Request::Register(Registering::Publish {
                entry: Box::new(entry),
                is_new_run,
                lease,
                most,
                reply,
            })
        });
        answer.await.unwrap_or(Err(RegisterError::Ended))
    }

    /// Takes an instance off the list that was registered; without a number, whichever run of it is listed. Returns once
    /// that is kept.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn withdraw(
        &self,
        key: InstanceKey,
        incarnation: Option<Incarnation>,
        owner: Owner,
    ) -> Result<Outcome, RegisterError> {
        let answer = self.ask(|reply| {
            Request::Register(Registering::Withdraw {
                key,
                incarnation,
                owner,
                reply,
            })
        });
        answer.await.unwrap_or(Err(RegisterError::Ended))
    }

    /// Takes those of the instances off the list that are registered by this owner: it has no word in them any more. They
    /// are lost, and not withdrawn. Returns how many.
    pub async fn lose(&self, name: &str, keys: Vec<InstanceKey>) -> usize {
        let name = name.to_owned();
        let answer = self.ask(|reply| Request::Register(Registering::Lose { name, keys, reply }));
        answer.await.unwrap_or_default()
    }
}
