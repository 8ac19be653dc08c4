//! What can go wrong with a request, by step.
//!
//! Owns: the words. Never retries.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a request brought no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The text is no URL of the form `http://host[:port][/path][?query]`.
    #[error("`{url}` is not a usable URL: {reason}")]
    Url {
        /// The text.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The URL asks for TLS, which this client does not speak.
    #[error("`{url}` asks for https, which is not supported: use http")]
    Https {
        /// The URL.
        url: String,
    },
    /// The name leads nowhere.
    #[error("cannot find the address of `{host}`")]
    Resolve {
        /// The name.
        host: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nobody listens there, or there is no way there.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Nobody listens at the socket.
    #[error("cannot connect to the socket {}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The request could not be sent in full.
    #[error("the request could not be sent")]
    Send(#[source] hyper::Error),
    /// What came back does not begin like an HTTP answer.
    #[error("the answer is not HTTP")]
    Garbage(#[source] hyper::Error),
    /// The connection ended before the answer began.
    #[error("the connection was closed without an answer")]
    NoAnswer(#[source] hyper::Error),
    /// The answer began, but its body broke off or is malformed.
    #[error("the body of the answer broke off")]
    Body(#[source] hyper::Error),
    /// The body is larger than allowed.
    #[error("the body of the answer is larger than {limit} bytes")]
    BodyTooLarge {
        /// The bound.
        limit: usize,
    },
    /// The connection has served its last request.
    #[error("the connection is spent")]
    Spent,
    /// The answer refuses to turn the connection into a plain stream.
    #[error("the server did not switch protocols: it answered {status}")]
    NotUpgraded {
        /// Its answer.
        status: hyper::StatusCode,
    },
    /// It took too long.
    #[error("not done within {within:?}: {step} did not finish")]
    TimedOut {
        /// What was under way.
        step: Step,
        /// The bound on the whole request.
        within: Duration,
    },
}

/// The parts of a request, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Finding the address of a name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Sending the request and waiting for the head of the answer.
    Answer,
    /// Reading the body of the answer.
    Body,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "finding the address",
            Self::Connect => "connecting",
            Self::Answer => "waiting for the answer",
            Self::Body => "reading the body",
        })
    }
}

impl HttpError {
    /// Sorts an error that came instead of the head of an answer.
    pub(crate) fn before_answer(error: hyper::Error) -> Self {
        if error.is_parse() {
            Self::Garbage(error)
        } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
            Self::NoAnswer(error)
        } else {
            Self::Send(error)
        }
    }
}
