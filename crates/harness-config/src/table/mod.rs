//! One table per mapping of the stack file: keys, their other spellings, what they take, what they mean.
//!
//! Owns: how a table is written, how a tree is checked against it, how its values are read, and the JSON Schema that
//! comes out of it. The tables themselves are in [`crate::keys`].

mod check;
mod fields;
mod format;
mod schema;
mod shape;

pub(crate) use check::{Checker, find};
pub(crate) use fields::{Fields, text};
pub(crate) use format::{Format, duration, size, whole};
pub(crate) use schema::json_schema;
pub(crate) use shape::{Field, Object, Shape, UnitForm, field};
