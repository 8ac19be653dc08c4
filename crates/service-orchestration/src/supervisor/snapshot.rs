//! How stacks stand, for those who ask again and again.
//!
//! Owns: the text of each stack's latest status, and which change it was written after. A text is written once and handed
//! out for as long as nothing happens; it is never patched.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::request::{OrderError, StackOverview};
use super::turn::Supervisor;
use crate::model::State;
use crate::report::StackStatus;
use crate::spec::{StackName, UnitKind};

/// The status of a stack as JSON, written once. Cheap to clone; reads as [`StackStatus`].
#[derive(Clone, Debug)]
pub struct StatusText(Arc<RawValue>);

impl StatusText {
    fn of(status: &StackStatus) -> Self {
        let text = to_raw_value(status)
            .expect("the report's types have string keys and no failing serializer");
        Self(Arc::from(text))
    }

    /// The text.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl Serialize for StatusText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// What was written, and after how many changes.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// Counts what could change any status.
    changes: u64,
    texts: BTreeMap<StackName, (u64, StatusText)>,
}

impl Snapshots {
    /// Something happened: what was written before tells no longer how it is.
    pub(super) fn outdate(&mut self) {
        self.changes += 1;
    }

    fn current(&self, stack: &StackName) -> Option<&StatusText> {
        let (changes, text) = self.texts.get(stack)?;
        (*changes == self.changes).then_some(text)
    }

    pub(super) fn forget(&mut self, stack: &StackName) {
        self.texts.remove(stack);
    }
}

impl Supervisor {
    pub(super) fn status_text(&mut self, stack: &StackName) -> Result<StatusText, OrderError> {
        if let Some(text) = self.snapshots.current(stack) {
            return Ok(text.clone());
        }
        let text = StatusText::of(&self.status(stack)?);
        // The time that a wait still has is told too, and is another one at every look.
        let mut units = self.units.of_stack(stack);
        if units.all(|entry| self.world.unit(entry.index).until.is_none()) {
            let written = (self.snapshots.changes, text.clone());
            self.snapshots.texts.insert(stack.clone(), written);
        }
        Ok(text)
    }

    /// Every stack in short, by name.
    pub(super) fn overview(&self) -> Vec<StackOverview> {
        let of_stack = |stack: &Arc<crate::spec::StackSpec>| {
            let mut overview = StackOverview {
                stack: Arc::clone(stack),
                units: 0,
                active: 0,
                ready: 0,
            };
            for entry in self.units.of_stack(&stack.name) {
                let unit = self.world.unit(entry.index);
                let is_ready = match entry.spec.kind {
                    UnitKind::Service => unit.published,
                    UnitKind::Task => unit.state == State::Done,
                };
                overview.units += 1;
                overview.active += u32::from(unit.state.is_active());
                overview.ready += u32::from(is_ready);
            }
            overview
        };
        self.units.stacks().map(of_stack).collect()
    }
}
