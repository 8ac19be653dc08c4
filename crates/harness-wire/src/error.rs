//! The error object of JSON-RPC and the codes in use.
//!
//! Owns: the meaning of the codes below [`code::FIRST_APPLICATION`]. Never turns an error into an exit code: programs do.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The error a peer answered with.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("{message} (code {code})")]
pub struct RpcError {
    /// What kind of failure; see [`code`].
    pub code: i64,
    /// One line for people.
    pub message: String,
    /// Details for programs, as the method documents them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without details.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same error with details.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(data);
        self
    }

    /// The answer to a method that does not exist.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(
            code::METHOD_NOT_FOUND,
            format!("there is no method `{method}`"),
        )
    }
}

/// Error codes: those of JSON-RPC 2.0, then ours.
///
/// JSON-RPC reserves -32768 to -32000, so ours are positive: 1 to 99 belong to this crate,
/// [`FIRST_APPLICATION`](code::FIRST_APPLICATION) and above to the programs that use it.
pub mod code {
    /// The message is not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The message is JSON but not a request (batches and wrong nesting included).
    pub const INVALID_REQUEST: i64 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters do not fit the method.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The server failed; nothing the client can change.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// The client cancelled the request.
    pub const CANCELLED: i64 = 1;
    /// Too many requests at once on this connection; try again when one was answered.
    pub const OVERLOADED: i64 = 2;
    /// No protocol version suits both sides; `data` is the server's range.
    pub const INCOMPATIBLE: i64 = 3;
    /// The first request of the connection was not `hello`.
    pub const HELLO_EXPECTED: i64 = 4;
    /// The peer's role does not allow this method.
    pub const FORBIDDEN: i64 = 5;
    /// The answer is larger than a message may be.
    pub const ANSWER_TOO_LARGE: i64 = 6;
    /// The first code of the programs that use this crate.
    pub const FIRST_APPLICATION: i64 = 100;
}
