//! What runs of a unit although no attempt of ours does: somebody else has started its container.
//!
//! Owns: how that is told from starts of our own. It becomes an attempt as any other: what runs is taken as it is, is told,
//! and ends by a stop.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::inbox::Inbox;
use super::turn::Supervisor;
use crate::executors::Started;
use crate::model::{Command, Index, Input};

/// What is said of it.
pub(super) const BY_SOMEBODY_ELSE: &str = "it was started by somebody else";

impl Supervisor {
    /// Listens to what others start. Of what is found running at once, nothing has to be asked again.
    pub(super) fn listen_to_starts(&mut self) {
        for executor in self.setting.executors.all() {
            let Some(starts) = executor.starts() else {
                continue;
            };
            let inbox = self.sender.clone();
            let passing_on = self.setting.spawner.spawn(async move {
                while let Ok(started) = starts.recv().await {
                    let sure = false;
                    drop(inbox.try_send(Inbox::Started { started, sure }));
                }
            });
            self.listening.push(passing_on);
        }
    }

    /// Something of a unit was started.
    pub(super) fn started(&mut self, started: Started, sure: bool) {
        let Some(unit) = self.units.index(&started.unit) else {
            return;
        };
        if self.world.unit(unit).state.is_active() {
            // Its own start; or another one after its end, which is on its way here. What is found running does so by now.
            let now = self.clock.wall().timestamp_nanos_opt();
            let now = now.and_then(|ns| u64::try_from(ns).ok());
            let at_ns = &mut self.units.get_mut(unit).started_ns;
            *at_ns = (*at_ns).max(started.at_ns.or(now));
        } else if self.is_over(unit, started.at_ns) || !self.needs_kept(&started.unit) {
            // It has ended again since.
        } else if sure {
            self.take_over(unit, started.at_ns);
        } else {
            self.make_sure(started);
        }
    }

    /// A unit has come to rest: it may have been started again since it ended.
    pub(super) fn look_for_a_later_start(&mut self, unit: Index) {
        let at_ns = self.units.get_mut(unit).started_ns.take();
        let is_at_rest = !self.world.unit(unit).state.is_active();
        if at_ns.is_some() && is_at_rest && !self.is_over(unit, at_ns) {
            let unit = self.units.get(unit).id.clone();
            self.make_sure(Started { unit, at_ns });
        }
    }

    /// Whether what was started then has ended since. Both are times by the clock of whoever runs it.
    fn is_over(&self, unit: Index, started_ns: Option<u64>) -> bool {
        let ended = self.units.get(unit).facts.stopped_at;
        let started = started_ns.and_then(time);
        matches!((started, ended), (Some(started), Some(ended)) if started <= ended)
    }

    /// Asks whether it runs still: of a short life, the end may be known before the start is.
    fn make_sure(&mut self, started: Started) {
        let Some(unit) = self.units.index(&started.unit) else {
            return;
        };
        let kind = self.units.get(unit).spec.target.kind();
        let Some(executor) = self.setting.executors.get(kind).map(Arc::clone) else {
            return;
        };
        let inbox = self.sender.clone();
        let asking = self.setting.spawner.spawn(async move {
            if executor.runs(&started.unit).await {
                drop(inbox.try_send(Inbox::Started {
                    started,
                    sure: true,
                }));
            }
        });
        self.units.get_mut(unit).asking = Some(asking);
    }

    /// It counts as running from now on, and what it needs does not hold back what runs already.
    ///
    /// An order to stop may have come after the start, and before anybody knew of it: then it ends once it is taken.
    fn take_over(&mut self, unit: Index, started_ns: Option<u64>) {
        if self.is_ending {
            return;
        }
        tracing::warn!(unit = %self.units.get(unit).id, "{BY_SOMEBODY_ELSE}");
        let entry = self.units.get_mut(unit);
        let started = started_ns.and_then(time);
        entry.ends_when_taken = matches!(
            (started, entry.stop_ordered_at),
            (Some(started), Some(ordered)) if started <= ordered
        );
        let command = Command::Start {
            again: true,
            gateless: true,
        };
        self.step(Input::Command {
            units: vec![unit],
            command,
        });
    }

    /// What is found to have been started before now ends.
    pub(super) fn note_stop_order(&mut self, units: &[Index]) {
        let now = self.clock.wall();
        for unit in units {
            self.units.get_mut(*unit).stop_ordered_at = Some(now);
        }
    }

    /// What is found to run is wanted.
    pub(super) fn forget_stop_order(&mut self, units: &[Index]) {
        for unit in units {
            let entry = self.units.get_mut(*unit);
            entry.stop_ordered_at = None;
            entry.ends_when_taken = false;
        }
    }

    /// It is taken: carries out the order to stop that came before it could be.
    pub(super) fn end_if_ordered_before(&mut self, unit: Index) {
        let ends = std::mem::take(&mut self.units.get_mut(unit).ends_when_taken);
        if ends && self.world.unit(unit).state.is_active() {
            self.step(Input::Command {
                units: vec![unit],
                command: Command::Stop,
            });
        }
    }
}

/// From nanoseconds since 1970.
fn time(ns: u64) -> Option<DateTime<Utc>> {
    i64::try_from(ns).ok().map(DateTime::from_timestamp_nanos)
}
