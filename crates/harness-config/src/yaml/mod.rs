//! YAML text to a tree in which every key and value knows its place.
//!
//! Owns: the limits against hostile files, duplicate keys, aliases, merge keys. It is the only module that knows which
//! parser is used. Never interprets: a scalar stays the text that was written.

mod build;
mod overlay;
mod tree;

pub(crate) use build::{MAX_TEXT_BYTES, parse};
pub(crate) use overlay::{Joined, Rules, STACK_RULES, overlay};
pub(crate) use tree::{Entry, Node, Resolved, Scalar, Value, is_text, shorten};
