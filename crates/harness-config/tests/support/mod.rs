//! What the tests of loading share.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it, and none exports it"
)]

pub mod compose;

use std::path::PathBuf;

use harness_config::{Diagnostic, Loaded, Sources, load};

/// The path of a fixture.
pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// Loads a text with nothing in the environment but `SET=value`, `EMPTY=` and `PORT=8080`.
pub fn load_text(text: &str) -> Loaded {
    load(&sources(text))
}

/// What [`load_text`] loads.
pub fn sources(text: &str) -> Sources {
    Sources::new()
        .text("t.yaml", text)
        .directory("/nonexistent/demo")
        .variable("SET", "value")
        .variable("EMPTY", "")
        .variable("PORT", "8080")
}

/// The errors of a load.
pub fn errors(loaded: &Loaded) -> Vec<&Diagnostic> {
    loaded.diagnostics.iter().filter(|d| d.is_error()).collect()
}

/// One line for each diagnostic, for comparing and for failures.
pub fn lines(loaded: &Loaded) -> String {
    let line = |d: &Diagnostic| {
        format!(
            "{} {}:{} {}: {}\n",
            d.severity.as_str(),
            d.line,
            d.column,
            d.code,
            d.message
        )
    };
    loaded.diagnostics.iter().map(line).collect()
}
