//! What has to hold after every fault.
//!
//! Owns: the invariants I1 to I8: at most one live attempt of a unit; no marked process outside of a known attempt; logs
//! that equal the writers' own account; a state that loads; no descriptors, zombies, cgroups, FIFOs left over; no stranger
//! signalled; answers within a second; commands that were acknowledged are not forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::asked::Status;
use crate::fault::{Fault, promise};
use crate::place::{Place, special_files};
use crate::proc;
use crate::wait::{Look, PATIENCE, until};

/// Checks a place, again and again.
#[derive(Debug)]
pub(crate) struct Checker {
    /// Units whose output is compared with their account.
    writers: Vec<&'static str>,
    stranger: Stranger,
}

/// What was acknowledged, so that it has to be so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Acknowledged<'a> {
    /// Nothing: the command was cut short.
    Nothing,
    /// These run.
    Up(&'a [&'a str]),
    /// These do not.
    Down(&'a [&'a str]),
}

impl Checker {
    /// For a place whose units of these names are writers.
    pub(crate) fn new(place: &Place, writers: &[&'static str]) -> Result<Self, Fault> {
        Ok(Self {
            writers: writers.to_vec(),
            stranger: Stranger::new(place)?,
        })
    }

    /// Waits until everything has settled, then looks at all of it. The next command, which a user would give, is the
    /// first step: it brings up a daemon where there is something to look after.
    pub(crate) fn check(
        &mut self,
        place: &Place,
        acknowledged: Acknowledged<'_>,
    ) -> Result<(), Fault> {
        if place.run(&["status", "-o", "json"])?.code == NO_DAEMON {
            place.ok(&["daemon", "start"])?;
        }
        until(PATIENCE, "I4: the state is kept", || {
            let status = place.until_settled()?;
            Ok(crate::wait::seen(status.storage().is_none(), &status.0))
        })?;
        one_live_attempt(place)?;
        answers_within_a_second(place)?;
        self.logs_are_exact(place)?;
        nothing_leaks(place)?;
        self.stranger.is_untouched()?;
        is_as_acknowledged(&place.status()?, acknowledged)
    }

    fn logs_are_exact(&self, place: &Place) -> Result<(), Fault> {
        for writer in &self.writers {
            place.until_heard(writer)?;
        }
        Ok(())
    }
}

/// I1 and I2: whoever carries a mark belongs to the attempt that the daemon knows as its unit's, and runs.
fn one_live_attempt(place: &Place) -> Result<(), Fault> {
    until(PATIENCE, "I1, I2: who lives is who is known", || {
        let mut known = BTreeMap::new();
        for unit in place.status()?.units() {
            if let (Some(instance), true) = (unit.instance(), unit.is_up()) {
                known.insert(instance.to_owned(), unit.pid());
            }
        }
        let marked = proc::marked();
        let strays = marked.iter().filter(|process| {
            process
                .instance()
                .is_some_and(|instance| !known.contains_key(instance))
        });
        let mut wrong: Vec<String> = strays.map(proc::Process::described).collect();
        let living: BTreeSet<u32> = marked.iter().map(|process| process.pid).collect();
        for (instance, pid) in &known {
            if pid.is_none_or(|pid| !living.contains(&pid)) {
                wrong.push(format!("{instance} is said to run as {pid:?}"));
            }
        }
        Ok(if wrong.is_empty() {
            Look::Holds(())
        } else {
            Look::NotYet(wrong.join("; "))
        })
    })?;
    let violations = place.account().violations();
    promise(
        violations.is_empty(),
        "I1: no unit ever lives twice",
        || violations.join("; "),
    )
}

/// I7. The machine does other things besides: one of a few tries has to be within the limit.
fn answers_within_a_second(place: &Place) -> Result<(), Fault> {
    let mut best = Duration::MAX;
    for _ in 0..5 {
        best = best.min(place.ok(&["status", "-o", "json"])?.took);
        if best < ANSWER_LIMIT {
            return Ok(());
        }
    }
    Err(Fault::broken(
        "I7: the daemon answers within a second",
        format!("{best:?}"),
    ))
}

/// I5: what was made for attempts is there only for those that live, and the daemon is no larger than they explain.
pub(crate) fn nothing_leaks(place: &Place) -> Result<(), Fault> {
    let daemon = place
        .daemon()?
        .ok_or_else(|| Fault::broken("a daemon answers", "none"))?;
    until(PATIENCE, "I5: nothing is left over", || {
        let status = place.status()?;
        let units = status.units();
        let up: BTreeSet<String> = units
            .iter()
            .filter(|unit| unit.is_up())
            .filter_map(|unit| unit.instance().map(str::to_owned))
            .collect();
        let zombies = proc::all().into_iter().filter(proc::Process::is_zombie);
        let mut left: Vec<String> = zombies.map(|process| process.described()).collect();
        let is_of_live = |path: &Path| {
            up.iter().any(|id| {
                path.components()
                    .any(|part| part.as_os_str() == id.as_str())
            })
        };
        let run = place.home().join("run");
        left.extend(
            special_files(&run)
                .iter()
                .filter(|path| !is_of_live(path))
                .map(|path| path.display().to_string()),
        );
        for group in cgroups(&ever(place)) {
            if !up.iter().any(|id| group.ends_with(format!("harness-{id}"))) {
                left.push(group.display().to_string());
            }
        }
        let (descriptors, threads) = (proc::descriptors(daemon), proc::threads(daemon));
        let may_have = DESCRIPTORS + DESCRIPTORS_PER_UNIT * units.len();
        if descriptors > may_have {
            left.push(format!(
                "{descriptors} descriptors, {may_have} expected at most"
            ));
        }
        let may_have = THREADS + units.len();
        if threads > may_have {
            left.push(format!("{threads} threads, {may_have} expected at most"));
        }
        Ok(if left.is_empty() {
            Look::Holds(())
        } else {
            Look::NotYet(left.join("; "))
        })
    })
}

/// Every instance that this place has had, as far as its files and writers tell.
fn ever(place: &Place) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |directory: PathBuf| {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.insert(name.trim_end_matches(".told").to_owned());
        }
    };
    add(place.home().join("run"));
    add(place.path().join("account"));
    found
}

/// The cgroups of these attempts.
pub(crate) fn cgroups(instances: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = vec!["/sys/fs/cgroup/unified".into(), "/sys/fs/cgroup".into()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.strip_prefix("harness-") {
                Some(id) if instances.contains(id) => found.push(entry.path()),
                Some(_) => {}
                None => pending.push(entry.path()),
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// I8.
fn is_as_acknowledged(status: &Status, acknowledged: Acknowledged<'_>) -> Result<(), Fault> {
    let (names, up) = match acknowledged {
        Acknowledged::Nothing => return Ok(()),
        Acknowledged::Up(names) => (names, true),
        Acknowledged::Down(names) => (names, false),
    };
    for unit in status.units() {
        if names.contains(&unit.name()) {
            promise(
                unit.is_up() == up,
                "I8: what was acknowledged is so",
                || unit.0.to_string(),
            )?;
        }
    }
    Ok(())
}

/// A process that nobody here has any business with.
#[derive(Debug)]
struct Stranger {
    process: Child,
    heard: PathBuf,
}

impl Stranger {
    fn new(place: &Place) -> Result<Self, Fault> {
        let heard = place.path().join("stranger");
        let output = fs::File::create(&heard).map_err(Fault::io("make", &heard))?;
        let mut command = Command::new(place.program("fixture"));
        command.args(["signals", "--exit-on", "none"]).env_clear();
        command.stdin(Stdio::null()).stdout(output);
        let process = command
            .spawn()
            .map_err(Fault::io("run", place.program("fixture")))?;
        Ok(Self { process, heard })
    }

    /// I6.
    fn is_untouched(&mut self) -> Result<(), Fault> {
        let mut heard = String::new();
        fs::File::open(&self.heard)
            .and_then(|mut file| file.read_to_string(&mut heard))
            .map_err(Fault::io("read", &self.heard))?;
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

const NO_DAEMON: i32 = 5;
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

// A daemon with two stacks has some thirty descriptors and eight threads; each attempt a socket and a pidfd, each reader
// a few files. What leaks with every fault is soon above this.
const DESCRIPTORS: usize = 48;
const DESCRIPTORS_PER_UNIT: usize = 8;
const THREADS: usize = 32;
