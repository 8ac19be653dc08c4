//! The recipes of this workspace: `cargo xtask VERB`.
//!
//! Owns: the list of verbs and the exit code. What a verb does stands in the file of its name under `recipe`.

mod example;
mod failure;
mod fenced;
mod http;
mod recipe;
mod sandbox;
mod step;
mod tally;
mod tidy;
mod workspace;

use std::process::ExitCode;

use failure::Failure;
use recipe::{
    bench, ci, containers, docs, faults, fuzz, lint, quickstart, readme, samples, setup, test,
};

const USAGE: &str = "\
usage: cargo xtask VERB

  quickstart     build everything, start the quickstart stack and show it
  ci             install what the tests need, then run every check below
  setup          install what the tests need (Debian packages; asks sudo only when not root), start a Docker engine
                 when none answers, and build the images of docker-test-env
  test           every test and every documentation example
  lint           formatting, clippy without warnings, tidy
  tidy           the rules of CODE-POLICY.md that a machine can hold
  example NAME   run an example end to end, with its assertions (quickstart, webapp, mixed, lan)
  readme         run every `sh` block of README.md marked `run`, in a home of its own
  containers     try the engine and the images of docker-test-env
  docs           validate every YAML block of README.md and docs/
  fuzz [TARGET…] [--time 10m] [--keep]
                 feed each target with inputs, guided by what they cover; a minute each without --time
  bench [NAME]   run the programs under bench/ against a release build
  faults [NAME…] [--quick] [--seed N]   the fault matrix, one line a row (docs/guarantees.md); needs root
  faults soak DURATION [NAME…]          the same with other seeds, again and again
  faults list                           what rows there are
  samples VERSION   keep what this version writes, for later ones to load (tests/samples)

With XTASK_KEEP=1, example, readme and docs leave their temporary home behind for a look.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(arguments: &[&str]) -> Result<(), Failure> {
    match arguments {
        ["quickstart"] => quickstart::run(),
        ["ci"] => ci::run(),
        ["setup"] => setup::run(),
        ["test"] => test::run().map(|tally| println!("{tally}")),
        ["lint"] => lint::run(),
        ["tidy"] => lint::tidy(),
        ["example", name] => example::run(name),
        ["readme"] => readme::run().map(|blocks| println!("README.md: {blocks} blocks ran")),
        ["containers"] => containers::run(),
        ["docs"] => docs::run().map(|blocks| println!("docs: {blocks} YAML blocks are valid")),
        ["fuzz", rest @ ..] => fuzz::run(rest, USAGE),
        ["bench", rest @ ..] => bench::run(rest),
        ["samples", version] => samples::run(version),
        ["faults", rest @ ..] => faults::run(rest),
        [] | ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(Failure::Usage {
            given: other.join(" "),
            usage: USAGE,
        }),
    }
}
