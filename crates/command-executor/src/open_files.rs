//! How many descriptors this process may have.
//!
//! Owns: what the soft limit was before it was raised, so that services get that one and not ours.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// Raises this process's soft limit of open files to its hard limit, and answers with what it is now; none without a limit.
///
/// A program that supervises many services needs three descriptors for each, and the usual soft limit is 1024. Services
/// that are launched afterwards still begin with the former limit, for some programs take a high one badly (`select(2)`
/// cannot count above 1024, and some close every number up to it).
pub fn raise_open_files() -> Option<u64> {
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            // Raised twice, the first was the one that was meant.
            let _ = FORMER.set(now);
            raised.current
        }
        Err(_) => now.current,
    }
}

/// Gives a process that was just started the limit that we were started with, if we have another now.
pub(crate) fn restore_for(child: &std::process::Child) {
    if let Some(former) = FORMER.get() {
        // Of a child that has ended already, nobody needs it any more.
        let _ = prlimit(Some(Pid::from_child(child)), Resource::Nofile, *former);
    }
}

/// A limit belongs to the process, so this does too.
static FORMER: OnceLock<Rlimit> = OnceLock::new();
