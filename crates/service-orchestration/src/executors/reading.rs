//! The output of a run and its end, in one order.
//!
//! Owns: the rule that the end comes last: once it is known, what is left in the log is read to its end first.

use std::collections::VecDeque;

use command_executor::Exit;
use command_executor::event::{LineEnd, ProcessEvent};
use futures_lite::{StreamExt, future};

use super::end::End;
use crate::logs::{LogCursor, LogFollower, LogLine, LogQuery, LogStream, UnitLog};
use crate::report::ExitInfo;

/// Reads on until the end has been told.
pub(super) struct Reading {
    log: UnitLog,
    query: LogQuery,
    lines: LogFollower,
    seen: Option<LogCursor>,
    end: End,
    /// What is left once the end is known, and the end.
    rest: Option<(VecDeque<LogLine>, ExitInfo)>,
}

enum Next {
    Line(Option<LogLine>),
    End(ExitInfo),
}

impl Reading {
    pub(super) fn new(log: UnitLog, query: LogQuery, end: End) -> Self {
        let lines = log.follow(query.clone());
        Self {
            log,
            query,
            lines,
            seen: None,
            end,
            rest: None,
        }
    }

    /// The next event, and how reading goes on; nothing after the end.
    pub(super) async fn next(mut self) -> Option<(ProcessEvent, Option<Self>)> {
        loop {
            if let Some((rest, exit)) = &mut self.rest {
                return match rest.pop_front() {
                    Some(line) => Some((output(line), Some(self))),
                    None => Some((ending(exit), None)),
                };
            }
            let end = self.end.clone();
            let line = async {
                match self.lines.next().await {
                    Some(Ok(line)) => Next::Line(Some(line)),
                    Some(Err(_)) | None => Next::Line(None),
                }
            };
            // Lines first: the end is only looked for while there is none.
            let next = future::or(line, async { Next::End(end.wait().await) }).await;
            match next {
                Next::Line(Some(line)) => {
                    self.seen = Some(line.cursor);
                    return Some((output(line), Some(self)));
                }
                Next::Line(None) => {
                    let exit = self.end.wait().await;
                    self.rest = Some((self.read_rest().await, exit));
                }
                Next::End(exit) => self.rest = Some((self.read_rest().await, exit)),
            }
        }
    }

    async fn read_rest(&mut self) -> VecDeque<LogLine> {
        let query = LogQuery {
            cursor: self.seen,
            ..self.query.clone()
        };
        match self.log.read(query).await {
            Ok(lines) => lines.into(),
            Err(error) => {
                tracing::error!(error = %crate::error_chain(&error), "the rest of the output cannot be read");
                VecDeque::new()
            }
        }
    }
}

fn output(line: LogLine) -> ProcessEvent {
    let time = line.time.into();
    if let Some(bytes) = line.gap {
        let missing = match bytes {
            0 => "output is missing here".to_owned(),
            _ => format!("{bytes} bytes of output are missing here"),
        };
        return ProcessEvent::system(missing).at(time);
    }
    let line_end = if line.partial {
        LineEnd::Continues
    } else {
        LineEnd::Newline
    };
    match line.stream {
        LogStream::Stdout => ProcessEvent::stdout(line.bytes.as_slice(), line_end).at(time),
        LogStream::Stderr => ProcessEvent::stderr(line.bytes.as_slice(), line_end).at(time),
    }
}

fn ending(exit: &ExitInfo) -> ProcessEvent {
    match (exit.exit_code, exit.signal) {
        (Some(code), _) => ProcessEvent::exited(Exit::Code(code)),
        (None, Some(signal)) => ProcessEvent::exited(Exit::Signal(signal)),
        (None, None) => ProcessEvent::exited(Exit::Unknown),
    }
}
