//! How containers are named towards the engine.
//!
//! Owns: the one type for it. Never checks whether there is such a container.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A container, by the engine's id or by its name: the engine takes either.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(String);

impl ContainerId {
    /// An id or a name, as the engine gave it or a person wrote it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters, as people are shown ids.
    #[must_use]
    pub fn short(&self) -> &str {
        let is_id = self.0.len() == 64 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { &self.0[..12] } else { &self.0 }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.short())
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContainerId({})", self.0)
    }
}

impl From<&str> for ContainerId {
    fn from(id: &str) -> Self {
        Self(id.to_owned())
    }
}

impl From<String> for ContainerId {
    fn from(id: String) -> Self {
        Self(id)
    }
}
