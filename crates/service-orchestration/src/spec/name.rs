//! Names and identities of stacks and units.
//!
//! Owns: what a legal name is. A name that exists has been checked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no name: {reason}")]
pub struct NameError {
    text: String,
    reason: &'static str,
}

/// 63 characters: what a DNS label, a Docker label value and a cgroup name all take.
const MAX_LENGTH: usize = 63;

fn check(text: &str) -> Result<(), NameError> {
    let refuse = |reason| {
        Err(NameError {
            text: text.chars().take(80).collect(),
            reason,
        })
    };
    if text.is_empty() {
        return refuse("it is empty");
    }
    if text.len() > MAX_LENGTH {
        return refuse("it is longer than 63 characters");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return refuse("it must begin with a letter or a digit");
    }
    if !text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    {
        return refuse("only letters, digits, `_`, `-` and `.` may stand in it");
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name of this text.
            ///
            /// # Errors
            /// [`NameError`] when the text is empty, too long, or has a character that may not stand in a name.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }
    };
}

name! {
    /// The name of a stack: one YAML file's worth of units.
    StackName
}
name! {
    /// The name of a service or a task inside its stack; both share one set of names.
    UnitName
}

/// One instance of a service, or a task: what the daemon starts and stops.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId {
    /// The stack it belongs to.
    pub stack: StackName,
    /// Its name in the stack file.
    pub name: UnitName,
    /// Its replica, counted from 1; 0 when the service is not replicated.
    pub replica: u32,
}

impl UnitId {
    /// The only instance of an unreplicated service, or a task.
    pub fn single(stack: StackName, name: UnitName) -> Self {
        Self {
            stack,
            name,
            replica: 0,
        }
    }

    /// The name as users see it inside one stack: `api`, or `api/2` for a replica.
    pub fn local_name(&self) -> String {
        match self.replica {
            0 => self.name.to_string(),
            replica => format!("{}/{replica}", self.name),
        }
    }
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stack, self.local_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_escape_a_path_are_refused() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "-x",
            "é",
            "a\n",
            &"x".repeat(64),
        ] {
            assert!(UnitName::new(text).is_err(), "{text:?}");
        }
        for text in ["a", "9", "graph-node", "A_b.c", &"x".repeat(63)] {
            assert!(UnitName::new(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_replica_is_part_of_the_identity() {
        let stack = StackName::new("s").expect("a legal name");
        let name = UnitName::new("api").expect("a legal name");
        let mut id = UnitId::single(stack, name);
        assert_eq!(id.to_string(), "s:api");
        id.replica = 2;
        assert_eq!(id.to_string(), "s:api/2");
    }
}
