//! Shims killed at every system call by which they change something.
//!
//! Owns: the program that stands in for the shim: it puts `strace` in front of the next one, once, as a file says. The
//! daemon sees the shim itself as its child, for `strace -D` observes from aside.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::tracer::{Effect, Point, points};
use crate::wait::{Look, PATIENCE, until, until_true};

/// Cuts a launch short.
pub(crate) fn start(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Start)
}

/// Cuts the change to another log segment short, and everything else of a shim at work.
pub(crate) fn rotate(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Rotate)
}

/// Cuts the record of an exit short.
pub(crate) fn exit(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Exit)
}

/// Cuts a shim short that takes over from one that was killed.
pub(crate) fn adopt(order: &Order) -> Result<String, Fault> {
    crashes(order, Operation::Adopt)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Start,
    Rotate,
    Exit,
    Adopt,
}

struct Trial {
    place: Place,
    checker: Checker,
    operation: Operation,
}

fn crashes(order: &Order, operation: Operation) -> Result<String, Fault> {
    let mut place = Place::new(&stack(operation))?;
    let stand_in = place.path().join("shim");
    place.write("shim", &script(&place))?;
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755))
        .map_err(Fault::io("make executable", &stand_in))?;
    place.set("HARNESS_SHIM", stand_in.display().to_string());
    place.daemon_up()?;
    let checker = Checker::new(&place, &["a"])?;
    let mut trial = Trial {
        place,
        checker,
        operation,
    };
    let all: Vec<Point> = trial.observe()?.into_iter().collect();
    let chosen =
        Chance::new(order.seed).fairly(&all, order.pick(6, 60), |point| point.name.clone());
    let mut hit = 0;
    for point in &chosen {
        // Seen when the row fails.
        eprintln!("{point}");
        hit += usize::from(
            trial
                .cut_short(point)
                .map_err(|fault| fault.at(point.to_string()))?,
        );
    }
    trial.place.finish()?;
    Ok(format!(
        "{hit} kills at {} of {} points",
        chosen.len(),
        all.len()
    ))
}

impl Trial {
    /// One undisturbed run, to learn where the shim changes something.
    fn observe(&mut self) -> Result<BTreeSet<Point>, Fault> {
        let trace = self.place.path().join("shim.trace");
        self.go(&Effect::Seen)?;
        let text = until(PATIENCE, "the shim was observed", || {
            let text = fs::read_to_string(&trace).unwrap_or_default();
            Ok(if text.is_empty() {
                Look::NotYet("no trace".to_owned())
            } else {
                Look::Holds(text)
            })
        })?;
        // What it does before the operation begins belongs to another operation.
        let mut found = points(&text);
        found.retain(|point| point.name != "execve");
        Ok(found)
    }

    /// Kills a shim at this point, and checks what is made of it. Whether the point was met.
    fn cut_short(&mut self, point: &Point) -> Result<bool, Fault> {
        let met = self.place.path().join("shim.trace");
        self.go(&Effect::Killed(point.clone()))?;
        let text = fs::read_to_string(&met).unwrap_or_default();
        // The call that was not made has no answer.
        Ok(text.lines().any(|line| line.ends_with("= ?")))
    }

    /// The operation, with this happening to the shim that it concerns.
    fn go(&mut self, effect: &Effect) -> Result<(), Fault> {
        // Not there, when nothing was ever started.
        let _ = fs::remove_file(self.place.path().join("shim.trace"));
        match self.operation {
            Operation::Start => {
                self.arm(effect)?;
                self.place
                    .run(&["start", "--wait", "--wait-timeout", "10s"])?;
            }
            Operation::Rotate | Operation::Exit => {
                self.arm(effect)?;
                self.place
                    .run(&["start", "--wait", "--wait-timeout", "10s"])?;
                self.until_done()?;
            }
            Operation::Adopt => {
                self.place.ok(&["start", "--wait"])?;
                let shim = self.place.shim("a")?;
                self.arm(effect)?;
                proc::kill(shim);
                until_true(PATIENCE, "the killed shim is gone", || {
                    !proc::is_alive(shim)
                })?;
            }
        }
        until_true(PATIENCE, "the shim was started", || !self.armed().exists())?;
        self.checker.check(&self.place, Acknowledged::Nothing)?;
        if matches!(self.operation, Operation::Start | Operation::Adopt) {
            // By its policy a service that was cut short is launched again, without being asked.
            self.place.until_unit("a", "up", |unit| unit.is_up())?;
        }
        let up = self
            .place
            .run(&["start", "--wait", "--wait-timeout", "20s"])?;
        if up.code != 0 && self.operation != Operation::Exit {
            return Err(up.fault());
        }
        self.place.ok(&["stop"])?;
        self.checker.check(&self.place, Acknowledged::Down(&["a"]))
    }

    /// Waits until a rotation, or the end of the service, has happened.
    fn until_done(&self) -> Result<(), Fault> {
        let account = self.place.account();
        let enough = if self.operation == Operation::Exit {
            EXIT_LINES
        } else {
            ROTATE_LINES
        };
        until(
            PATIENCE,
            "the service has written, or was never started",
            || {
                let attempts = account.attempts("a");
                let told = attempts.last().map_or(0, |attempt| account.told(attempt));
                let unit = self.place.unit("a")?;
                Ok(crate::wait::seen(told >= enough || !unit.is_up(), &told))
            },
        )?;
        if self.operation == Operation::Exit {
            let unit =
                self.place
                    .until_unit_within(Duration::from_secs(20), "a", "down", |unit| {
                        !unit.is_up() && unit.is_settled()
                    })?;
            let code = unit.0["exit_code"].as_i64();
            // What was never launched has no end that could be known.
            let is_unknown = unit.0["exit_unknown"] == true || unit.0["reason"].is_string();
            // Never anything else: the one right code, or the word that nobody knows it.
            crate::fault::promise(
                code == Some(EXIT_CODE) || (code.is_none() && is_unknown),
                "no exit code is invented",
                || unit.0.to_string(),
            )?;
        }
        Ok(())
    }

    fn armed(&self) -> PathBuf {
        self.place.path().join("armed")
    }

    fn arm(&self, effect: &Effect) -> Result<(), Fault> {
        let path = self.armed();
        fs::write(&path, effect.arguments().join("\n")).map_err(Fault::io("write", path))
    }
}

/// Takes the options once, under a name of its own, so that of two shims only one is meant.
fn script(place: &Place) -> String {
    let (directory, shim) = (place.path().display(), place.program("harness-shim"));
    format!(
        "\
#!/bin/sh
if mv {directory}/armed {directory}/armed.$$ 2>/dev/null; then
  IFS='
'
  set -- $(cat {directory}/armed.$$) -- {shim} \"$@\"
  exec strace -D -q -s 16 -e signal=none -o {directory}/shim.trace \"$@\"
fi
exec {shim} \"$@\"
",
        shim = shim.display()
    )
}

fn stack(operation: Operation) -> String {
    let (arguments, more) = match operation {
        Operation::Start | Operation::Adopt => ("--rate, \"40\"".to_owned(), ""),
        Operation::Rotate => (
            "--rate, \"400\"".to_owned(),
            "log: {max_size: 4KiB, max_files: 5000}",
        ),
        Operation::Exit => (
            format!("--rate, \"400\", --count, \"{EXIT_LINES}\", --exit, \"{EXIT_CODE}\""),
            "restart: \"no\"",
        ),
    };
    let comma = if more.is_empty() { "" } else { ", " };
    format!(
        "\
name: crash
services:
  a: {{type: process, command: [PLAYER, writer, {arguments}]{comma}{more}}}
"
    )
}

const EXIT_LINES: u64 = 40;
const EXIT_CODE: i64 = 7;
const ROTATE_LINES: u64 = 250;
