//! The one place of this crate that reads the clock.

use std::time::SystemTime;

/// The time an event is stamped with.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
