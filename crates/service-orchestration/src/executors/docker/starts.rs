//! What is started of ours at an engine, by whomever.
//!
//! Owns: the way to the one who wants to know. Judges nothing: whether a start is of an attempt is known elsewhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_channel::{Receiver, Sender};
use container_engine::{Engine, EngineError, Filters};

use super::identity::{HOME, Home, instance_of, unit_of};
use crate::executors::Started;

/// See the module.
#[derive(Debug)]
pub(super) struct Starts {
    /// Who we are: here, and towards hosts.
    homes: [Home; 2],
    /// Held for a send or an exchange: who tells and who begins to listen are different threads.
    told: Mutex<Option<Sender<Started>>>,
}

impl Starts {
    pub(super) fn new(homes: [Home; 2]) -> Self {
        Self {
            homes,
            told: Mutex::new(None),
        }
    }

    /// Begins to listen, instead of whoever did before.
    pub(super) fn listen(&self) -> Receiver<Started> {
        let (told, heard) = async_channel::unbounded();
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
        heard
    }

    /// Whether somebody listens.
    pub(super) fn is_heard(&self) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_ref().is_some_and(|told| !told.is_closed())
    }

    /// Tells of a container with these labels, if it is one that is kept for a unit of ours.
    pub(super) fn tell(&self, labels: &BTreeMap<String, String>, at_ns: Option<u64>) {
        let is_ours = || {
            let mut ids = self.homes.iter().filter_map(|home| home.id().ok());
            ids.any(|own| labels.get(HOME) == Some(&own))
        };
        if instance_of(labels).is_some() || !is_ours() {
            return;
        }
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(told), Some(unit)) = (told.as_ref(), unit_of(labels)) {
            // Unbounded, and fails only when nobody listens any more.
            drop(told.try_send(Started { unit, at_ns }));
        }
    }

    /// Tells of all that run now: what happened before could not be heard.
    pub(super) async fn look(&self, engine: &Engine) -> Result<(), EngineError> {
        if !self.is_heard() {
            return Ok(());
        }
        // Of any installation: whose each is, its labels say.
        let all = engine.list(&Filters::all().has_label(HOME)).await?;
        for container in all.iter().filter(|one| one.status.is_alive()) {
            self.tell(&container.labels, None);
        }
        Ok(())
    }
}
