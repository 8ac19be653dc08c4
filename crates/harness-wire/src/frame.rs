//! JSON-RPC 2.0 objects as text, and back.
//!
//! Owns: what a well-formed message is. Never knows which methods exist and never keeps track of ids.
//!
//! Parameters and results stay unparsed text until someone who knows their type asks for it.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::error::{RpcError, code};

/// The name a client gave a request; its answer carries the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A whole number.
    Number(i64),
    /// Any text.
    Text(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// The parameters of a request, not parsed yet.
#[derive(Clone, Default)]
pub struct Params(Option<Box<RawValue>>);

/// Without what they say: it may be secret.
impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.as_json().map_or(0, str::len);
        write!(f, "Params({length} bytes)")
    }
}

impl Params {
    /// Reads the parameters as `T`. Absent ones are read as `null`, then as an empty object.
    ///
    /// # Errors
    /// An error of code [`code::INVALID_PARAMS`], ready to be sent back.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, RpcError> {
        let parsed = match &self.0 {
            Some(raw) => serde_json::from_str(raw.get()),
            None => serde_json::from_str("null").or_else(|_| serde_json::from_str("{}")),
        };
        parsed.map_err(|error| {
            RpcError::new(
                code::INVALID_PARAMS,
                format!("unsuitable parameters: {error}"),
            )
        })
    }

    /// The parameters as they came; `None` when there were none.
    pub fn as_json(&self) -> Option<&str> {
        self.0.as_deref().map(RawValue::get)
    }
}

/// One message.
#[derive(Debug)]
pub enum Frame {
    /// Asks for an answer.
    Request {
        /// The name the answer must carry.
        id: Id,
        /// What to do.
        method: String,
        /// With what.
        params: Params,
    },
    /// Tells something; there is no answer.
    Notification {
        /// What about.
        method: String,
        /// The details.
        params: Params,
    },
    /// Answers a request.
    Response {
        /// The request's name; `None` when the peer could not tell which request it was.
        id: Option<Id>,
        /// The result, or the error.
        outcome: Result<Box<RawValue>, RpcError>,
    },
}

/// A message that is none; to be sent back as an error.
#[derive(Debug)]
pub struct Malformed {
    /// The request it came from, where that could be told.
    pub id: Option<Id>,
    /// What is wrong.
    pub error: RpcError,
}

impl Frame {
    /// Reads one message.
    ///
    /// # Errors
    /// [`Malformed`] with [`code::PARSE_ERROR`] for text that is not JSON and [`code::INVALID_REQUEST`] for everything
    /// else that is no single JSON-RPC 2.0 object: batches, nesting beyond `max_depth`, unknown or contradictory members.
    pub fn parse(text: &str, max_depth: usize) -> Result<Self, Malformed> {
        let invalid = |message: String| Malformed {
            id: None,
            error: RpcError::new(code::INVALID_REQUEST, message),
        };
        if text.trim_ascii_start().starts_with('[') {
            return Err(invalid(
                "batches are not supported: send one request per message".to_owned(),
            ));
        }
        // Checked first, so that no parser ever recurses on what a stranger sent.
        if exceeds_depth(text, max_depth) {
            return Err(invalid(format!("nested more than {max_depth} deep")));
        }
        let members: Members<'_> = serde_json::from_str(text).map_err(|error| {
            if error.is_data() {
                invalid(format!("not a JSON-RPC 2.0 message: {error}"))
            } else {
                Malformed {
                    id: None,
                    error: RpcError::new(code::PARSE_ERROR, format!("not JSON: {error}")),
                }
            }
        })?;
        members.into_frame()
    }
}

/// Text of a request.
///
/// # Errors
/// When `params` cannot be written as JSON.
pub(crate) fn request<P: Serialize + ?Sized>(
    id: &Id,
    method: &str,
    params: &P,
) -> serde_json::Result<String> {
    serde_json::to_string(&Outgoing {
        id: Some(id),
        method: Some(method),
        params: structured(params)?,
        ..Outgoing::NEW
    })
}

/// Text of a notification.
///
/// # Errors
/// When `params` cannot be written as JSON.
pub(crate) fn notification<P: Serialize + ?Sized>(
    method: &str,
    params: &P,
) -> serde_json::Result<String> {
    serde_json::to_string(&Outgoing {
        method: Some(method),
        params: structured(params)?,
        ..Outgoing::NEW
    })
}

/// Text of an answer.
///
/// # Errors
/// When `result` cannot be written as JSON.
pub(crate) fn response<R: Serialize + ?Sized>(id: &Id, result: &R) -> serde_json::Result<String> {
    let result = to_raw_value(result)?;
    serde_json::to_string(&Outgoing {
        id: Some(id),
        result: Some(&result),
        ..Outgoing::NEW
    })
}

/// Text of an answer that is an error; without an id when the request's is unknown.
pub(crate) fn failure(id: Option<&Id>, error: &RpcError) -> String {
    #[derive(Serialize)]
    struct Failure<'a> {
        jsonrpc: &'static str,
        id: Option<&'a Id>,
        error: &'a RpcError,
    }
    serde_json::to_string(&Failure {
        jsonrpc: VERSION,
        id,
        error,
    })
    .expect("text, numbers and JSON values always serialise")
}

/// Parameters must be an object or an array; `()` and `None` mean that there are none.
fn structured<P: Serialize + ?Sized>(params: &P) -> serde_json::Result<Option<Box<RawValue>>> {
    let raw = to_raw_value(params)?;
    match raw.get().as_bytes().first() {
        Some(b'{' | b'[') => Ok(Some(raw)),
        _ if raw.get() == "null" => Ok(None),
        _ => Err(serde::ser::Error::custom(
            "parameters must be an object or an array",
        )),
    }
}

#[derive(Serialize)]
struct Outgoing<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

impl Outgoing<'_> {
    const NEW: Self = Self {
        jsonrpc: VERSION,
        id: None,
        method: None,
        params: None,
        result: None,
    };
}

/// Every member a message may have. The outer `Option` is absence; an explicit `null` is a value.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(default, deserialize_with = "present")]
    id: Option<Option<Id>>,
    method: Option<String>,
    #[serde(default, borrow)]
    params: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    error: Option<RpcError>,
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Members<'_> {
    fn into_frame(self) -> Result<Frame, Malformed> {
        let id = self.id.clone().flatten();
        let invalid = |message: &str| Malformed {
            id: id.clone(),
            error: RpcError::new(code::INVALID_REQUEST, message),
        };
        if self.jsonrpc != VERSION {
            return Err(invalid("`jsonrpc` must be \"2.0\""));
        }
        match (self.method, self.id, self.result, self.error) {
            (Some(method), id, None, None) => {
                if self
                    .params
                    .is_some_and(|params| !params.get().starts_with(['{', '[']))
                {
                    return Err(invalid("`params` must be an object or an array"));
                }
                let params = Params(self.params.map(ToOwned::to_owned));
                match id {
                    Some(Some(id)) => Ok(Frame::Request { id, method, params }),
                    Some(None) => Err(invalid("`id` of a request must be a number or text")),
                    None => Ok(Frame::Notification { method, params }),
                }
            }
            (None, Some(id), Some(result), None) => Ok(Frame::Response {
                id,
                outcome: Ok(result.to_owned()),
            }),
            (None, Some(id), None, Some(error)) => Ok(Frame::Response {
                id,
                outcome: Err(error),
            }),
            (None, ..) => Err(invalid("neither a request nor an answer")),
            (Some(_), ..) => Err(invalid("both a request and an answer")),
        }
    }
}

/// Whether arrays and objects nest deeper than `limit`. Brackets inside text do not count.
fn exceeds_depth(text: &str, limit: usize) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

pub(crate) mod attached;

const VERSION: &str = "2.0";

#[cfg(test)]
mod tests;
