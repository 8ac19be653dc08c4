//! `host check`: what a host has, and what it lacks.
//!
//! Owns: the questions, one script for all of them, and what follows from the answers. Changes nothing there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;
use command_executor::Command;
use command_executor::ssh::SshConnection;
use harness_core::error_chain;
use harness_core::hosts::{HostBook, HostEntry, HostRunner};
use serde::Serialize;

use super::host::{Format, Shown, connection};
use super::host_failure::HostFailure;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{host_page, json_line, print};

/// Log in to hosts and tell what each has, and what it lacks
///
/// Exits with 0 when all could be logged in to, with 6 when one has another key than it should or lets us not in, and
/// with 1 when one cannot be reached.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct CheckArgs {
    /// Which hosts; all without
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    shown: Shown,
}

const EXAMPLES: &str = "\
Examples:
  harness host check
  harness host check build -o json";

impl CheckArgs {
    pub(super) fn is_json(&self) -> bool {
        self.shown.is_json()
    }
}

/// What was found of one host.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HostReport {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It let us in.
    Facts(Facts),
    /// It did not.
    Error {
        message: String,
        hint: Option<String>,
        exit_code: u8,
    },
}

/// What a host says of itself.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) system: String,
    pub(crate) kernel: String,
    pub(crate) architecture: String,
    pub(crate) libc: String,
    pub(crate) user: String,
    /// The time of a command over the open connection, in milliseconds.
    pub(crate) latency_ms: u64,
    /// How much its clock is ahead of ours, in seconds; as exact as its `date`.
    pub(crate) clock_ahead_s: f64,
    /// What keeps services there, and why, where that is not the shim.
    pub(crate) runner: String,
    /// What it has of what services may need.
    pub(crate) has: Vec<String>,
    /// What it lacks of that.
    pub(crate) lacks: Vec<String>,
}

pub(super) async fn run(args: CheckArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("host check")?;
    let book = HostBook::load(&dirs).map_err(HostFailure::from)?;
    let mut wanted: Vec<&HostEntry> = Vec::new();
    for name in &args.names {
        wanted.push(book.get(name).map_err(HostFailure::from)?);
    }
    if args.names.is_empty() {
        wanted.extend(&book.items);
    }
    let mut reports = Vec::new();
    for entry in wanted {
        let found = match connection(&dirs, &book, entry).await {
            Ok(way) => look(&way, entry.runner).await,
            Err(error) => Err(error),
        };
        let outcome = found.map_or_else(
            |error| Outcome::Error {
                message: error_chain(&error),
                hint: error.hint(),
                exit_code: error.exit_code(),
            },
            Outcome::Facts,
        );
        let name = entry.name.clone();
        reports.push(HostReport { name, outcome });
    }
    match args.shown.output {
        Format::Json => print(&json_line(&serde_json::json!({ "items": reports })))?,
        Format::Text if reports.is_empty() => context.tell("no hosts; `harness host add` adds one"),
        Format::Text => print(&host_page(&context.data, &reports))?,
    }
    verdict(&reports)
}

fn verdict(reports: &[HostReport]) -> Result<(), Failure> {
    let failed = reports.iter().filter_map(|report| match &report.outcome {
        Outcome::Error { exit_code, .. } => Some((report.name.clone(), *exit_code)),
        Outcome::Facts(_) => None,
    });
    let (names, codes): (Vec<String>, Vec<u8>) = failed.unzip();
    match codes.into_iter().max() {
        None => Ok(()),
        Some(exit_code) => Err(HostFailure::Unusable { names, exit_code }.into()),
    }
}

/// Asks over a connection that is closed again, unless somebody else had opened it.
async fn look(way: &SshConnection, runner: HostRunner) -> Result<Facts, HostFailure> {
    let was_open = way.is_open().await?;
    way.open().await?;
    let asked = ask(way, runner).await;
    if !was_open {
        way.leave().await?;
    }
    asked
}

async fn ask(way: &SshConnection, runner: HostRunner) -> Result<Facts, HostFailure> {
    let begun = Instant::now();
    way.run(Command::new("true")).await?;
    let latency = begun.elapsed();
    let mut script = Command::new("sh");
    script.args(["-c", QUESTIONS]);
    let now = since_epoch();
    let answers = way.run(script).await?;
    Ok(facts(
        &String::from_utf8_lossy(&answers.stdout),
        latency,
        now,
        runner,
    ))
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// What the answers come to.
fn facts(answers: &str, latency: Duration, now: Duration, runner: HostRunner) -> Facts {
    let answers: BTreeMap<&str, &str> = answers
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let answer = |name: &str| {
        answers
            .get(name)
            .copied()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let clock: f64 = answer("clock").parse().unwrap_or(now.as_secs_f64());
    // It was asked first, half a command after we looked at ours.
    let ahead = clock - now.as_secs_f64() - latency.as_secs_f64() / 2.0;
    let fits = answer("kernel") == "Linux"
        && answer("architecture") == std::env::consts::ARCH
        && answer("libc").starts_with(if cfg!(target_env = "musl") {
            "musl"
        } else {
            "glibc"
        });
    let (mut has, mut lacks) = (Vec::new(), Vec::new());
    let mut sort = |is_there: bool, what: String| {
        if is_there {
            has.push(what)
        } else {
            lacks.push(what)
        }
    };
    sort(
        fits,
        "the system and processor of this machine's shim".to_owned(),
    );
    let engine = answer("docker");
    match engine.as_str() {
        "" => sort(false, "docker".to_owned()),
        "silent" => sort(false, "a docker engine that answers".to_owned()),
        version => sort(true, format!("docker {version}")),
    }
    sort(answer("wg") == "yes", "wg".to_owned());
    sort(
        answer("wireguard") == "yes",
        "WireGuard in its kernel".to_owned(),
    );
    sort(answer("tun") == "yes", "/dev/net/tun".to_owned());
    sort(answer("cgroup2") == "yes", "cgroup v2".to_owned());
    let home = answer("home_options");
    let is_closed = |option: &str| home.split(',').any(|one| one == option);
    let kept = match runner {
        HostRunner::Shim => "shim (asked for)",
        HostRunner::Sh => "sh (asked for)",
        HostRunner::Auto if answer("kept") == "yes" => "sh (it keeps services there)",
        HostRunner::Auto if !fits => {
            "sh (the shim of this machine is for another system or processor)"
        }
        HostRunner::Auto if is_closed("noexec") => "sh (nothing in the home may be executed)",
        HostRunner::Auto if is_closed("ro") => "sh (the home cannot be written)",
        HostRunner::Auto => "shim",
    };
    Facts {
        runner: kept.to_owned(),
        system: answer("system"),
        kernel: format!("{} {}", answer("kernel"), answer("release")),
        architecture: answer("architecture"),
        libc: answer("libc"),
        user: answer("user"),
        latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        clock_ahead_s: (ahead * 10.0).round() / 10.0,
        has,
        lacks,
    }
}

/// For any POSIX shell; what it does not know it leaves out.
const QUESTIONS: &str = r#"
clock=$(date +%s.%N); case $clock in *[!0-9.]*) clock=$(date +%s) ;; esac
echo "clock=$clock"
echo "kernel=$(uname -s)"
echo "release=$(uname -r)"
echo "architecture=$(uname -m)"
echo "user=$(id -un)"
[ -r /etc/os-release ] && (. /etc/os-release; echo "system=$PRETTY_NAME")
libc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || libc=$(ldd --version 2>&1 | head -n 1)
echo "libc=$libc"
if command -v docker >/dev/null 2>&1; then
  version=$(timeout 5 docker version --format '{{.Server.Version}}' 2>/dev/null) || version=silent
  echo "docker=$version"
fi
command -v wg >/dev/null 2>&1 && echo wg=yes
[ -d /sys/module/wireguard ] && echo wireguard=yes
[ -c /dev/net/tun ] && echo tun=yes
[ -e /sys/fs/cgroup/cgroup.controllers ] && echo cgroup2=yes
for kept in "$HOME"/.local/state/harness/*/run/*.sh; do [ -d "$kept" ] && echo kept=yes && break; done
mounted=$(df -P "$HOME" 2>/dev/null | { read -r _; read -r _ _ _ _ _ at; printf %s "$at"; })
while read -r _ at _ options _; do [ "$at" = "$mounted" ] && home=$options; done </proc/mounts
echo "home_options=$home"
exit 0
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_answered_is_lacking() {
        let now = Duration::from_secs(1000);
        let found = facts(
            "clock=1010.0\nwg=yes\ndocker=silent\nkernel=Linux\n",
            Duration::ZERO,
            now,
            HostRunner::Auto,
        );
        assert!(found.runner.starts_with("sh (the shim"), "{}", found.runner);
        assert_eq!(found.clock_ahead_s, 10.0);
        assert_eq!(found.has, ["wg"]);
        assert_eq!(
            found.lacks,
            [
                "the system and processor of this machine's shim",
                "a docker engine that answers",
                "WireGuard in its kernel",
                "/dev/net/tun",
                "cgroup v2"
            ]
        );
    }
}
