//! Waiting for a stated condition, never for a time.
//!
//! Owns: the one place where tests look at the clock. A condition is checked at once and then every
//! [`BETWEEN_CHECKS`] until it holds or the deadline passes; the panic names what was waited for.

use std::future::Future;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within `deadline`.
#[track_caller]
pub fn eventually<'a>(
    deadline: Duration,
    what: &'a str,
    mut condition: impl FnMut() -> bool + 'a,
) -> impl Future<Output = ()> + 'a {
    eventually_async(deadline, what, move || std::future::ready(condition()))
}

/// Waits until the future made by `condition` says true; each check is a new future.
///
/// # Panics
/// When it does not within `deadline`.
pub async fn eventually_async<Fut>(
    deadline: Duration,
    what: &str,
    mut condition: impl FnMut() -> Fut,
) where
    Fut: Future<Output = bool>,
{
    let until = Instant::now() + deadline;
    while !within(deadline, what, condition()).await {
        assert!(Instant::now() < until, "not within {deadline:?}: {what}");
        Timer::after(BETWEEN_CHECKS).await;
    }
}

/// [`eventually`] for a test without a runtime; blocks the thread.
///
/// # Panics
/// When the condition does not hold within `deadline`.
pub fn eventually_blocking(deadline: Duration, what: &str, condition: impl FnMut() -> bool) {
    async_io::block_on(eventually(deadline, what, condition));
}

/// Waits until what `look` sees has stayed the same for a whole `window`, and returns it. For what must not happen by
/// itself: whatever happens once per `window` or more often never comes to rest.
///
/// # Panics
/// When it does not come to rest within `deadline`, with the last two sights.
#[track_caller]
pub fn at_rest_blocking<T: PartialEq + std::fmt::Debug>(
    deadline: Duration,
    window: Duration,
    what: &str,
    mut look: impl FnMut() -> T,
) -> T {
    let until = Instant::now() + deadline;
    let mut before = look();
    loop {
        std::thread::sleep(window);
        let after = look();
        if after == before {
            return after;
        }
        assert!(
            Instant::now() < until,
            "not at rest within {deadline:?}: {what}\n{before:#?}\n{after:#?}"
        );
        before = after;
    }
}

/// The output of `future`, which must come within `deadline`.
///
/// # Panics
/// When it does not.
pub async fn within<T>(deadline: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let output = in_time(deadline, future).await;
    output.unwrap_or_else(|| panic!("not within {deadline:?}: {what}"))
}

/// The output of `future`; nothing when it does not come within `deadline`, for whoever has more to say of that than
/// [`within`].
pub async fn in_time<T>(deadline: Duration, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(deadline).await;
        None
    };
    future::or(async { Some(future.await) }, late).await
}

/// Short enough that a test does not feel it, long enough that looking costs nothing.
const BETWEEN_CHECKS: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut checks = 0;
        eventually_blocking(Duration::from_secs(5), "three checks", || {
            checks += 1;
            checks == 3
        });
        assert_eq!(checks, 3);
    }

    #[test]
    #[should_panic(expected = "not within 20ms: the impossible")]
    fn a_condition_that_never_holds_fails_by_name() {
        eventually_blocking(Duration::from_millis(20), "the impossible", || false);
    }

    #[test]
    #[should_panic(expected = "not within 10ms: silence")]
    fn a_future_that_never_ends_fails_by_name() {
        async_io::block_on(within(
            Duration::from_millis(10),
            "silence",
            future::pending::<()>(),
        ));
    }
}
