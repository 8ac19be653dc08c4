//! Words that may not stand in code.

use crate::tidy::code::has_word;
use crate::tidy::exceptions::{Exception, excuse};
use crate::tidy::source::Source;

/// The one file that may talk to the kernel without the compiler's guarantees.
const UNSAFE_HOME: &str = "crates/service-shim/src/sys.rs";

/// What pretends to be done, or was left behind by debugging.
const UNFINISHED: [&str; 4] = ["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// How an attribute begins that turns a lint off.
const ALLOWANCES: [&str; 4] = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];

/// The files that may nevertheless hold such a word.
const MAY_IGNORE: &[Exception] = &[(
    "crates/harness-core/tests/launch.rs",
    "no test but the daemon of the others, which run it by name",
)];

/// What signals by bare number.
const RAW_SIGNALS: [&str; 2] = ["kill_process", "kill_process_group"];

/// The files that may nevertheless.
const MAY_SIGNAL: &[Exception] = &[
    (
        "crates/command-executor/src/local/process.rs",
        "the group of its own child, which it has not reaped: the number cannot be another's yet",
    ),
    (
        "crates/service-shim/src/agent/command.rs",
        "the group of its own child, which it has not reaped: the number cannot be another's yet",
    ),
];

/// `unsafe` stands in one file, where every use says why it is sound.
pub(crate) fn unsafe_code(source: &Source) -> Vec<String> {
    if source.path == UNSAFE_HOME {
        return vec![];
    }
    let message = format!("`unsafe` outside {UNSAFE_HOME}");
    source
        .code_lines()
        .filter(|(_, line)| has_word(line, "unsafe"))
        .map(|(number, _)| source.finding(number, &message))
        .collect()
}

/// Nothing pretends: what is not built is refused with a reason, and a test that cannot pass is mended.
pub(crate) fn unfinished(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in source.code_lines() {
        for word in UNFINISHED.iter().filter(|word| line.contains(*word)) {
            found.push(source.finding(number, &format!("`{word}`")));
        }
    }
    excuse(found, source, MAY_IGNORE)
}

/// A process id may be another process by now: signals go through a pidfd or a cgroup. Tests may, with their own child.
pub(crate) fn raw_signals(source: &Source) -> Vec<String> {
    if !source.path.contains("/src/") || source.path.starts_with("crates/testkit/") {
        return vec![];
    }
    let tests_begin = source.tests_begin().unwrap_or(usize::MAX);
    let found = source
        .code_lines()
        .take_while(|(number, _)| *number < tests_begin)
        .filter(|(_, line)| RAW_SIGNALS.iter().any(|word| has_word(line, word)))
        .map(|(number, _)| {
            source.finding(
                number,
                "a signal by bare number; use the pidfd or the cgroup",
            )
        })
        .collect();
    excuse(found, source, MAY_SIGNAL)
}

/// Whoever turns a lint off says why, in the attribute itself.
pub(crate) fn bare_allowances(source: &Source) -> Vec<String> {
    let code = &source.code;
    let openings = ALLOWANCES
        .iter()
        .flat_map(|opening| code.match_indices(opening));
    let mut places: Vec<usize> = openings
        .filter(|(at, _)| {
            let rest = &code[*at..];
            let attribute = &rest[..rest.find(']').unwrap_or(rest.len())];
            !has_word(attribute, "reason")
        })
        .map(|(at, _)| at)
        .collect();
    places.sort_unstable();
    places
        .into_iter()
        .map(|at| {
            let line = code[..at].matches('\n').count() + 1;
            source.finding(line, "a lint is turned off without `reason = \"…\"`")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_by_number_is_found() {
        let text = "fn f() { kill_process(pid, Signal::TERM) }\n#[cfg(test)]\nmod tests { kill_process(x); }\n";
        assert_eq!(
            raw_signals(&Source::new("crates/a/src/b.rs", text)).len(),
            1
        );
        assert!(raw_signals(&Source::new("crates/a/tests/b.rs", text)).is_empty());
        assert!(raw_signals(&Source::new("crates/a/src/b.rs", "pidfd_send_signal(fd)")).is_empty());
    }

    #[test]
    fn unsafe_is_found_outside_its_home() {
        let text = "// unsafe is a word\nunsafe { f() }\n";
        assert!(unsafe_code(&Source::new(UNSAFE_HOME, text)).is_empty());
        assert!(unsafe_code(&Source::new("a.rs", "#![deny(unsafe_code)]")).is_empty());
        assert_eq!(
            unsafe_code(&Source::new("a.rs", text)),
            ["a.rs:2: `unsafe` outside crates/service-shim/src/sys.rs"]
        );
    }

    #[test]
    fn what_pretends_is_found() {
        assert!(unfinished(&Source::new("a.rs", "f(\"todo!()\"); // dbg!")).is_empty());
        let bad = "#[ignore = \"slow\"]\nfn f() { todo!() }\ndbg!(1); unimplemented!();\n";
        assert_eq!(unfinished(&Source::new("a.rs", bad)).len(), 4);
    }

    #[test]
    fn a_lint_that_is_turned_off_without_a_reason_is_found() {
        let good = "#[expect(\n    dead_code,\n    reason = \"a part [of it]\"\n)]\nx.expect(\"y\"); plan.allow(a);\n";
        assert_eq!(
            bare_allowances(&Source::new("a.rs", good)),
            Vec::<String>::new()
        );
        let bad = "#![allow(dead_code)] // Reason: none.\n\n#[expect(unused)]\nfn f() {}\n";
        let found = bare_allowances(&Source::new("a.rs", bad));
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("a.rs:1: ") && found[1].starts_with("a.rs:3: "));
    }
}
