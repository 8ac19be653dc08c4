//! The side of a host in a deployment: `harness-shim package session ROOT SLOT`, `package current ROOT SLOT`
//! and `package list ROOT`.
//!
//! Owns: the arguments and the exit codes: 0 served to the end, 64 called wrongly, 65 cut off, 71 the system gives no means. What it does
//! stands in [`harness_package::session`]. It is in the shim's program because that one is on the host already, checked by its hash; the
//! library of the shim knows nothing of it.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;

use harness_package::session::{list_all, look, serve};
use harness_package::store::SlotName;
use rustix::fs::Mode;
use serde::Serialize;

/// Serves and ends the process, if it was started for that. `flag` stands before the words where the program has others of its own.
pub(crate) fn run_if_asked(flag: Option<&str>) {
    let mut words = std::env::args_os().skip(1);
    if flag.is_some_and(|flag| words.next().is_none_or(|word| word != flag)) {
        return;
    }
    if words.next().is_some_and(|word| word == VERB) {
        let words: Vec<OsString> = words.collect();
        std::process::exit(run(&words));
    }
}

fn run(words: &[OsString]) -> i32 {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
    match words[..] {
        [verb, root, slot] if verb == "session" => match slot_name(slot) {
            Some(slot) => session(Path::new(root), &slot),
            None => EXIT_USAGE,
        },
        [verb, root, slot] if verb == "current" => match slot_name(slot) {
            Some(slot) => current(Path::new(root), &slot),
            None => EXIT_USAGE,
        },
        [verb, root] if verb == "list" => list(Path::new(root)),
        _ => EXIT_USAGE,
    }
}

fn slot_name(word: &OsStr) -> Option<SlotName> {
    SlotName::try_from(word.to_str()?.to_owned()).ok()
}

fn session(root: &Path, slot: &SlotName) -> i32 {
    match serve(root, slot, io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => EXIT_SERVED,
        Err(error) => {
            complain(&error);
            EXIT_CUT
        }
    }
}

/// One line, or none where no version is current.
fn current(root: &Path, slot: &SlotName) -> i32 {
    match look(root, slot) {
        Ok(found) => say(found.iter()),
        Err(error) => {
            complain(&error);
            EXIT_SYSTEM
        }
    }
}

fn list(root: &Path) -> i32 {
    match list_all(root) {
        Ok(found) => say(found.iter()),
        Err(error) => {
            complain(&error);
            EXIT_SYSTEM
        }
    }
}

/// A line for each.
fn say<'a, T: Serialize + 'a>(mut all: impl Iterator<Item = &'a T>) -> i32 {
    let mut out = io::stdout().lock();
    let written = all.try_for_each(|one| {
        let line = serde_json::to_string(one).map_err(io::Error::from)?;
        writeln!(out, "{line}")
    });
    match written {
        Ok(()) => EXIT_SERVED,
        Err(_) => EXIT_CUT,
    }
}

fn complain(error: &dyn std::error::Error) {
    let mut out = io::stderr().lock();
    let mut next = Some(error);
    while let Some(error) = next {
        let _nobody_listens = writeln!(out, "{error}");
        next = error.source();
    }
}

const VERB: &str = "package";
const EXIT_SERVED: i32 = 0;
const EXIT_USAGE: i32 = 64;
const EXIT_CUT: i32 = 65;
const EXIT_SYSTEM: i32 = 71;
