//! Completions that know more than our verbs: the names of units and stacks.
//!
//! Owns: what is offered, and that asking for it costs little: a stack file is read, a daemon is asked, neither is
//! waited for, and none is started. Says nothing of what goes wrong: the shell would show it in the middle of a line.

use std::path::PathBuf;
use std::time::Duration;

use clap_complete::CompletionCandidate;
use clap_complete::engine::{ArgValueCandidates, ValueCandidates};
use clap_complete::env::{CompleteEnv, EnvCompleter, Shells};
use futures_lite::future;
use harness_config::{Sources, load};
use harness_core::spec::StackName;
use harness_core::{Dirs, HarnessClient};
use smol::Timer;

use crate::cli;

/// Answers the shell, if it is the shell that asks, and ends the program then.
pub(crate) fn answer_if_asked() {
    CompleteEnv::with_factory(cli::command)
        .var(VARIABLE)
        .complete();
}

/// What a shell must read to ask us; `None` for one that we do not know.
pub(crate) fn registration(shell: &str) -> Option<Vec<u8>> {
    let shells = Shells::builtins();
    let shell: &dyn EnvCompleter = shells.completer(shell)?;
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "harness", "harness", "harness", &mut script)
        .expect("writing to memory does not fail");
    Some(script)
}

/// The services and tasks of the stack that is meant.
pub(crate) fn units() -> ArgValueCandidates {
    ArgValueCandidates::new(Units)
}

/// The stacks that the daemon knows.
pub(crate) fn stacks() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let known = asked(async |client| {
            let stacks = client.stacks().await.ok()?;
            Some(stacks.into_iter().map(|stack| stack.name.to_string()))
        });
        let known = known.into_iter().flatten();
        known.map(CompletionCandidate::new).collect()
    })
}

struct Units;

impl ValueCandidates for Units {
    fn candidates(&self) -> Vec<CompletionCandidate> {
        let words: Vec<String> = std::env::args_os()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let project = value(&words, &["-p", "--project"])
            .or_else(|| std::env::var("HARNESS_PROJECT").ok())
            .filter(|project| !project.is_empty());
        let units = match project {
            Some(project) => of_daemon(project),
            None => of_files(&words),
        };
        units.into_iter().map(CompletionCandidate::new).collect()
    }
}

/// What stands behind the last of these options on the line so far.
fn value(words: &[String], options: &[&str]) -> Option<String> {
    let at = words
        .iter()
        .rposition(|word| options.contains(&word.as_str()))?;
    words.get(at + 1).cloned()
}

/// The units of the file that is named, or found from here upwards.
fn of_files(words: &[String]) -> Vec<String> {
    let named = value(words, &["--file", "-c"])
        .or_else(|| std::env::var("HARNESS_FILE").ok())
        .filter(|file| !file.is_empty())
        .map(|file| file.split(':').map(PathBuf::from).collect());
    let env_file = value(words, &["--env-file"]).map(PathBuf::from);
    let env_files = crate::select::env_files(env_file.as_slice());
    let files: Vec<PathBuf> = named.unwrap_or_else(|| crate::select::found(&env_files));
    let sources = env_files
        .iter()
        .fold(Sources::new().profile("*"), Sources::env_file);
    let sources = files
        .into_iter()
        .fold(sources, Sources::file)
        .environment(std::env::vars());
    let stack = load(&sources).stack;
    let units = stack.into_iter().flat_map(|stack| stack.units);
    units.map(|(name, _)| name.to_string()).collect()
}

/// The units of a stack that runs.
fn of_daemon(project: String) -> Vec<String> {
    let status = asked(async |client| {
        let stack = StackName::new(&project).ok()?;
        client.status(&stack).await.ok()
    });
    let units = status.into_iter().flat_map(|status| status.items);
    units.map(|unit| unit.name).collect()
}

/// What a daemon that runs says at once.
fn asked<T>(question: impl AsyncFnOnce(HarnessClient) -> Option<T>) -> Option<T> {
    let dirs = Dirs::from_env().ok()?;
    let answer = async {
        let client = HarnessClient::connect(&dirs).await.ok()?;
        question(client).await
    };
    let late = async {
        Timer::after(PATIENCE).await;
        None
    };
    smol::block_on(future::or(answer, late))
}

/// Set by what [`registration`] gives to the shell.
const VARIABLE: &str = "HARNESS_COMPLETE";
/// A line that does not complete within this time feels stuck.
const PATIENCE: Duration = Duration::from_millis(300);
