//! A variable on the command line: `NAME=VALUE`, or `NAME` for the value that it has here.
//!
//! Owns: the form. A value that is taken from here stands in no argument list.

use std::ffi::OsString;

use super::exec_failure::ExecFailure;

/// A variable for a command; without a value it has that of ours.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    name: String,
    value: Option<String>,
}

impl Variable {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text, None),
        };
        if name.is_empty() {
            return Err("a variable has a name");
        }
        let name = name.to_owned();
        Ok(Self { name, value })
    }

    pub(super) fn value(self) -> Result<(String, OsString), ExecFailure> {
        let Self { name, value } = self;
        let value = value
            .map(OsString::from)
            .or_else(|| std::env::var_os(&name));
        match value {
            Some(value) => Ok((name, value)),
            None => Err(ExecFailure::NoSuchVariable { name }),
        }
    }
}
