//! Process ids that come to mean somebody else: by reuse, and by a reboot.
//!
//! Owns: how a number is given to a stranger (`ns_last_pid` in a PID namespace), and how another boot is pretended: by a file
//! that is mounted over the kernel's boot id, which only this row's mount namespace sees. The programs have no switch for it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::tools;
use crate::wait::{PATIENCE, until_true};

/// A service's number, and its shim's, belong to strangers before the next daemon comes.
pub(crate) fn reuse(order: &Order) -> Result<String, Fault> {
    let place = Place::new(STACK)?;
    let rounds = order.pick(8, 50);
    for round in 0..rounds {
        reused(&place).map_err(|fault| fault.at(format!("round {}", round + 1)))?;
    }
    place.finish()?;
    Ok(format!(
        "{} numbers reused, no stranger signalled",
        2 * rounds
    ))
}

fn reused(place: &Place) -> Result<(), Fault> {
    place.ok(&["start", "--wait"])?;
    let (service, shim) = (place.pid("a")?, place.shim("a")?);
    place.kill_daemon()?;
    // The shim first: else it may witness the end of its service.
    for pid in [shim, service] {
        proc::kill(pid);
    }
    // The later one first: a stranger's own threads take the numbers behind its own.
    let ended = [service, shim];
    until_true(PATIENCE, "both are gone and reaped", || {
        ended.iter().all(|pid| proc::look(*pid).is_none())
    })?;
    let mut strangers = Vec::new();
    for pid in ended {
        strangers.push(Stranger::with(place, pid)?);
    }
    // The next daemon looks for the attempt, and is then told to end it for good measure.
    let unit = place.until_unit("a", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    promise(
        unit.0["exit_unknown"] == true,
        "an end that nobody saw is unknown",
        || unit.0.to_string(),
    )?;
    place.ok(&["stop", "--force"])?;
    for stranger in &mut strangers {
        stranger.is_untouched()?;
    }
    Ok(())
}

/// Everything is gone, the numbers belong to others, and it is another boot.
pub(crate) fn reboot(_: &Order) -> Result<String, Fault> {
    let place = Place::new(STACK)?;
    place.ok(&["start", "--wait"])?;
    let (service, shim) = (place.pid("a")?, place.shim("a")?);
    place.kill_daemon()?;
    for pid in [shim, service] {
        proc::kill(pid);
    }
    until_true(PATIENCE, "all are gone", || {
        [service, shim].iter().all(|pid| proc::look(*pid).is_none())
    })?;
    let mut strangers = [
        Stranger::with(&place, service)?,
        Stranger::with(&place, shim)?,
    ];
    let other = place.path().join("boot_id");
    fs::write(&other, "00000000-1111-2222-3333-444444444444\n")
        .map_err(Fault::io("write", &other))?;
    let (other, own) = (
        other.display().to_string(),
        "/proc/sys/kernel/random/boot_id",
    );
    tools::run("mount", &["--bind", &other, own])?;
    place.until_unit("a", "known to have ended", |unit| {
        !unit.is_up() && unit.is_settled()
    })?;
    place.ok(&["start", "--wait"])?;
    promise(place.pid("a")? != service, "it runs anew", String::new)?;
    for stranger in &mut strangers {
        stranger.is_untouched()?;
    }
    place.finish()?;
    tools::unmount(Path::new(own))?;
    Ok("2 numbers of another boot, no stranger signalled, started anew".to_owned())
}

/// A process with a number that was somebody else's.
struct Stranger {
    process: Child,
    heard: std::path::PathBuf,
}

impl Stranger {
    fn with(place: &Place, pid: u32) -> Result<Self, Fault> {
        let heard = place.path().join(format!("heard-{pid}"));
        for _ in 0..100 {
            let last = "/proc/sys/kernel/ns_last_pid";
            fs::write(last, (pid - 1).to_string()).map_err(Fault::io("write", last))?;
            let output = fs::File::create(&heard).map_err(Fault::io("make", &heard))?;
            let mut command = Command::new(place.program("fixture"));
            command.args(["signals", "--exit-on", "none"]).env_clear();
            command.stdin(Stdio::null()).stdout(output);
            let process = command.spawn().map_err(Fault::io("run", "fixture"))?;
            let stranger = Self {
                process,
                heard: heard.clone(),
            };
            if stranger.process.id() == pid {
                let is_ready =
                    || fs::read_to_string(&heard).is_ok_and(|text| text.contains("ready"));
                until_true(PATIENCE, "the stranger listens", is_ready)?;
                return Ok(stranger);
            }
        }
        Err(Fault::broken(
            format!("a process gets the number {pid}"),
            "others were quicker",
        ))
    }

    fn is_untouched(&mut self) -> Result<(), Fault> {
        let heard = fs::read_to_string(&self.heard).unwrap_or_default();
        let is_alive = matches!(self.process.try_wait(), Ok(None));
        promise(
            is_alive && !heard.contains("signal"),
            "I6: no stranger is signalled",
            || heard,
        )
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // It may have ended already, which is what was looked for.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const STACK: &str = "\
name: identity
services:
  a: {type: process, command: [FIXTURE, hold], restart: \"no\"}
";
