//! The note that stacks were started and not stopped since.
//!
//! Owns: the file `active`: one name a line, absent when there is none. A client that finds no daemon starts one when
//! the file is there, and so need not open the state store, which has one owner. The note follows what users asked for,
//! not what happened: a stack that failed is still noted, so `status` brings the daemon back that can tell about it.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use service_orchestration::spec::StackName;

/// The note, kept by the daemon.
#[derive(Debug)]
pub(crate) struct Active {
    path: PathBuf,
    stacks: BTreeSet<StackName>,
}

impl Active {
    /// The note as the last daemon left it. What is no stack name in it is dropped.
    pub(crate) fn load(state: &Path) -> Self {
        let path = state.join(FILE);
        // One that cannot be read is as good as none: it is written anew with the next start.
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let stacks = text
            .lines()
            .filter_map(|line| StackName::new(line).ok())
            .collect();
        Self { path, stacks }
    }

    /// Notes a stack, before it is ordered up: a crash in between leaves a note too many, never one too few.
    pub(crate) fn add(&mut self, stack: &StackName) {
        if self.stacks.insert(stack.clone()) {
            self.save();
        }
    }

    /// Takes a stack off.
    pub(crate) fn remove(&mut self, stack: &StackName) {
        if self.stacks.remove(stack) {
            self.save();
        }
    }

    /// Takes all stacks off.
    pub(crate) fn clear(&mut self) {
        if !std::mem::take(&mut self.stacks).is_empty() {
            self.save();
        }
    }

    /// The stacks noted.
    pub(crate) fn stacks(&self) -> impl Iterator<Item = &StackName> {
        self.stacks.iter()
    }

    fn save(&self) {
        let saved = if self.stacks.is_empty() {
            match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        } else {
            let text: String = self.stacks.iter().map(|name| format!("{name}\n")).collect();
            super::endpoint::replace(&self.path, text.as_bytes())
        };
        if let Err(error) = saved {
            // Not worth failing an order for: the worst that follows is a `status` that has to be told to start a daemon.
            tracing::warn!(path = %self.path.display(), %error, "cannot note which stacks are active");
        }
    }
}

/// Whether a stack was started in this state directory and not stopped since.
pub(crate) fn has_active_stacks(state: &Path) -> bool {
    state.join(FILE).exists()
}

const FILE: &str = "active";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_outlives_the_daemon_and_goes_with_the_last_stack() {
        let directory = testkit::temp_dir();
        let name = |text| StackName::new(text).expect("a legal name");
        let mut active = Active::load(directory.path());
        assert!(!has_active_stacks(directory.path()));
        active.add(&name("web"));
        active.add(&name("db"));
        let mut active = Active::load(directory.path());
        assert_eq!(
            active.stacks().map(StackName::as_str).collect::<Vec<_>>(),
            ["db", "web"]
        );
        active.remove(&name("web"));
        assert!(has_active_stacks(directory.path()));
        active.remove(&name("db"));
        assert!(!has_active_stacks(directory.path()));
    }
}
