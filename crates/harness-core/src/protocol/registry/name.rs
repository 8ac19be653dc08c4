//! Names of registered services, and patterns of such names.
//!
//! Owns: their text forms, `stack:service`, `stack:service/2`, and of a pattern also `stack`. A name that exists has been
//! checked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use service_orchestration::spec::{NameError, StackName, UnitName};
use service_registry::{InstanceKey, ServiceKey};

/// Why a text names no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryNameError {
    /// There is no stack before it.
    #[error("`{0}` names no service: write it like `stack:service`")]
    NoStack(String),
    /// One of its parts is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What stands behind `/` is no number of a replica.
    #[error("`{0}` is no number of a replica: they count from 1")]
    Replica(String),
}

/// A service, by its stack and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName {
    /// The stack. It need not be one that the daemon runs.
    pub stack: StackName,
    /// The name inside the stack.
    pub service: UnitName,
}

/// A service, or one of its replicas.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceName {
    /// The service.
    pub service: ServiceName,
    /// The replica, counted from 1; 0 when it is not replicated.
    pub instance: u32,
}

/// Names of services: all of a stack, or one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern {
    /// The stack.
    pub stack: StackName,
    /// The one service that is meant; absent: all of the stack.
    pub service: Option<UnitName>,
}

impl NamePattern {
    /// Whether the name is one of them.
    pub fn allows(&self, name: &ServiceName) -> bool {
        self.contains(name.stack.as_str(), name.service.as_str())
    }

    pub(crate) fn contains(&self, stack: &str, service: &str) -> bool {
        self.stack.as_str() == stack
            && self
                .service
                .as_ref()
                .is_none_or(|own| own.as_str() == service)
    }
}

impl InstanceName {
    pub(crate) fn key(&self) -> InstanceKey {
        self.service.key().instance(self.instance)
    }

    /// The name of what is listed under this key. Whatever is listed has a legal name.
    pub(crate) fn of(key: &InstanceKey) -> Option<Self> {
        let service = ServiceName {
            stack: StackName::new(&key.service.stack).ok()?,
            service: UnitName::new(&key.service.service).ok()?,
        };
        let instance = key.instance;
        Some(Self { service, instance })
    }
}

impl ServiceName {
    pub(crate) fn key(&self) -> ServiceKey {
        ServiceKey::new(self.stack.as_str(), self.service.as_str())
    }
}

impl FromStr for ServiceName {
    type Err = RegistryNameError;

    fn from_str(text: &str) -> Result<Self, RegistryNameError> {
        let (stack, service) = text
            .split_once(':')
            .ok_or_else(|| RegistryNameError::NoStack(shown(text)))?;
        Ok(Self {
            stack: stack.parse()?,
            service: service.parse()?,
        })
    }
}

impl FromStr for InstanceName {
    type Err = RegistryNameError;

    fn from_str(text: &str) -> Result<Self, RegistryNameError> {
        let (service, instance) = match text.split_once('/') {
            Some((service, number)) => {
                let is_number = number.starts_with(|digit: char| ('1'..='9').contains(&digit));
                let number = is_number.then(|| number.parse().ok()).flatten();
                (
                    service,
                    number.ok_or_else(|| RegistryNameError::Replica(shown(text)))?,
                )
            }
            None => (text, 0),
        };
        let service = service.parse()?;
        Ok(Self { service, instance })
    }
}

impl FromStr for NamePattern {
    type Err = RegistryNameError;

    fn from_str(text: &str) -> Result<Self, RegistryNameError> {
        match text.split_once(':') {
            Some((stack, service)) => Ok(Self {
                stack: stack.parse()?,
                service: Some(service.parse()?),
            }),
            None => Ok(Self {
                stack: text.parse()?,
                service: None,
            }),
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stack, self.service)
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instance {
            0 => self.service.fmt(f),
            instance => write!(f, "{}/{instance}", self.service),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.service {
            Some(service) => write!(f, "{}:{service}", self.stack),
            None => self.stack.fmt(f),
        }
    }
}

macro_rules! as_text {
    ($($type:ident)*) => {
        $(
            impl TryFrom<String> for $type {
                type Error = RegistryNameError;
                fn try_from(text: String) -> Result<Self, RegistryNameError> {
                    text.parse()
                }
            }

            impl From<$type> for String {
                fn from(name: $type) -> Self {
                    name.to_string()
                }
            }
        )*
    };
}
as_text!(ServiceName InstanceName NamePattern);

/// As much of what somebody sent as belongs into a message.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_strictly_and_written_as_they_were() {
        for text in ["shop:api", "shop:api/2", "a.b:c_d/4294967295"] {
            let name: InstanceName = text.parse().expect("a name");
            assert_eq!(name.to_string(), text);
            assert_eq!(InstanceName::of(&name.key()), Some(name));
        }
        for text in [
            "api",
            "",
            ":",
            "shop:",
            ":api",
            "shop:a:b",
            "shop:api/0",
            "shop:api/02",
            "shop:api/",
            "shop:api/+1",
            "shop:api/4294967296",
            "shop:api/1/2",
            "../x:y",
            "shop:\u{202e}api",
            "shop:api\n",
        ] {
            assert!(text.parse::<InstanceName>().is_err(), "{text:?}");
        }
        assert!("shop:*".parse::<NamePattern>().is_err());
    }

    #[test]
    fn a_pattern_is_a_whole_stack_or_one_service() {
        let allows = |pattern: &str, name: &str| {
            let pattern: NamePattern = pattern.parse().expect("a pattern");
            pattern.allows(&name.parse().expect("a name"))
        };
        assert!(allows("shop", "shop:api") && allows("shop:api", "shop:api"));
        assert!(!allows("shop", "shop2:api") && !allows("shop:api", "shop:api2"));
        assert!(!allows("shop:api", "shop2:api"));
    }
}
