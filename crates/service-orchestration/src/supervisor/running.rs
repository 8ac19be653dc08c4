//! Runs, for those who hold on to one.
//!
//! Owns: who waits for the end of which run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use chrono::{DateTime, Utc};

use super::request::OrderError;
use super::turn::Supervisor;
use crate::executors::AttemptControl;
use crate::model::{Attempt, Index};
use crate::report::ExitInfo;
use crate::spec::UnitId;

/// What is known of a run.
#[derive(Debug)]
pub(crate) struct RunFacts {
    pub(crate) unit: UnitId,
    pub(crate) attempt: u64,
    pub(crate) instance_id: String,
    pub(crate) pid: Option<u32>,
    pub(crate) container_id: Option<String>,
    pub(crate) address: Option<SocketAddr>,
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) log_dir: PathBuf,
    pub(crate) control: Option<Arc<dyn AttemptControl>>,
    /// Told once.
    pub(crate) end: Receiver<ExitInfo>,
}

/// Units by name and replica, each with the handle of its run when it has one.
pub(crate) type Controls = Vec<(String, Option<Arc<dyn AttemptControl>>)>;

/// Somebody who waits for the end of a run.
#[derive(Debug)]
pub(super) struct EndWatcher {
    unit: Index,
    attempt: Attempt,
    told: Sender<ExitInfo>,
}

impl Supervisor {
    /// The handles by which what runs of these units is controlled.
    pub(super) fn controls(&self, units: &[Index]) -> Controls {
        let control = |unit: &Index| {
            let entry = self.units.get(*unit);
            let runs = self.world.unit(*unit).state.is_active();
            let runner = entry.runner.as_ref().filter(|_| runs);
            let control = runner.and_then(|runner| runner.control.clone());
            (entry.id.local_name(), control)
        };
        units.iter().map(control).collect()
    }

    /// The run that a unit is in, or was in last.
    pub(super) fn running(&mut self, id: &UnitId) -> Result<RunFacts, OrderError> {
        let unknown = || OrderError::UnknownUnit {
            stack: id.stack.to_string(),
            unit: id.local_name(),
            similar: None,
        };
        let unit = self.units.index(id).ok_or_else(unknown)?;
        let entry = self.units.get(unit);
        let facts = &entry.facts;
        let attempt = self.world.unit(unit).attempt;
        let (told, end) = async_channel::bounded(1);
        let run = RunFacts {
            unit: id.clone(),
            attempt: attempt.0,
            instance_id: facts.instance_id.clone().ok_or_else(unknown)?,
            pid: facts.pid,
            container_id: facts.container_id.clone(),
            address: self
                .address_of(entry)
                .and_then(|address| address.parse().ok()),
            ports: self.ports_of(entry),
            started_at: facts.started_at.ok_or_else(unknown)?,
            log_dir: self.setting.logs.directory(id),
            control: entry
                .runner
                .as_ref()
                .and_then(|runner| runner.control.clone()),
            end,
        };
        if facts.stopped_at.is_some() {
            drop(told.try_send(facts.exit.clone().unwrap_or_default()));
        } else {
            self.end_watchers
                .retain(|watcher| !watcher.told.is_closed());
            self.end_watchers.push(EndWatcher {
                unit,
                attempt,
                told,
            });
        }
        Ok(run)
    }

    /// A run has ended.
    pub(super) fn tell_watchers(&mut self, unit: Index, attempt: Attempt, exit: &ExitInfo) {
        self.end_watchers.retain(|watcher| {
            if watcher.told.is_closed() {
                return false;
            }
            let is_this = watcher.unit == unit && watcher.attempt == attempt;
            if is_this {
                // The one who waits may be gone by now.
                drop(watcher.told.try_send(exit.clone()));
            }
            !is_this
        });
    }
}
