//! Runs rows side by side, each in namespaces of its own.
//!
//! Owns: how a row is isolated, how long it may take, and the line that tells of it. Whatever a row leaves behind ends with
//! its PID namespace; what it mounts is seen by nobody else.

use std::collections::VecDeque;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::engine;
use crate::fault::Fault;
use crate::row::{Order, Row};
use crate::tools;

/// Runs these, a few at a time, and prints a line for each. Answers with how many have failed.
pub(crate) fn run(rows: &[&'static Row], order: Order) -> Result<usize, Fault> {
    if !rustix::process::geteuid().is_root() {
        return Err(Fault::Missing {
            what: "root".to_owned(),
            advice: "namespaces, mounts and other users are part of the trials; run it by sudo",
        });
    }
    for tool in TOOLS {
        tools::find(tool)?;
    }
    // A lock, because the lanes take from one list; never held while a row runs.
    let waiting: Mutex<VecDeque<&Row>> = Mutex::new(rows.iter().copied().collect());
    let failed = Mutex::new(0);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..LANES.min(rows.len()) {
            scope.spawn(|| {
                loop {
                    let next = waiting
                        .lock()
                        .unwrap_or_else(|lock| lock.into_inner())
                        .pop_front();
                    let Some(row) = next else { return };
                    if !tell(row, order) {
                        *failed.lock().unwrap_or_else(|lock| lock.into_inner()) += 1;
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(|lock| lock.into_inner());
    println!(
        "{} rows, {failed} failed, {} s",
        rows.len(),
        begun.elapsed().as_secs()
    );
    Ok(failed)
}

/// Runs one and prints its line. Whether it holds.
fn tell(row: &Row, order: Order) -> bool {
    let begun = Instant::now();
    let (holds, said) = match isolated(row, order) {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let on_stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            match output.status.code() {
                Some(0) => (true, said),
                Some(engine::NO_ENGINE) if row.needs_engine() => {
                    let missing = Fault::Missing {
                        what: "a container engine of its own".to_owned(),
                        advice: "`docker-test-env/isolated busybox -- true` says what is missing, `cargo xtask setup` brings it",
                    };
                    (false, format!("{missing}\n{}", last_lines(&on_stderr)))
                }
                Some(1) => (false, format!("{said}\n{}", last_lines(&on_stderr))),
                _ => (
                    false,
                    format!("{}: {said}\n{}", output.status, last_lines(&on_stderr)),
                ),
            }
        }
        Err(fault) => (false, fault.to_string()),
    };
    let verdict = if holds { "ok" } else { "FAILED" };
    println!(
        "{:<24} {verdict:<6} {said} ({:.0} s)",
        row.name,
        begun.elapsed().as_secs_f64()
    );
    holds
}

/// Runs one that is not of the matrix; what it says, or why it could not be tried.
pub(crate) fn alone(row: &Row, order: Order) -> Result<String, String> {
    let output = isolated(row, order).map_err(|fault| fault.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(said),
    }
}

/// What led to a failure.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(MAX_SHOWN)..];
    last.iter().map(|line| format!("    {line}\n")).collect()
}

fn isolated(row: &Row, order: Order) -> Result<Output, Fault> {
    let own = std::env::current_exe().map_err(Fault::io("find", "this program"))?;
    let mut command = Command::new("timeout");
    let limit = order.pick(QUICK_LIMIT, LIMIT).as_secs().to_string();
    command.args(["--signal=KILL", &limit]);
    if row.needs_engine() {
        command.args(engine::isolated());
    } else {
        command.args([
            "unshare",
            "--pid",
            "--fork",
            "--mount",
            "--mount-proc",
            "--kill-child",
        ]);
        // A shell as the first process: it takes in what loses its parent, as the init of a machine does.
        command.args(["--", "/bin/sh", "-c", "\"$0\" \"$@\"; exit $?"]);
    }
    command
        .arg(own)
        .args(["row", row.name, "--seed", &order.seed.to_string()]);
    if order.quick {
        command.arg("--quick");
    }
    command.stdin(Stdio::null());
    command.output().map_err(Fault::io("run", "unshare"))
}

/// What rows need beside ours. All are asked for at once, so that a machine that lacks one says so at once.
const TOOLS: [&str; 6] = [
    "strace",
    "unshare",
    "setpriv",
    "timeout",
    "mkfs.ext4",
    "faketime",
];

/// On two cores: rows mostly wait for processes and disks.
const LANES: usize = 4;

/// A row that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(480);
const QUICK_LIMIT: Duration = Duration::from_secs(120);

/// Of what a row that failed has done last.
const MAX_SHOWN: usize = 25;
