//! How a unit's health is asked for.
//!
//! Owns: what is asked, how often, and how many answers make a verdict. Never asks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Template;

/// A question that is asked again and again, and how its answers are counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// The question.
    pub action: ProbeAction,
    /// From one question to the next.
    pub interval: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Bad answers in a row that make it unhealthy.
    pub retries: u32,
    /// After the launch, bad answers do not count for this long.
    pub start_period: Duration,
    /// The longest gap between questions until the first good answer; they begin at once and slow down up to it.
    pub start_interval: Duration,
    /// Good answers in a row that make it healthy.
    pub success_threshold: u32,
}

impl Probe {
    /// This question, every 10 s, 5 s for an answer, three bad ones in a row, asked quickly while starting.
    pub fn new(action: ProbeAction) -> Self {
        Self {
            action,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            retries: 3,
            start_period: Duration::ZERO,
            start_interval: Duration::from_millis(250),
            success_threshold: 1,
        }
    }
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProbeAction {
    /// A program that exits with 0.
    Command {
        /// Program and arguments.
        command: Vec<Template>,
    },
    /// An answer to `GET`.
    Http {
        /// Where.
        url: Template,
        /// Which status codes are good; empty: 200 to 399.
        status: Vec<u16>,
        /// Sent along.
        headers: BTreeMap<String, Template>,
    },
    /// A connection that is accepted.
    Tcp {
        /// Where; the unit's own address when absent.
        host: Option<Template>,
        /// The port.
        port: Template,
    },
    /// A line of output that matches. Once seen, it stays good for the attempt.
    Log {
        /// The regular expression.
        pattern: String,
    },
    /// `READY=1` by the sd_notify protocol. Once said, it stays good for the attempt.
    Notify,
    /// The container engine's own check.
    Container,
}
