//! What many calls share.
//!
//! Owns: the version of the shapes of this module, and the answer that says nothing.

use serde::{Deserialize, Serialize};

/// The version of every shape in this module.
pub const SCHEMA_VERSION: u32 = 1;

/// Nothing to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}
