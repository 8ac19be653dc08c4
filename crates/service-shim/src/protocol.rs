//! What is said over `control.sock`: one JSON document a line, requests to the shim, notices from it.
//!
//! Owns: the frames of version 1 and the buffer that cuts a byte stream into lines. Never opens a socket.
//!
//! A connection starts silent. Every request is answered, in order, by [`Notice::Done`] or [`Notice::Refused`]
//! ([`Request::Status`] by [`Notice::Status`] instead). After [`Request::Subscribe`] the connection also gets
//! every later `notify`, `stopping` and `exited`; a subscriber of an attempt that has ended gets `exited` at once.
//! The first connection (the socket the shim was started with) carries the launch order as its first line, is
//! answered by `started` or `failed`, and is subscribed from the start.
//! A reader ignores fields it does not know; a request of an unknown kind is refused, not fatal.

use serde::{Deserialize, Serialize};

use crate::exit::ExitRecord;
use crate::identity::Identity;
use crate::policy::StopPolicy;
use crate::signal::Signal;
use crate::spec::{LaunchSpec, RawString};

/// The version of the control protocol this crate speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// One line, with the version of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<T> {
    /// [`PROTOCOL_VERSION`] of the writer.
    pub v: u32,
    /// What is said.
    #[serde(flatten)]
    pub body: T,
}

/// What a client may ask of a shim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// What is the state of the attempt?
    Status,
    /// Send later notices on this connection too.
    Subscribe,
    /// End the service, politely first. A second one may only shorten the grace.
    Stop(StopPolicy),
    /// End the whole tree now.
    Kill,
    /// Send one signal to the main process.
    Signal {
        /// Which.
        signal: Signal,
    },
    /// Begin a new log segment.
    Rotate,
    /// Write to the service's standard input; answered once the pipe has taken every byte.
    Stdin {
        /// What to write.
        data: RawString,
    },
    /// Close the service's standard input.
    CloseStdin,
}

/// What a shim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "kebab-case")]
pub enum Notice {
    /// The service runs (also: a successor of the shim has found it running).
    Started {
        /// Who it is.
        identity: Identity,
    },
    /// Nothing was started.
    Failed {
        /// Why.
        failure: StartFailure,
    },
    /// The answer to [`Request::Status`].
    Status(Status),
    /// The request before was carried out.
    Done,
    /// The request before was not carried out.
    Refused {
        /// Why, for people.
        message: String,
    },
    /// The service said something by `sd_notify`.
    Notify(NotifyState),
    /// Somebody asked the service to end, or it ended and its leftovers are being ended.
    Stopping,
    /// It is over: every process of the attempt is gone.
    Exited {
        /// How it ended.
        exit: ExitRecord,
    },
}

/// The state of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Who the service is; none before it was started.
    pub identity: Option<Identity>,
    /// The process that answers.
    pub shim_pid: u32,
    /// Which run of the unit this is.
    pub attempt: u64,
    /// Whether it is being ended.
    pub stopping: bool,
    /// What it said by `sd_notify` so far.
    pub notify: NotifyState,
}

/// What a service said about itself by `sd_notify`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NotifyState {
    /// It said `READY=1`.
    pub ready: bool,
    /// It said `STOPPING=1`.
    pub stopping: bool,
    /// Its last `STATUS=`.
    pub status: Option<String>,
    /// This notice reports a `WATCHDOG=1`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watchdog: bool,
}

/// Why nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// The class of the failure.
    pub kind: StartFailureKind,
    /// What was tried, and what the system said.
    pub message: String,
}

/// The class of a failed start: what a caller can do differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StartFailureKind {
    /// The program does not exist.
    NotFound,
    /// The program may not or cannot be executed, or the user may not be switched to.
    Permission,
    /// The working directory cannot be entered.
    WorkingDirectory,
    /// The user or group does not exist.
    User,
    /// Somebody else holds the lock of this run directory.
    Locked,
    /// The log directory cannot be written.
    Log,
    /// The order itself makes no sense (a NUL in an argument, an unreadable order).
    Order,
    /// Anything else the system refused; trying again may help.
    System,
}

/// Writes one frame as a line.
pub fn encode<T: Serialize>(body: T) -> Vec<u8> {
    let frame = Frame {
        v: PROTOCOL_VERSION,
        body,
    };
    let mut line = serde_json::to_vec(&frame).expect("frames hold only strings, numbers and lists");
    line.push(b'\n');
    line
}

/// Reads one line as a frame.
///
/// # Errors
/// The line is no JSON, or of a kind this version does not know.
pub fn decode<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Frame<T>>(line).map(|frame| frame.body)
}

/// Cuts a byte stream into lines.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    scanned: usize,
}

impl LineBuffer {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, without its newline.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let Some(at) = self.bytes[self.scanned..]
            .iter()
            .position(|byte| *byte == b'\n')
        else {
            self.scanned = self.bytes.len();
            return None;
        };
        let rest = self.bytes.split_off(self.scanned + at + 1);
        let mut line = std::mem::replace(&mut self.bytes, rest);
        line.pop();
        self.scanned = 0;
        Some(line)
    }

    /// How many bytes wait for their newline.
    pub fn pending(&self) -> usize {
        self.bytes.len()
    }
}

/// The first line on the first connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchOrder {
    /// [`PROTOCOL_VERSION`] of the writer.
    pub v: u32,
    /// What to run.
    pub launch: LaunchSpec,
}

impl LaunchOrder {
    /// Reads an order.
    ///
    /// # Errors
    /// The line is none.
    pub fn decode(line: &[u8]) -> Result<LaunchSpec, serde_json::Error> {
        serde_json::from_slice::<LaunchOrder>(line).map(|order| order.launch)
    }

    /// Writes the order as a line.
    pub fn encode(launch: LaunchSpec) -> Vec<u8> {
        let order = LaunchOrder {
            v: PROTOCOL_VERSION,
            launch,
        };
        let mut line =
            serde_json::to_vec(&order).expect("an order holds only strings, numbers and lists");
        line.push(b'\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_read_back_as_they_were_written() {
        let request = Request::Stop(StopPolicy::default());
        let line = encode(&request);
        assert_eq!(
            String::from_utf8_lossy(&line),
            "{\"v\":1,\"request\":\"stop\",\"signal\":15,\"grace_ms\":10000,\"scope\":\"main\"}\n"
        );
        assert_eq!(decode::<Request>(&line).expect("own frame"), request);
        let stdin = Request::Stdin {
            data: RawString::from_bytes(vec![0xff, b'\n', 0]),
        };
        assert_eq!(
            decode::<Request>(&encode(&stdin)).expect("own frame"),
            stdin
        );
    }

    #[test]
    fn unknown_requests_and_signals_are_errors() {
        assert!(decode::<Request>(b"{\"v\":9,\"request\":\"fly\"}").is_err());
        assert!(decode::<Request>(b"{\"v\":1,\"request\":\"signal\",\"signal\":0}").is_err());
        assert!(decode::<Request>(b"not json").is_err());
    }

    #[test]
    fn lines_come_out_whole_whatever_the_pieces() {
        let mut buffer = LineBuffer::default();
        buffer.push(b"one\ntw");
        assert_eq!(buffer.next_line().as_deref(), Some(&b"one"[..]));
        assert_eq!(buffer.next_line(), None);
        buffer.push(b"o\n\nx");
        assert_eq!(buffer.next_line().as_deref(), Some(&b"two"[..]));
        assert_eq!(buffer.next_line().as_deref(), Some(&b""[..]));
        assert_eq!(buffer.next_line(), None);
        assert_eq!(buffer.pending(), 1);
    }
}
