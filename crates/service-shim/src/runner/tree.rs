//! Finds every process of an attempt.
//!
//! Owns: the rule who belongs to it. A shim that started the service is the reaper of all its descendants, so its
//! descendants are the tree, whatever sessions they made. A successor, or a runner on a thread, is not: it goes by
//! the cgroup, the session of the main process, descent from it, and the instance marker in the environment.
//! Never signals by number: what it hands out are checked pidfds.

use std::collections::{BTreeMap, BTreeSet};

use super::cgroup::Cgroup;
use crate::identity::{Identity, ProcessRef};
use crate::procfs::{self, Stat};
use crate::signal::Signal;

/// Who belongs to the attempt.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) cgroup: Option<Cgroup>,
    marker: Vec<u8>,
    /// All descendants end up as children of this process.
    is_reaper: bool,
    /// Until when the main process was known to live: before that, its session number was its own.
    main_seen_ticks: u64,
}

/// One process of the tree.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) process: ProcessRef,
    pub(super) name: String,
}

impl Tree {
    pub(super) fn new(instance_id: &str, is_reaper: bool, cgroup: Option<Cgroup>) -> Tree {
        Tree {
            cgroup,
            marker: marker(instance_id),
            is_reaper,
            main_seen_ticks: procfs::ticks_now(),
        }
    }

    /// Notes that the main process lives now.
    pub(super) fn main_is_alive(&mut self) {
        if !self.is_reaper {
            self.main_seen_ticks = procfs::ticks_now();
        }
    }

    /// Everyone who is still there, the main process included.
    pub(super) fn members(&self, main: Option<&Identity>) -> Vec<Member> {
        if let Some(cgroup) = &self.cgroup {
            let listed = open_all(cgroup.pids());
            // Still listed after the pidfd was opened: so the pidfd means a member, not a reuse of its number.
            let still: BTreeSet<u32> = cgroup.pids().into_iter().collect();
            let mut members = listed;
            members.retain(|member| still.contains(&member.process.identity().pid));
            if !self.is_reaper || !members.is_empty() {
                return members;
            }
        }
        open_all(self.find(main))
    }

    /// Everyone who is still there, stopped: who is stopped starts nobody, so a tree that forks faster than it is found,
    /// or takes the place of each process that is killed, is found whole. In a cgroup nobody is stopped: it is killed
    /// as one.
    pub(super) fn frozen(&self, main: Option<&Identity>) -> Vec<Member> {
        let mut stopped = BTreeSet::new();
        let mut members = self.members(main);
        let is_grouped = |cgroup: &Cgroup| !cgroup.pids().is_empty();
        if self.cgroup.as_ref().is_some_and(is_grouped) {
            return members;
        }
        for _ in 0..MOST_ROUNDS {
            let mut is_whole = true;
            for member in &members {
                let identity = member.process.identity();
                if stopped.insert((identity.pid, identity.start_ticks)) {
                    is_whole = false;
                    // One that may not be stopped is killed as it is.
                    drop(member.process.signal(Signal::STOP));
                }
            }
            if is_whole {
                break;
            }
            members = self.members(main);
        }
        members
    }

    fn find(&self, main: Option<&Identity>) -> Vec<u32> {
        let stats: BTreeMap<u32, Stat> = procfs::pids()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|pid| Some((pid, procfs::stat(pid).ok()??)))
            .collect();
        let own = std::process::id();
        let mut found = BTreeSet::new();
        if self.is_reaper {
            found.insert(own);
        } else {
            for (pid, stat) in &stats {
                let is_main = main
                    .is_some_and(|main| main.pid == *pid && main.start_ticks == stat.start_ticks);
                if is_main
                    || self.is_in_session(main, stat)
                    || procfs::has_in_environment(*pid, &self.marker)
                {
                    found.insert(*pid);
                }
            }
        }
        // Children of members are members. A parent may have a higher number than its child: until nothing is new.
        loop {
            let before = found.len();
            for (pid, stat) in &stats {
                if found.contains(&stat.parent) {
                    found.insert(*pid);
                }
            }
            if found.len() == before {
                break;
            }
        }
        found.remove(&own);
        found.retain(|pid| stats.get(pid).is_some_and(|stat| !stat.is_zombie()));
        found.into_iter().collect()
    }

    /// Whether a process is of the main process's session, and not of a later one that got the same number.
    fn is_in_session(&self, main: Option<&Identity>, stat: &Stat) -> bool {
        main.is_some_and(|main| {
            stat.session == main.pid
                && stat.start_ticks >= main.start_ticks
                && stat.start_ticks <= self.main_seen_ticks
        })
    }

    /// Whether a process belongs to the tree now.
    pub(super) fn contains(&self, main: &Identity, pid: u32) -> bool {
        if pid == main.pid || procfs::has_in_environment(pid, &self.marker) {
            return true;
        }
        let own = std::process::id();
        let mut at = pid;
        while let Ok(Some(stat)) = procfs::stat(at) {
            if stat.session == main.pid
                || stat.parent == main.pid
                || (self.is_reaper && stat.parent == own)
            {
                return true;
            }
            at = stat.parent;
        }
        false
    }
}

/// The first process of an attempt whose identity was never written: leader of its own session, marked, and oldest.
pub(super) fn find_unrecorded(instance_id: &str) -> Option<ProcessRef> {
    let marker = marker(instance_id);
    let mut found: Option<(u64, u32)> = None;
    for pid in procfs::pids().unwrap_or_default() {
        let Ok(Some(stat)) = procfs::stat(pid) else {
            continue;
        };
        let is_older = found.is_none_or(|(ticks, _)| stat.start_ticks < ticks);
        if stat.session == pid && is_older && procfs::has_in_environment(pid, &marker) {
            found = Some((stat.start_ticks, pid));
        }
    }
    let (ticks, pid) = found?;
    ProcessRef::capture(pid)
        .ok()?
        .filter(|process| process.identity().start_ticks == ticks)
}

/// The variable every process of an attempt carries.
pub(crate) const MARKER: &str = "HARNESS_INSTANCE_ID";

/// Each round finds who was started during the one before: two or three, while the machine has room to fork.
const MOST_ROUNDS: usize = 16;

fn marker(instance_id: &str) -> Vec<u8> {
    format!("{MARKER}={instance_id}").into_bytes()
}

fn open_all(pids: Vec<u32>) -> Vec<Member> {
    let mut members = Vec::new();
    for pid in pids {
        let Ok(Some(before)) = procfs::stat(pid) else {
            continue;
        };
        if before.is_zombie() {
            continue;
        }
        if let Ok(Some(process)) = ProcessRef::capture(pid)
            && process.identity().start_ticks == before.start_ticks
        {
            members.push(Member {
                process,
                name: before.name,
            });
        }
    }
    members
}
