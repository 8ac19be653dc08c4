//! Waiting for a stated condition under a deadline.
//!
//! Owns: the one place where rows look at the clock to wait. Answers with a fault that names what was waited for.

use std::fmt::Display;
use std::time::{Duration, Instant};

use crate::fault::Fault;

/// What a look at a condition came to.
pub(crate) enum Look<T> {
    /// It holds.
    Holds(T),
    /// Not yet; this is how it stands.
    NotYet(String),
}

/// The answer of the first look at which the condition holds.
///
/// # Errors
/// [`Fault::Late`], or what a look itself failed with.
pub(crate) fn until<T>(
    limit: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Look<T>, Fault>,
) -> Result<T, Fault> {
    let begun = Instant::now();
    loop {
        let last = match look()? {
            Look::Holds(value) => return Ok(value),
            Look::NotYet(last) => last,
        };
        if begun.elapsed() >= limit {
            return Err(Fault::Late {
                what: what.to_owned(),
                waited: limit,
                last,
            });
        }
        std::thread::sleep(BETWEEN_LOOKS);
    }
}

/// The same for a condition that is a plain claim.
pub(crate) fn until_true(
    limit: Duration,
    what: &str,
    mut holds: impl FnMut() -> bool,
) -> Result<(), Fault> {
    until(limit, what, || Ok(seen(holds(), &"it does not hold")))
}

/// A look that came to a claim.
pub(crate) fn seen(holds: bool, last: &dyn Display) -> Look<()> {
    if holds {
        Look::Holds(())
    } else {
        Look::NotYet(last.to_string())
    }
}

/// Lets time pass: where the time itself is what a row tries.
pub(crate) fn pass(time: Duration) {
    std::thread::sleep(time);
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Long, because the machine may be busy with the other rows.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
