//! What `registry.watch` tells.
//!
//! Owns: the items, and the text of a cursor, in which a client reads nothing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use service_registry::Cursor;

use super::{InstanceName, RegistryEntry};

/// A place in the changes of a daemon's registry. It means nothing to the next daemon, which answers with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RegistryCursor(pub(crate) Cursor);

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor of `registry.watch`")]
pub struct CursorError;

/// One item of `registry.watch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum RegistryEvent {
    /// How things stand. A long one comes in several parts, in the order of the names: what was not named when the last
    /// part is there is not listed.
    Snapshot {
        /// Why it is told.
        reason: SnapshotReason,
        /// What is listed.
        entries: Vec<RegistryEntry>,
        /// With the last part: the changes go on from there.
        cursor: Option<RegistryCursor>,
    },
    /// A service can be reached, or what is known of it is different.
    ServiceRegistered {
        /// After it.
        cursor: RegistryCursor,
        /// What is known of it.
        entry: RegistryEntry,
    },
    /// A service can no longer be reached.
    ServiceUnregistered {
        /// After it.
        cursor: RegistryCursor,
        /// Which.
        name: InstanceName,
        /// Which run of it.
        incarnation: u64,
        /// How.
        reason: UnregisterReason,
    },
    /// A service may now be sent work, or no longer; all else is as it was.
    ServiceHealthChanged {
        /// After it.
        cursor: RegistryCursor,
        /// What is known of it.
        entry: RegistryEntry,
    },
    /// One that only a newer daemon knows.
    #[serde(other)]
    Unrecognised,
}

/// Why a snapshot is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotReason {
    /// The watch begins.
    First,
    /// Changes were missed: they are no longer kept, or the daemon is another one.
    Gap,
}

/// How a service came off the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnregisterReason {
    /// It was taken off: that run is over.
    Withdrawn,
    /// Whoever registered it was not heard of in time. It may still run, and come back.
    Lost,
}

impl RegistryEvent {
    /// What to go on from once it has been dealt with.
    pub fn cursor(&self) -> Option<RegistryCursor> {
        match self {
            Self::Snapshot { cursor, .. } => *cursor,
            Self::ServiceRegistered { cursor, .. }
            | Self::ServiceUnregistered { cursor, .. }
            | Self::ServiceHealthChanged { cursor, .. } => Some(*cursor),
            Self::Unrecognised => None,
        }
    }
}

impl fmt::Display for RegistryCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}.{}", self.0.epoch, self.0.sequence)
    }
}

impl FromStr for RegistryCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (epoch, sequence) = text.split_once('.').ok_or(CursorError)?;
        let read = Self(Cursor {
            epoch: u64::from_str_radix(epoch, 16).map_err(|_| CursorError)?,
            sequence: sequence.parse().map_err(|_| CursorError)?,
        });
        // Numbers have other spellings, which nobody was given.
        match read.to_string() == text {
            true => Ok(read),
            false => Err(CursorError),
        }
    }
}

impl TryFrom<String> for RegistryCursor {
    type Error = CursorError;

    fn try_from(text: String) -> Result<Self, CursorError> {
        text.parse()
    }
}

impl From<RegistryCursor> for String {
    fn from(cursor: RegistryCursor) -> Self {
        cursor.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_in_no_other_form() {
        let cursor = RegistryCursor(Cursor {
            epoch: u64::MAX - 1,
            sequence: 7,
        });
        assert_eq!(cursor.to_string(), "fffffffffffffffe.7");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in [
            "",
            ".",
            "1.7",
            "+ffffffffffffffe.7",
            "fffffffffffffffe.07",
            "FFFFFFFFFFFFFFFE.7",
        ] {
            assert_eq!(text.parse::<RegistryCursor>(), Err(CursorError), "{text}");
        }
    }

    #[test]
    fn an_event_of_the_future_can_be_passed_over() {
        let event = serde_json::from_str(r#"{"event":"service_moved","cursor":"x"}"#);
        assert!(matches!(event, Ok(RegistryEvent::Unrecognised)));
    }
}
