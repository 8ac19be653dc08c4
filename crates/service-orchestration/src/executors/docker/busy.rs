//! Which units are being launched.
//!
//! Owns: the list. What clears away looks at it: neither what a launch has made and not started yet, nor the ways that it
//! will need, is litter.

use std::sync::{Mutex, PoisonError};

use crate::spec::UnitId;

/// See the module. Held for a push, a look or a removal: whoever launches and whoever clears away are different tasks.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<Vec<UnitId>>);

/// A launch that is under way, until this is dropped.
#[derive(Debug)]
pub(super) struct Launching<'a> {
    busy: &'a Busy,
    unit: UnitId,
}

impl Busy {
    pub(super) fn enter(&self, unit: &UnitId) -> Launching<'_> {
        self.with(|units| units.push(unit.clone()));
        Launching {
            busy: self,
            unit: unit.clone(),
        }
    }

    /// Whether any unit of which this holds is being launched.
    pub(super) fn is_any(&self, is: impl Fn(&UnitId) -> bool) -> bool {
        self.with(|units| units.iter().any(is))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<UnitId>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Launching<'_> {
    fn drop(&mut self) {
        self.busy.with(|units| {
            if let Some(at) = units.iter().position(|unit| *unit == self.unit) {
                units.swap_remove(at);
            }
        });
    }
}
