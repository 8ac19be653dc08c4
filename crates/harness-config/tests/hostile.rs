//! Files that mean harm, and files that mean nothing: refused fast, never a panic.

mod support;

use std::time::{Duration, Instant};

use harness_config::{Secrets, load, render_config, render_github, render_human, to_json};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use support::{fixture, load_text};

/// Loads and shows a text every way there is.
fn survive(text: &str) {
    let loaded = load(&support::sources(text));
    assert_eq!(
        loaded.stack.is_none(),
        loaded.diagnostics.iter().any(|d| d.is_error()),
        "{text:?}"
    );
    let human = render_human(&loaded.diagnostics, &loaded.files, true);
    assert_eq!(human.is_empty(), loaded.diagnostics.is_empty());
    render_github(&loaded.diagnostics);
    to_json(&loaded.diagnostics);
    if let Some(stack) = &loaded.stack {
        render_config(stack, Secrets::Mask);
    }
}

fn refused_fast(text: &str, code: &str) {
    let begun = Instant::now();
    let loaded = load_text(text);
    // Generous for a busy machine; a bomb would take minutes or all memory.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "took {:?}",
        begun.elapsed()
    );
    let codes: Vec<&str> = loaded.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, [code]);
}

#[test]
fn bombs_are_refused_at_the_limit() {
    let mut laughs = String::from("x-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for n in 1..10 {
        let before = format!("*a{}", n - 1);
        laughs += &format!("x-{n}: &a{n} [{}]\n", vec![before; 10].join(", "));
    }
    refused_fast(&laughs, "H0102");
    let big = "x".repeat(500_000);
    refused_fast(
        &format!("x-a: &a {big}\nx-b: [{}]\n", vec!["*a"; 40].join(", ")),
        "H0102",
    );
    refused_fast(&"[".repeat(100_000), "H0102");
    refused_fast(&"{a: ".repeat(100_000), "H0102");
    refused_fast(&"- ".repeat(100_000), "H0102");
    refused_fast(&"? ".repeat(100_000), "H0102");
    refused_fast(&format!("services: [{}]", "a, ".repeat(60_000)), "H0102");
    refused_fast(&"a".repeat((1 << 20) + 1), "H0102");
    refused_fast(
        &format!("services: {{a: {{binary: '{}'}}}}", "${A:-".repeat(20_000)),
        "H0211",
    );
}

#[test]
fn many_errors_are_all_reported_in_bounded_time() {
    let begun = Instant::now();
    let mut text = String::from("services:\n");
    for n in 0..5_000 {
        text += &format!(
            "  s{n}: {{binary: x, prots: 1, depends_on: [s{}x]}}\n",
            n + 1
        );
    }
    let loaded = load_text(&text);
    assert_eq!(loaded.diagnostics.len(), 10_000);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "took {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_ring_of_a_thousand_is_one_cycle() {
    let mut text = String::from("services:\n");
    for n in 0..1000 {
        text += &format!("  s{n}: {{binary: x, depends_on: [s{}]}}\n", (n + 1) % 1000);
    }
    let loaded = load_text(&text);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].labels.len(), 999);
}

#[test]
fn walks_over_a_long_chain_are_cheap() {
    let begun = Instant::now();
    let mut text = String::from("services:\n  s0: {binary: x, depends_on: [s1]}\n");
    for n in 1..4_000 {
        text += &format!(
            "  s{n}: {{binary: x, args: ['${{s0.ip}}'], depends_on: [s{}]}}\n",
            n - 1
        );
    }
    let loaded = load_text(&text);
    assert_eq!(
        loaded.diagnostics.len(),
        1,
        "one cycle, and everyone reaches it"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "took {:?}",
        begun.elapsed()
    );
}

/// Good texts with something done to them: bytes changed, lines moved, pieces repeated.
fn mutated() -> impl Strategy<Value = String> {
    let seeds: Vec<String> = [
        "services.yaml",
        "seed-001.yaml",
        "graph-stack-with-tasks.yaml",
        "bad.yaml",
        "duplicate-key.yaml",
    ]
    .iter()
    .map(|name| std::fs::read_to_string(fixture(name)).expect("a fixture"))
    .collect();
    let edit = (
        any::<prop::sample::Index>(),
        0usize..40,
        prop::sample::select(PIECES.to_vec()),
    );
    (
        prop::sample::select(seeds),
        prop::collection::vec(edit, 1..12),
    )
        .prop_map(|(mut text, edits)| {
            for (at, length, piece) in edits {
                let mut start = at.index(text.len() + 1);
                while !text.is_char_boundary(start) {
                    start -= 1;
                }
                let mut end = (start + length).min(text.len());
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.replace_range(start..end.max(start), piece);
            }
            text
        })
}

/// What breaks parsers.
const PIECES: [&str; 36] = [
    "",
    "\n",
    " ",
    "\t",
    "\r\n",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!x ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "#",
    "%",
    "<<: *a\n",
    "${",
    "${A}",
    "${postgres.port}",
    "$$",
    "}",
    "é\u{1F600}",
    "\u{0}",
    "\u{feff}",
    "---\n",
    "...\n",
    "? ",
    ",",
    "~",
    "services:\n",
];

#[test]
fn mutated_files_never_panic() {
    let mut runner = TestRunner::new(Config {
        cases: 2_000,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&mutated(), |text| {
            survive(&text);
            Ok(())
        })
        .expect("no file panics");
}

#[test]
fn random_texts_never_panic() {
    let pieces = prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..60)
        .prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::new(Config {
        cases: 1_000,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&prop_oneof![pieces, any::<String>()], |text| {
            survive(&text);
            survive(&format!("services:\n  a:\n    binary: {text}\n"));
            Ok(())
        })
        .expect("no text panics");
}
