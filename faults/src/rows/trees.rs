//! Trees of processes that do not want to end.
//!
//! Owns: the trees, the kinds of machine (cgroups of version 2 alone, beside version 1, none), and both kinds of user.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::fault::{Fault, promise};
use crate::invariants::cgroups;
use crate::place::{Place, special_files};
use crate::proc;
use crate::row::Order;
use crate::tools;
use crate::wait::{Look, PATIENCE, until};

/// The machine as it is: version 2 beside version 1, or whatever it has.
pub(crate) fn as_is(_: &Order) -> Result<String, Fault> {
    both_users()
}

/// Version 2 alone, as new machines have it.
pub(crate) fn version_two(_: &Order) -> Result<String, Fault> {
    tools::run("mount", &["-t", "cgroup2", "faults", GROUPS])?;
    both_users()
}

/// None at all.
pub(crate) fn none(_: &Order) -> Result<String, Fault> {
    tools::mount_tmpfs("size=4k", Path::new(GROUPS))?;
    both_users()
}

fn both_users() -> Result<String, Fault> {
    let root = ended(Place::new(STACK)?)?;
    let nobody = ended(Place::unprivileged(STACK)?)?;
    Ok(format!(
        "root: {root}; unprivileged: {nobody}; no survivor, zombie, cgroup, FIFO"
    ))
}

fn ended(place: Place) -> Result<String, Fault> {
    place.ok(&["start", "--wait"])?;
    let daemon = place.daemon_up()?;
    // What leaves its session has done so, and the storm has begun.
    let before = until(PATIENCE, "the trees are there", || {
        let marked = proc::marked();
        let storm = marked
            .iter()
            .filter(|process| process.service() == Some("storm"))
            .count();
        // Those whose main process ends at once are ended to the last process by themselves.
        let names = ["twice", "deaf", "tree"];
        let has = |name: &str| {
            marked
                .iter()
                .filter(|process| process.service() == Some(name))
                .count()
        };
        let there = [2, 1, 3];
        let is_up = names
            .iter()
            .zip(there)
            .all(|(name, count)| has(name) >= count)
            && storm > 20;
        Ok(if is_up {
            Look::Holds(marked.len())
        } else {
            Look::NotYet(format!("{} processes", marked.len()))
        })
    })?;
    let instances = place
        .status()?
        .units()
        .iter()
        .filter_map(|unit| unit.instance().map(str::to_owned))
        .collect();
    let begun = Instant::now();
    place.ok(&["stop"])?;
    let took = begun.elapsed();
    // At once: `stop` returns when everything is gone.
    let own = [1, std::process::id(), daemon];
    let others = proc::all()
        .into_iter()
        .filter(|process| !own.contains(&process.pid));
    let left: Vec<String> = others
        .filter(|process| !is_ending_shim(process))
        .map(|process| process.described())
        .collect();
    promise(left.is_empty(), "nothing survives `stop`", || {
        left.join(", ")
    })?;
    promise(
        took < GRACE + Duration::from_secs(4),
        "stop takes its grace and little more",
        || format!("{took:?}"),
    )?;
    until(PATIENCE, "nothing is left over", || {
        let mut left: Vec<String> = special_files(&place.home().join("run"))
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        left.extend(
            cgroups(&instances)
                .iter()
                .map(|path| path.display().to_string()),
        );
        left.extend(
            proc::all()
                .iter()
                .filter(|process| process.is_zombie())
                .map(proc::Process::described),
        );
        Ok(if left.is_empty() {
            Look::Holds(())
        } else {
            Look::NotYet(left.join(", "))
        })
    })?;
    place.finish()?;
    Ok(format!("{before} processes in {} ms", took.as_millis()))
}

/// A shim that has recorded the end of its service may still be on its last instructions; so may a zombie of it.
fn is_ending_shim(process: &proc::Process) -> bool {
    process.is_zombie() || process.command.contains("harness-shim")
}

const GROUPS: &str = "/sys/fs/cgroup";
const GRACE: Duration = Duration::from_secs(1);

/// The storm ends when a limit of its own is reached, so that it is no danger to the machine: it counts.
const STACK: &str = "\
name: trees
x-stop: &stop {grace: 1s}
services:
  twice: {type: process, command: [FIXTURE, daemonize, --stay], stop: *stop}
  forker: {type: process, command: [FIXTURE, daemonize, --quiet], stop: *stop, restart: \"no\"}
  deaf: {type: process, command: [FIXTURE, ignore-term], stop: *stop}
  tree: {type: process, command: [FIXTURE, tree], stop: *stop}
  leaver: {type: process, command: [FIXTURE, tree, --leave], stop: *stop, restart: \"no\"}
  storm:
    type: process
    command: \"trap '' TERM; i=0; while [ $i -lt 60 ]; do i=$((i+1)); (trap '' TERM; while :; do setsid sleep 0.3; done) & done; wait\"
    stop: *stop
";
