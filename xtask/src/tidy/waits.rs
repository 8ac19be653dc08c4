//! Tests wait for a condition under a deadline; they never sleep and hope.

use crate::tidy::exceptions::{Exception, excuse};
use crate::tidy::source::Source;

/// What sleeps.
const SLEEPS: [&str; 2] = ["thread::sleep", "Timer::after("];

/// The files whose tests may sleep.
const EXCEPTIONS: &[Exception] = &[
    (
        "crates/harness-http/tests/support/mod.rs",
        "the deadline of every test, and a body that never ends",
    ),
    (
        "crates/container-engine/tests/docker/support.rs",
        "the deadline of every test, raced against its work",
    ),
    (
        "crates/container-engine/tests/fake/support.rs",
        "the deadline of every test, raced against its work",
    ),
    (
        "crates/service-shim/tests/common/mod.rs",
        "the one wait for a condition under a deadline",
    ),
    (
        "crates/harness-wire/tests/support/mod.rs",
        "the deadline of every test, raced against its work",
    ),
    (
        "crates/harness-wire/tests/subscriptions.rs",
        "a silence longer than the limit is what is tested",
    ),
    (
        "crates/command-executor/tests/supervised.rs",
        "looks again at logs and processes, raced against the deadline of every test",
    ),
    (
        "crates/command-executor/tests/ssh/agent.rs",
        "how long a cable is out is what is tested, and that nothing is told meanwhile",
    ),
    (
        "crates/command-executor/tests/supervised/place.rs",
        "looks again at a log, raced against the deadline of every test",
    ),
    (
        "crates/command-executor/tests/supervised/remote.rs",
        "the time between a start and a kill is what is tested",
    ),
    (
        "crates/command-executor/tests/supervised/shells.rs",
        "looks again at a log, raced against the deadline of every test",
    ),
    (
        "crates/command-executor/tests/supervised/shells_asked.rs",
        "the time between a start and a kill is what is tested",
    ),
    (
        "crates/service-shim/tests/crash.rs",
        "the time between two kills is what is tested",
    ),
];

/// No sleep in test code, except where the list says why.
pub(crate) fn sleeps(source: &Source) -> Vec<String> {
    excuse(sleeps_in(source), source, EXCEPTIONS)
}

fn sleeps_in(source: &Source) -> Vec<String> {
    let Some(first) = source.tests_begin() else {
        return vec![];
    };
    source
        .code_lines()
        .skip(first - 1)
        .filter(|(_, line)| SLEEPS.iter().any(|sleep| line.contains(sleep)))
        .map(|(number, _)| {
            source.finding(
                number,
                "a test sleeps; wait for a condition under a deadline",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str =
        "fn f() { thread::sleep(d) }\n#[cfg(test)]\nmod tests {\n thread::sleep(d);\n}\n";

    #[test]
    fn a_sleeping_test_is_found() {
        assert_eq!(sleeps_in(&Source::new("a/src/b.rs", BAD)).len(), 1);
        assert_eq!(sleeps_in(&Source::new("a/tests/b.rs", BAD)).len(), 2);
        assert!(sleeps_in(&Source::new("a/src/b.rs", "fn f() { thread::sleep(d) }")).is_empty());
    }
}
