//! The model decides and does nothing else.

use crate::tidy::code::has_word;
use crate::tidy::source::Source;

/// Where the deciding half lives.
const MODEL: &str = "crates/service-model/src/";

/// What of it is in a unit's specification too, and so in a wire format.
const WIRE: [&str; 2] = [
    "crates/service-model/src/kind.rs",
    "crates/service-model/src/restart.rs",
];

/// Words that have no business there at all.
const WORDS: [&str; 5] = ["async", "await", "tracing", "serde", "SystemTime"];

/// Modules of the standard library that do something.
const MODULES: [&str; 5] = ["fs", "net", "process", "io", "thread"];

/// No clock, no input or output, no `async`, no logging, no wire format in the model.
pub(crate) fn model(source: &Source) -> Vec<String> {
    if !source.path.starts_with(MODEL) {
        return vec![];
    }
    let mut found = Vec::new();
    for (number, line) in source.code_lines() {
        let allowed = |word: &str| word == "serde" && WIRE.contains(&source.path.as_str());
        for word in WORDS
            .iter()
            .filter(|word| has_word(line, word) && !allowed(word))
        {
            found.push(source.finding(number, &format!("the model is pure: `{word}`")));
        }
        for module in MODULES {
            if has_word(line, &format!("std::{module}")) {
                let message = format!("the model is pure: `std::{module}`");
                found.push(source.finding(number, &message));
            }
        }
        // The model has a notion of time of its own; the name is only refused together with the standard library's.
        if line.contains("std::time") && has_word(line, "Instant") {
            found.push(source.finding(number, "the model is pure: `std::time::Instant`"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_or_a_file_in_the_model_is_found() {
        let path = "crates/service-model/src/plan.rs";
        let good = "//! async is a word\nuse std::time::Duration;\nstruct Instant(u64);\n";
        assert!(model(&Source::new(path, good)).is_empty());
        let bad = "use std::time::{Duration, Instant};\nuse std::fs;\nasync fn f() {}\nuse serde::Serialize;\n";
        assert_eq!(model(&Source::new(path, bad)).len(), 4);
        assert!(model(&Source::new("crates/harness/src/main.rs", bad)).is_empty());
    }
}
