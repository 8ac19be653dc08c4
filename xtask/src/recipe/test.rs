//! Every test of the workspace, documentation examples included.
//!
//! Owns: which runner is used. cargo-nextest when it is installed, else what cargo brings.

use crate::failure::Failure;
use crate::recipe::{containers, hosts};
use crate::sandbox::build_programs;
use crate::step::Step;
use crate::tally::Tally;
use crate::workspace;

/// Runs them all, to the end also when some fail, and counts them.
///
/// # Errors
/// When a test failed, something does not build, or no test ran at all.
pub(crate) fn run() -> Result<Tally, Failure> {
    // Tests of the libraries start programs of other packages, which cargo builds only on request.
    build_programs()?;
    let runner: &[&str] = if Step::cargo(&["nextest", "--version"]).succeeds() {
        &[
            "nextest",
            "run",
            "--workspace",
            "--features",
            workspace::FEATURES,
            "--no-fail-fast",
            "--config-file",
            ".ci/nextest.toml",
        ]
    } else {
        &[
            "test",
            "--workspace",
            "--features",
            workspace::FEATURES,
            "--all-targets",
            "--no-fail-fast",
        ]
    };
    let documentation = &[
        "test",
        "--workspace",
        "--features",
        workspace::FEATURES,
        "--doc",
        "--no-fail-fast",
    ];
    let run = containers::new_run();
    let place = hosts::up(&run)?;
    let tests = counted(runner, &run, &place);
    let examples = counted(documentation, &run, &place);
    let hosts_verdict = hosts::down(&run);
    let (tests, tests_verdict) = tests?;
    let (examples, examples_verdict) = examples?;
    let tally = tests + examples;
    if tests_verdict.is_err() || examples_verdict.is_err() {
        println!("{tally}");
    }
    tests_verdict.and(examples_verdict).and(hosts_verdict)?;
    containers::expect_nothing_left(&run)?;
    if tests.passed == 0 {
        return Err(Failure::Unmet {
            claim: "at least one test ran".into(),
            found: tally.to_string(),
        });
    }
    Ok(tally)
}

fn counted(
    arguments: &[&str],
    run: &str,
    hosts: &str,
) -> Result<(Tally, Result<(), Failure>), Failure> {
    Step::cargo(arguments)
        .with(containers::RUN, run)
        .with(hosts::VARIABLE, hosts)
        .within(&workspace::root())
        .run_counted()
}
