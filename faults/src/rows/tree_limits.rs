//! Storms of forks that end only at a limit of the kernel.
//!
//! Owns: the limits (of a user, of a cgroup of either version), who is under them (the service alone, or the daemon and
//! its shims too), and the end of the storm.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::tools;
use crate::wait::{Look, PATIENCE, until};

/// A user's limit, for one who may do nothing else.
pub(crate) fn of_user(_: &Order) -> Result<String, Fault> {
    let limit = format!("--nproc={LIMIT}");
    let script = format!("exec prlimit {limit} -- PROGRAM");
    let alone = Place::of_user(USER, &stack(&script, None))?;
    let alone = storm(alone, None)?;
    let all = Place::of_user(USER, &stack("exec PROGRAM", None))?;
    let all = storm(all, Some(&["prlimit", &limit, "--"]))?;
    Ok(format!(
        "service at the limit: {alone}; daemon and shims too: {all}"
    ))
}

/// A cgroup's limit, for root, with and without a cgroup of version 2 for each service.
pub(crate) fn of_group(_: &Order) -> Result<String, Fault> {
    let mut figures = Vec::new();
    for (kind, hidden) in [("cgroup 2 as is", false), ("none", true)] {
        let group = Group::new()?;
        if hidden {
            tools::mount_tmpfs("size=4k", Path::new("/sys/fs/cgroup"))?;
        }
        let procs = group.0.join("cgroup.procs").display().to_string();
        let script = format!("echo $$ > {procs}; exec PROGRAM");
        let alone = storm(Place::new(&stack(&script, Some(&group.0)))?, None)?;
        let all = Place::new(&stack("exec PROGRAM", Some(&group.0)))?;
        let enter = format!("echo $$ > {procs}; exec \"$@\"");
        let all = storm(all, Some(&["sh", "-c", &enter, "sh"]))?;
        figures.push(format!(
            "{kind}: service at the limit: {alone}; daemon and shims too: {all}"
        ));
    }
    Ok(figures.join("; "))
}

/// Lets it rage at the limit, and stops it. `confined`: how the daemon is brought under the limit, if it is.
fn storm(mut place: Place, confined: Option<&[&str]>) -> Result<String, Fault> {
    place.confine(confined.unwrap_or_default());
    place.daemon_up()?;
    // Who gives the orders is not under the limit: else there would be no room for the command itself.
    place.confine(&[]);
    place.ok(&["start", "calm", "--wait"])?;
    place.ok(&["start", "storm"])?;
    let raging = until(PATIENCE, "the storm is at the limit", || {
        let count = storming();
        Ok(if count + MARGIN >= LIMIT {
            Look::Holds(count)
        } else {
            Look::NotYet(format!("{count} processes"))
        })
    })?;
    // With nothing to fork with, a start is refused or waits; it takes nobody down.
    if confined.is_some() {
        let refused = place.run(&["start", "late", "--wait", "--wait-timeout", "2s"])?;
        promise(
            refused.code != 0 || place.unit("late")?.is_up(),
            "a start without room for a process says so",
            || refused.line.clone(),
        )?;
    }
    let pid = place.daemon()?;
    promise(
        pid.is_some(),
        "the daemon answers amid the storm",
        String::new,
    )?;
    let begun = Instant::now();
    place.ok(&["stop", "storm"])?;
    let took = begun.elapsed();
    let left = storming();
    promise(left == 0, "nothing of the storm survives `stop`", || {
        left.to_string()
    })?;
    promise(
        took < GRACE + Duration::from_secs(4),
        "stop takes its grace and little more",
        || format!("{took:?}"),
    )?;
    promise(
        place.unit("calm")?.is_up() && place.daemon()? == pid,
        "nobody else is touched",
        String::new,
    )?;
    place.ok(&["start", "late", "--wait"])?;
    place.finish()?;
    Ok(format!("{raging} ended in {} ms", took.as_millis()))
}

fn storming() -> u64 {
    let all = proc::marked();
    let storm = all.iter().filter(|it| it.service() == Some("storm"));
    storm.count() as u64
}

/// `script` says how the storm comes under its limit.
fn stack(script: &str, group: Option<&Path>) -> String {
    // A dollar sign that is the shell's, in YAML that is quoted.
    let script = script
        .replace("$$", "$$$$")
        .replace("PROGRAM", "\\\"$@\\\"");
    let group = group.map_or(String::new(), |path| {
        format!(", env: {{STORM_GROUP: \"{}\"}}", path.display())
    });
    format!(
        "name: limit\nservices:\n  \
         calm: {{type: process, command: [FIXTURE, hold]}}\n  \
         late: {{type: process, command: [FIXTURE, hold], restart: \"no\"}}\n  \
         storm: {{type: process, command: [sh, -c, \"trap '' TERM; {script}\", sh, PLAYER, storm], stop: {{grace: 1s}}, restart: \"no\"{group}}}\n"
    )
}

/// A group with a limit on its processes; gone when this is dropped.
struct Group(PathBuf);

impl Group {
    fn new() -> Result<Self, Fault> {
        let mount = std::env::temp_dir().join(format!("hf-pids-{}", std::process::id()));
        fs::create_dir_all(&mount).map_err(Fault::io("make", &mount))?;
        let at = mount.display().to_string();
        // The controller is in one hierarchy only: that of version 1, or the one of version 2.
        let one = ["-t", "cgroup", "-o", "pids", "faults", at.as_str()];
        if tools::run("mount", &one).is_err() {
            tools::run("mount", &["-t", "cgroup2", "faults", &at])?;
            let control = mount.join("cgroup.subtree_control");
            fs::write(&control, "+pids").map_err(Fault::io("ask for pids in", &control))?;
        }
        let group = mount.join(format!("faults-{}", fresh()));
        fs::create_dir(&group).map_err(Fault::io("make", &group))?;
        let max = group.join("pids.max");
        fs::write(&max, LIMIT.to_string()).map_err(Fault::io("write", &max))?;
        Ok(Self(group))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only what is empty can be removed; what is not was reported as a survivor.
        let _ = fs::remove_dir(&self.0);
        if let Some(mount) = self.0.parent() {
            let _ = tools::unmount(mount);
            let _ = fs::remove_dir(mount);
        }
    }
}

/// A name that no other run of the matrix has: groups are the machine's, not the namespace's.
fn fresh() -> u128 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos())
}

/// Of nobody else: the limit counts everything that a user has.
const USER: u32 = 64_123;
const LIMIT: u64 = 150;
/// The daemon, its threads, the shims and the calm service.
const MARGIN: u64 = 40;
const GRACE: Duration = Duration::from_secs(1);
