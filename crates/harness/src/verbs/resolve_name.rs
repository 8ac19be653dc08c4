//! Whom `resolve` is asked for, and by whom.
//!
//! Owns: the forms of both on the command line.

use harness_core::protocol::{InstanceName, RegistryNameError, ServiceName};
use harness_core::spec::StackName;

/// Who is asked for: `api`, `api/2`, `shop:api`; with a port: `api:5432`, `shop:api:http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Absent: the stack that is meant.
    pub(super) stack: Option<StackName>,
    /// As users of the stack name it.
    pub(super) unit: String,
    /// Its name or its number.
    pub(super) port: Option<String>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// `.`: the daemon's machine.
    Here,
    /// A unit, of the stack that is meant where none is named.
    Unit(Option<StackName>, String),
    /// `@pi`: a machine.
    Host(String),
}

impl Wanted {
    /// # Errors
    /// [`RegistryNameError`].
    pub(super) fn parse(text: &str) -> Result<Self, RegistryNameError> {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let own = |stack, unit: &str, port: Option<&str>| Self {
            stack,
            unit: unit.to_owned(),
            port: port.map(str::to_owned),
        };
        match text.split(':').collect::<Vec<_>>().as_slice() {
            [unit] => Ok(own(None, unit, None)),
            // A stack may be called so; a port is meant more often.
            [unit, port] if is_number(port) => Ok(own(None, unit, Some(port))),
            [stack, unit] => Ok(own(Some(stack.parse()?), unit, None)),
            [stack, unit, port] => Ok(own(Some(stack.parse()?), unit, Some(port))),
            _ => Err(RegistryNameError::NoStack(text.chars().take(80).collect())),
        }
    }
}

impl Asker {
    /// # Errors
    /// [`RegistryNameError`].
    pub(super) fn parse(text: &str) -> Result<Self, RegistryNameError> {
        if text == super::net::HERE {
            return Ok(Self::Here);
        }
        if let Some(host) = text.strip_prefix('@') {
            return Ok(Self::Host(host.to_owned()));
        }
        match text.split_once(':') {
            Some((stack, unit)) => Ok(Self::Unit(Some(stack.parse()?), unit.to_owned())),
            None => Ok(Self::Unit(None, text.to_owned())),
        }
    }
}

/// The unit of this name in this stack, as the registry calls it.
///
/// # Errors
/// [`RegistryNameError`].
pub(super) fn listed(stack: &StackName, unit: &str) -> Result<InstanceName, RegistryNameError> {
    let name: InstanceName = format!("{stack}:{unit}").parse()?;
    let service = ServiceName {
        stack: stack.clone(),
        ..name.service
    };
    Ok(InstanceName { service, ..name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_a_stack_before_it_and_a_port_behind_it() {
        let parse = |text: &str| {
            let wanted = Wanted::parse(text).ok()?;
            let stack = wanted.stack.map(|stack| stack.to_string());
            Some((stack, wanted.unit, wanted.port))
        };
        let found = |stack: Option<&str>, unit: &str, port: Option<&str>| {
            let own = |text: &str| text.to_owned();
            Some((stack.map(own), own(unit), port.map(own)))
        };
        assert_eq!(parse("api"), found(None, "api", None));
        assert_eq!(parse("api/2"), found(None, "api/2", None));
        assert_eq!(parse("api:5432"), found(None, "api", Some("5432")));
        assert_eq!(parse("shop:api"), found(Some("shop"), "api", None));
        assert_eq!(
            parse("shop:api:http"),
            found(Some("shop"), "api", Some("http"))
        );
        assert_eq!(parse("shop:api:80:1"), None);
        assert_eq!(parse("../x:api"), None);
        assert_eq!(Asker::parse("@pi"), Ok(Asker::Host("pi".into())));
        assert_eq!(Asker::parse("."), Ok(Asker::Here));
    }
}
