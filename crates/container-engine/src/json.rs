//! How the engine's JSON differs from ours.
//!
//! Owns: reading `null` where a list or a map is meant.

use serde::{Deserialize, Deserializer};

/// Go writes `null` for a list or a map that is empty.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
