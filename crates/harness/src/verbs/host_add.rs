//! `host add`: whether a host is the one that is meant.
//!
//! Owns: asking for its keys and having somebody say that one is right. Nothing is written down before.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use command_executor::event::ProcessEventType;
use command_executor::{Command, Completed, Executor, Exit, ProcessHandle, StdinMode, Target};
use futures_lite::StreamExt;
use harness_core::hosts::{HostBook, HostEntry, HostRunner};

use super::host::connection;
use super::host_failure::HostFailure;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Span, escaped, note};

/// Add a host: asks it for its key, shows the fingerprint, and trusts it when you agree
///
/// A key is trusted because somebody has compared its fingerprint, never because of --yes. Where nobody can be asked,
/// --fingerprint says which key is the right one.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct AddArgs {
    /// What to call it
    #[arg(value_name = "NAME")]
    name: String,
    /// Where it is [default: its name]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// The port of its sshd
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    port: u16,
    /// Who logs in [default: the user of this program]
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The private key to log in with [default: your own, and those of an agent]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The host that it is reached through, by its name
    #[arg(long, value_name = "NAME")]
    jump: Option<String>,
    /// What keeps services there: the shim, which is brought there; the host's own sh, where that cannot run; or whichever runs
    #[arg(long, value_name = "RUNNER", value_enum, default_value_t = RunnerChoice::Auto)]
    runner: RunnerChoice,
    /// The fingerprint that it must have
    #[arg(long, value_name = "SHA256:…")]
    fingerprint: Option<String>,
}

/// As it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RunnerChoice {
    Auto,
    Shim,
    Sh,
}

impl From<RunnerChoice> for HostRunner {
    fn from(choice: RunnerChoice) -> Self {
        match choice {
            RunnerChoice::Auto => Self::Auto,
            RunnerChoice::Shim => Self::Shim,
            RunnerChoice::Sh => Self::Sh,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  harness host add build --address 10.0.0.5 --user me
  harness host add inner --jump build --key ~/.ssh/inner
  harness host add ci --fingerprint SHA256:9mJ0…        where nobody can be asked";

/// What this machine is called among hosts.
const HERE: &str = "local";

/// A key that a host shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostKey {
    /// Type and key.
    line: String,
    /// `SHA256:…`
    fingerprint: String,
    /// `ED25519`
    kind: String,
}

pub(super) async fn run(args: AddArgs, context: &Context) -> Result<(), Failure> {
    add(args, context).await
}

async fn add(args: AddArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("host add")?;
    dirs.create()?;
    if args.name == HERE {
        return Err(HostFailure::Here { name: args.name }.into());
    }
    let book = HostBook::load(&dirs).map_err(HostFailure::from)?;
    book.check_free(&args.name).map_err(HostFailure::from)?;
    let mut entry = HostEntry {
        address: args.address.unwrap_or_else(|| args.name.clone()),
        name: args.name,
        port: args.port,
        user: args.user,
        key: args.key.map(found).transpose()?,
        jump: args.jump,
        runner: args.runner.into(),
        host_keys: Vec::new(),
        fingerprints: Vec::new(),
    };
    book.way(&entry).map_err(HostFailure::from)?;
    let mut scan = Command::new("ssh-keyscan");
    scan.args(["-T", "5", "-p", &entry.port.to_string()]);
    scan.arg("--").arg(&entry.address);
    let (shown, from) = match &entry.jump {
        None => (here(scan, "ask it for its key").await?, String::new()),
        Some(jump) => {
            let way = connection(&dirs, &book, book.get(jump).map_err(HostFailure::from)?).await?;
            let shown = way.run(scan).await.map_err(HostFailure::from)?;
            if shown.exit == Exit::Code(127) {
                let said = format!("{jump} has no `ssh-keyscan`");
                let action = "ask it for its key";
                return Err(HostFailure::Scan { action, said }.into());
            }
            (shown, format!(", asked from {jump}"))
        }
    };
    let keys = fingerprints(&shown.stdout).await?;
    if keys.is_empty() {
        let address = format!("{}:{}", entry.address, entry.port);
        return Err(HostFailure::Silent { address, from }.into());
    }
    let trusted = match &args.fingerprint {
        Some(expected) => matching(&entry.name, keys, expected)?,
        None => agreed(context, &entry, keys)?,
    };
    entry.host_keys = trusted.iter().map(|key| key.line.clone()).collect();
    entry.fingerprints = trusted.into_iter().map(|key| key.fingerprint).collect();
    let name = entry.name.clone();
    HostBook::add(&dirs, entry).map_err(HostFailure::from)?;
    let text = format!("`{name}` is added: `harness host check {name}` logs in");
    context.tell(&context.messages.paint(Span::Good, &text));
    Ok(())
}

/// The key's file, wherever a verb is run later.
fn found(key: PathBuf) -> Result<PathBuf, HostFailure> {
    let shown = key.display().to_string();
    std::path::absolute(key)
        .ok()
        .filter(|path| path.is_file())
        .ok_or(HostFailure::NoKey { key: shown })
}

async fn here(command: Command, action: &'static str) -> Result<Completed, HostFailure> {
    let done = Executor::local().execute(&Target::Command, command).await;
    done.map_err(|error| HostFailure::Scan {
        action,
        said: error.to_string(),
    })
}

/// What `ssh-keyscan` has found, with fingerprints.
async fn fingerprints(scanned: &[u8]) -> Result<Vec<HostKey>, HostFailure> {
    let text = String::from_utf8_lossy(scanned);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut keys = Vec::new();
    for line in lines {
        let Some((_, key)) = line.split_once(' ') else {
            continue;
        };
        let told = fingerprint(key).await?;
        // `256 SHA256:… comment (ED25519)`
        let mut words = told.split_whitespace();
        let (fingerprint, kind) = (words.nth(1), words.last());
        if let (Some(fingerprint), Some(kind)) = (fingerprint, kind) {
            keys.push(HostKey {
                line: key.trim().to_owned(),
                fingerprint: fingerprint.to_owned(),
                kind: kind.trim_matches(['(', ')']).to_owned(),
            });
        }
    }
    keys.sort_by(|a, b| a.kind.cmp(&b.kind));
    Ok(keys)
}

async fn fingerprint(key: &str) -> Result<String, HostFailure> {
    let failed = |said: String| HostFailure::Scan {
        action: "read its key",
        said,
    };
    let mut command = Command::new("ssh-keygen");
    command.args(["-l", "-f", "-"]).stdin(StdinMode::Channel);
    let executor = Executor::local();
    let launched = executor.launch(&Target::Command, command).await;
    let (mut events, handle) = launched.map_err(|error| failed(error.to_string()))?;
    if let Some(stdin) = handle.take_stdin() {
        let sent = stdin.send(format!("{key}\n")).await;
        sent.map_err(|error| failed(error.to_string()))?;
    }
    let mut told = String::new();
    while let Some(event) = events.next().await {
        if event.event_type == ProcessEventType::Stdout {
            told += &event.data;
        }
    }
    Ok(told)
}

/// The one key that was named.
fn matching(name: &str, keys: Vec<HostKey>, expected: &str) -> Result<Vec<HostKey>, HostFailure> {
    let (right, others): (Vec<_>, Vec<_>) = keys
        .into_iter()
        .partition(|key| key.fingerprint == expected);
    if right.is_empty() {
        return Err(HostFailure::OtherKey {
            name: name.to_owned(),
            expected: escaped(expected.as_bytes()),
            shown: others.into_iter().map(|key| key.fingerprint).collect(),
        });
    }
    Ok(right)
}

/// All keys that it shows, when somebody says that they are its own.
fn agreed(
    context: &Context,
    entry: &HostEntry,
    keys: Vec<HostKey>,
) -> Result<Vec<HostKey>, Failure> {
    let first = keys
        .iter()
        .find(|key| key.kind == "ED25519")
        .unwrap_or(&keys[0]);
    if context.globals.no_input
        || !std::io::stdin().is_terminal()
        || !std::io::stderr().is_terminal()
    {
        return Err(HostFailure::NeedsFingerprint {
            name: entry.name.clone(),
            fingerprint: first.fingerprint.clone(),
        }
        .into());
    }
    let mut text = format!(
        "{} at {}:{} shows these keys:\n",
        entry.name, entry.address, entry.port
    );
    for key in &keys {
        text += &format!("  {:<8} {}\n", key.kind, key.fingerprint);
    }
    note(&text);
    note("Is one of them the fingerprint that the host's owner gives? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.map_err(Failure::io("read the answer"))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(keys),
        _ => Err(Failure::Declined),
    }
}
