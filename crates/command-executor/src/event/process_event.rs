//! One event of a process.

use std::time::SystemTime;

use crate::event::EventData;
use crate::{Exit, clock};

/// Something a process did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessEvent {
    /// What kind of thing it did.
    pub event_type: ProcessEventType,
    /// When it was seen.
    pub timestamp: SystemTime,
    /// A line of output without its newline; for `Started` the PID; for `Exit` the exit code, or `signal 15`; for
    /// `System` a sentence.
    pub data: EventData,
    /// How the line ends; `None` for events that are no output.
    pub line_end: Option<LineEnd>,
    exit: Option<Exit>,
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessEventType {
    /// The program runs.
    Started,
    /// A line of its stdout.
    Stdout,
    /// A line of its stderr.
    Stderr,
    /// It has ended, and this is the last event.
    Exit,
    /// Something about the process that it did not write itself.
    System,
}

/// How the line of an output event ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineEnd {
    /// With a newline, which is not part of the data.
    Newline,
    /// It was too long for one event and goes on in the next one of this output.
    Continues,
    /// With the output itself: there was no final newline.
    EndOfOutput,
}

impl ProcessEvent {
    /// The program was started.
    pub fn started(pid: u32) -> Self {
        Self::new(ProcessEventType::Started, pid.to_string())
    }

    /// A line (or a part of one) of stdout.
    pub fn stdout(data: impl Into<EventData>, line_end: LineEnd) -> Self {
        Self {
            line_end: Some(line_end),
            ..Self::new(ProcessEventType::Stdout, data)
        }
    }

    /// A line (or a part of one) of stderr.
    pub fn stderr(data: impl Into<EventData>, line_end: LineEnd) -> Self {
        Self {
            line_end: Some(line_end),
            ..Self::new(ProcessEventType::Stderr, data)
        }
    }

    /// The program has ended.
    pub fn exited(exit: Exit) -> Self {
        Self {
            exit: Some(exit),
            ..Self::new(ProcessEventType::Exit, exit.to_string())
        }
    }

    /// Something to know about the process.
    pub fn system(sentence: impl Into<EventData>) -> Self {
        Self::new(ProcessEventType::System, sentence)
    }

    /// The same event, seen at another time: for events that are replayed.
    #[must_use]
    pub fn at(mut self, timestamp: SystemTime) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// How the process ended, in an `Exit` event.
    pub fn exit(&self) -> Option<Exit> {
        self.exit
    }

    fn new(event_type: ProcessEventType, data: impl Into<EventData>) -> Self {
        Self {
            event_type,
            timestamp: clock::now(),
            data: data.into(),
            line_end: None,
            exit: None,
        }
    }
}
