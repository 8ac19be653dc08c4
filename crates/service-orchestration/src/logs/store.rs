//! Where each unit's log lies.
//!
//! Owns: the layout `<root>/<stack>/<unit>[@<replica>]`. Names cannot escape it: see [`UnitName`](crate::spec::UnitName).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use command_executor::blocking;
use service_shim::LogTotal;

use super::UnitLog;
use crate::spec::{StackName, UnitId};

/// The logs of all units. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogStore {
    root: Arc<Path>,
    /// How much everything below the root may hold.
    total: Option<u64>,
}

impl LogStore {
    /// The logs below this directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into().into(),
            total: None,
        }
    }

    /// With a cap in bytes on all logs of all stacks together.
    #[must_use]
    pub fn with_total(mut self, total: Option<u64>) -> Self {
        self.total = total;
        self
    }

    /// The caps that a unit of this stack shares with others: its stack's, and that of all stacks.
    pub(crate) fn totals(&self, stack: &StackName, own: Option<u64>) -> Vec<LogTotal> {
        let of_stack = own.map(|max_bytes| (self.stack_directory(stack), max_bytes));
        let of_all = self
            .total
            .map(|max_bytes| (self.root.to_path_buf(), max_bytes));
        of_stack
            .into_iter()
            .chain(of_all)
            .map(|(dir, max_bytes)| LogTotal { dir, max_bytes })
            .collect()
    }

    /// The log of one unit, whether it has said anything yet or not.
    pub fn open(&self, unit: &UnitId) -> UnitLog {
        UnitLog::new(self.directory(unit))
    }

    /// Where the log of one unit lies.
    pub fn directory(&self, unit: &UnitId) -> PathBuf {
        let name = match unit.replica {
            0 => unit.name.to_string(),
            replica => format!("{}@{replica}", unit.name),
        };
        self.stack_directory(&unit.stack).join(name)
    }

    /// Removes everything that the units of a stack have said. No unit of it may run.
    ///
    /// # Errors
    /// What the system says; having nothing to remove is no error.
    pub async fn forget(&self, stack: &StackName) -> std::io::Result<()> {
        let directory = self.stack_directory(stack);
        blocking::unblock(move || match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result,
        })
        .await
    }

    fn stack_directory(&self, stack: &StackName) -> PathBuf {
        self.root.join(stack.as_str())
    }
}
