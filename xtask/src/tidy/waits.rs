//! Tests wait for a condition under a deadline; they never sleep and hope.

use crate::tidy::source::Source;

/// What sleeps.
const SLEEPS: [&str; 2] = ["thread::sleep", "Timer::after("];

/// A file whose tests may sleep, and why that is not hoping.
type Exception = (&'static str, &'static str);

/// The files whose tests may sleep.
pub(crate) const EXCEPTIONS: [Exception; 0] = [];

/// No sleep in test code, except where the list says why.
pub(crate) fn sleeps(source: &Source) -> Vec<String> {
    sleeps_except(source, &EXCEPTIONS)
}

fn sleeps_except(source: &Source, exceptions: &[Exception]) -> Vec<String> {
    let Some(first) = source.tests_begin() else {
        return vec![];
    };
    let found: Vec<String> = source
        .code_lines()
        .skip(first - 1)
        .filter(|(_, line)| SLEEPS.iter().any(|sleep| line.contains(sleep)))
        .map(|(number, _)| {
            source.finding(
                number,
                "a test sleeps; wait for a condition under a deadline",
            )
        })
        .collect();
    let excused = exceptions.iter().any(|(path, _)| *path == source.path);
    match (excused, found.is_empty()) {
        (false, _) => found,
        (true, false) => vec![],
        (true, true) => vec![source.finding(1, "no longer sleeps: strike it from the exceptions")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAD: &str =
        "fn f() { thread::sleep(d) }\n#[cfg(test)]\nmod tests {\n thread::sleep(d);\n}\n";

    #[test]
    fn a_sleeping_test_is_found() {
        assert_eq!(sleeps_except(&Source::new("a/src/b.rs", BAD), &[]).len(), 1);
        assert_eq!(
            sleeps_except(&Source::new("a/tests/b.rs", BAD), &[]).len(),
            2
        );
        assert!(
            sleeps_except(
                &Source::new("a/src/b.rs", "fn f() { thread::sleep(d) }"),
                &[]
            )
            .is_empty()
        );
    }

    #[test]
    fn an_exception_holds_only_while_it_is_needed() {
        let list = [("a/src/b.rs", "the sleep is what is tested")];
        assert!(sleeps_except(&Source::new("a/src/b.rs", BAD), &list).is_empty());
        let mended = Source::new("a/src/b.rs", "#[cfg(test)]\nmod tests {}\n");
        assert_eq!(sleeps_except(&mended, &list).len(), 1);
    }
}
