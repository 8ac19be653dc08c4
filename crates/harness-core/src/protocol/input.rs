//! Calls that carry what somebody has to the standard input of a task.
//!
//! Owns: the parameters and results. An input is as long as its subscription: when that ends without a last piece, whoever
//! had the rest is gone, and what runs finds the end there.

use serde::{Deserialize, Serialize};
use service_orchestration::spec::{StackName, UnitName};

/// Parameters of `unit.open-input`. The unit's next run gets it; it need not be defined yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenInputParams {
    /// The stack.
    pub stack: StackName,
    /// The unit.
    pub unit: UnitName,
}

/// What precedes the items of `unit.open-input`. There are none: it lasts for as long as whoever asked wants it to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputOpened {
    /// What `unit.input` calls it.
    pub input: u64,
}

/// Parameters of `unit.input`. It answers when there is room for the next piece.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputParams {
    /// Which.
    pub input: u64,
    /// The next bytes; none: that was all.
    #[serde(default, with = "text", skip_serializing_if = "Vec::is_empty")]
    pub base64: Vec<u8>,
}

/// Result of `unit.input`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputTaken {
    /// Whether more is wanted.
    pub open: bool,
}

/// Bytes as one text.
mod text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::protocol::base64;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        base64::decode(&text).ok_or_else(|| serde::de::Error::custom("not base64"))
    }
}
