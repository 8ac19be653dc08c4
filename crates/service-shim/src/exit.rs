//! How an attempt ended: `exit.json`, and the notice sent to whoever is connected.
//!
//! Owns: the record's shape. Invariant: an end that nobody witnessed is `exit_unknown`, never an invented code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::StartFailure;
use crate::signal::Signal;

/// The end of one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Layout of this file; see [`crate::LAYOUT_VERSION`].
    pub layout: u32,
    /// Whose end it is.
    pub instance_id: String,
    /// Which run of the unit it was.
    pub attempt: u64,
    /// The main process, when one was ever started.
    pub pid: Option<u32>,
    /// What it returned; none after a signal or when unknown.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<Signal>,
    /// Nobody saw the end: the shim was killed and the service ended before a successor came.
    pub exit_unknown: bool,
    /// Why nothing was started at all.
    pub failure: Option<StartFailure>,
    /// When the end was seen, in nanoseconds since 1970.
    pub ended_at_ns: u64,
    /// How it was ended, when it was asked to end or left processes behind.
    pub stop: Option<StopReport>,
}

impl ExitRecord {
    /// What `exit.json` holds.
    ///
    /// # Errors
    /// It is no such record.
    pub fn from_json(text: &[u8]) -> Result<ExitRecord, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Whether the main process returned zero by itself.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for ExitRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.failure, self.code, self.signal) {
            (Some(failure), _, _) => write!(f, "was not started: {}", failure.message),
            (None, Some(code), _) => write!(f, "exited with code {code}"),
            (None, None, Some(signal)) => write!(f, "ended by {signal}"),
            (None, None, None) => f.write_str("ended, and nobody saw how"),
        }
    }
}

/// What it took to end the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopReport {
    /// The signal that was asked for; none when the service ended by itself and only its leftovers were ended.
    pub requested: Option<Signal>,
    /// How far it had to go.
    pub escalation: Escalation,
    /// Processes that were still there once the main process was gone or the grace was over.
    pub leftovers: Leftovers,
    /// Milliseconds from when it was asked until nothing was left, by a clock that does not jump; none in the records of
    /// shims that did not tell.
    #[serde(default)]
    pub took_ms: Option<u64>,
}

/// How far a stop had to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Escalation {
    /// The main process ended when asked and left nothing behind.
    None,
    /// The rest of the tree had to be asked.
    TreeTerm,
    /// Something had to be killed.
    Killed,
}

/// Processes that outlived their welcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leftovers {
    /// How many there were.
    pub count: u32,
    /// The names of the first few, each once.
    pub names: Vec<String>,
}

impl Leftovers {
    /// Counts one more; remembers its name while the list is short.
    pub fn add(&mut self, name: &str) {
        self.count = self.count.saturating_add(1);
        if self.names.len() < MAX_NAMES && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

const MAX_NAMES: usize = 8;
