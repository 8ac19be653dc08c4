//! Which host, and how it is logged in to.
//!
//! Owns: what its parts may be. A value of these types can be written into a configuration and onto a command line without
//! meaning anything else there.

use std::path::{Path, PathBuf};

/// One host to log in to.
///
/// ```
/// use command_executor::ssh::SshHost;
///
/// let router = SshHost::new("router")?.with_address("10.0.0.1")?.with_user("admin")?;
/// let inner = SshHost::new("db.internal")?.with_port(2222)?.with_jump(router);
/// assert_eq!(inner.address(), "db.internal");
/// SshHost::new("-oProxyCommand=evil").expect_err("that is no host");
/// # Ok::<(), command_executor::ssh::SshHostError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SshHost {
    name: String,
    address: String,
    user: Option<String>,
    port: u16,
    identity: Option<PathBuf>,
    jump: Option<Box<SshHost>>,
}

/// A part of a host that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SshHostError {
    /// Something else than a name, an address or a user: nothing that begins with a dash, no spaces, no `@` or `/`.
    #[error(
        "`{given}` is no {part}: letters, digits, `_`, `.`, `-` and `:`, beginning with one of the first three"
    )]
    Word {
        /// What it should be.
        part: &'static str,
        /// What was given.
        given: String,
    },
    /// A path that the client would read as something else.
    #[error(
        "the path {given:?} cannot be written into a configuration of ssh: it must be absolute, without quotes, `$` and control characters"
    )]
    Path {
        /// What was given.
        given: PathBuf,
    },
    /// A port that there is not.
    #[error("0 is no port")]
    Port,
}

impl SshHost {
    /// A host of this name, at the address of the same name, as the user that runs this program, on port 22.
    ///
    /// # Errors
    /// [`SshHostError::Word`], also when it is longer than 63 letters: it names files and a socket.
    pub fn new(name: impl Into<String>) -> Result<Self, SshHostError> {
        let name = word("name of a host", name.into(), MAX_NAME)?;
        Ok(Self {
            address: name.clone(),
            name,
            user: None,
            port: 22,
            identity: None,
            jump: None,
        })
    }

    /// Sets where it is: a host name or an address of IPv4 or IPv6.
    ///
    /// # Errors
    /// [`SshHostError::Word`].
    pub fn with_address(mut self, address: impl Into<String>) -> Result<Self, SshHostError> {
        self.address = word("address", address.into(), MAX_WORD)?;
        Ok(self)
    }

    /// Sets who logs in.
    ///
    /// # Errors
    /// [`SshHostError::Word`].
    pub fn with_user(mut self, user: impl Into<String>) -> Result<Self, SshHostError> {
        self.user = Some(word("user", user.into(), MAX_WORD)?);
        Ok(self)
    }

    /// Sets the port of its sshd.
    ///
    /// # Errors
    /// [`SshHostError::Port`] for 0.
    pub fn with_port(mut self, port: u16) -> Result<Self, SshHostError> {
        if port == 0 {
            return Err(SshHostError::Port);
        }
        self.port = port;
        Ok(self)
    }

    /// Sets the private key to log in with, and no other. Without it, the client's own and those of an agent are tried.
    ///
    /// # Errors
    /// [`SshHostError::Path`].
    pub fn with_identity(mut self, file: impl Into<PathBuf>) -> Result<Self, SshHostError> {
        let file = file.into();
        path(&file)?;
        self.identity = Some(file);
        Ok(self)
    }

    /// Sets the host that it is reached through.
    #[must_use]
    pub fn with_jump(mut self, jump: SshHost) -> Self {
        self.jump = Some(Box::new(jump));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Who logs in, unless it is the user that runs this program.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The port of its sshd.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key that logs in, if one is set.
    pub fn identity(&self) -> Option<&Path> {
        self.identity.as_deref()
    }

    /// The host that it is reached through.
    pub fn jump(&self) -> Option<&SshHost> {
        self.jump.as_deref()
    }

    /// Its address as `known_hosts` names it.
    pub fn known_as(&self) -> String {
        match self.port {
            22 => self.address.clone(),
            port => format!("[{}]:{port}", self.address),
        }
    }
}

fn word(part: &'static str, given: String, longest: usize) -> Result<String, SshHostError> {
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    let begins = given
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if begins && given.bytes().all(is_inside) && given.len() <= longest {
        Ok(given)
    } else {
        Err(SshHostError::Word { part, given })
    }
}

/// Refuses what quotes do not hold together in a configuration, and what is expanded there.
pub(super) fn path(file: &Path) -> Result<(), SshHostError> {
    let is_plain = file.to_str().is_some_and(|text| {
        !text.contains(|c: char| c.is_control() || matches!(c, '"' | '$' | '\\'))
    });
    if is_plain && file.is_absolute() {
        Ok(())
    } else {
        Err(SshHostError::Path {
            given: file.to_owned(),
        })
    }
}

/// A label of DNS.
const MAX_NAME: usize = 63;

/// A name of DNS.
const MAX_WORD: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            "",
            "-oProxyCommand=x",
            ".a",
            ":1",
            "a b",
            "a\nb",
            "user@host",
            "a/b",
            "ä",
            "$(x)",
            "%h",
            "*",
        ] {
            SshHost::new(bad).expect_err(bad);
            let host = SshHost::new("good").expect("it is");
            host.clone().with_address(bad).expect_err(bad);
            host.with_user(bad).expect_err(bad);
        }
        for good in ["a", "_x", "10.0.0.1", "fe80::1", "db-1.lan", "0"] {
            SshHost::new(good).expect(good);
        }
        SshHost::new("a".repeat(64)).expect_err("too long");
    }

    #[test]
    fn a_path_that_ssh_would_read_differently_is_refused() {
        let host = SshHost::new("h").expect("it is");
        for bad in ["key", "~/key", "/a\"b", "/a\nb", "/$HOME/x", ""] {
            host.clone().with_identity(bad).expect_err(bad);
        }
        host.with_identity("/home/me/a key%1").expect("it is one");
    }
}
