//! The rules of CODE-POLICY.md that a machine can hold.
//!
//! One family of rules per file; [`check`] applies them all. Each rule is a function over text, so that a good and a
//! bad sample prove it.

pub(crate) mod arrows;
pub(crate) mod check;
pub(crate) mod code;
pub(crate) mod exceptions;
pub(crate) mod forbidden;
pub(crate) mod links;
pub(crate) mod purity;
pub(crate) mod runtime;
pub(crate) mod shape;
pub(crate) mod source;
pub(crate) mod waits;
