//! The hosts that may be used, and the keys by which they are known.
//!
//! Owns: `hosts.json` and `known_hosts` in the configuration. The second is made from the first, for OpenSSH's client, which
//! trusts what stands there and nothing else. Never connects, and never decides whether a key is the right one: a person does.

mod directory;
mod way;

pub(crate) use directory::BookDirectory;
pub use service_orchestration::executors::{HostCall, engine_socket};
pub use way::HostWayError;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use command_executor::agent::Runner;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::Dirs;

/// A host and how it is logged in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostEntry {
    /// What it is called here.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// The port of its sshd.
    pub port: u16,
    /// Who logs in, unless it is the user of this program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The private key that logs in, unless it is one of the user's own or of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The name of the host that it is reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jump: Option<String>,
    /// What keeps services there.
    #[serde(default, skip_serializing_if = "HostRunner::is_auto")]
    pub runner: HostRunner,
    /// Its own keys, of which one was accepted: type and key, as `known_hosts` has them.
    pub host_keys: Vec<String>,
    /// The fingerprints of these, in the same order.
    pub fingerprints: Vec<String>,
}

/// What keeps services on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostRunner {
    /// The shim where it runs, else the host's own shell.
    #[default]
    Auto,
    /// The shim, or nobody.
    Shim,
    /// The host's own shell.
    Sh,
}

impl HostRunner {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Shim => "shim",
            Self::Sh => "sh",
        }
    }

    fn is_auto(&self) -> bool {
        *self == Self::Auto
    }
}

impl From<HostRunner> for Runner {
    fn from(runner: HostRunner) -> Self {
        match runner {
            HostRunner::Auto => Self::Auto,
            HostRunner::Shim => Self::Shim,
            HostRunner::Sh => Self::Sh,
        }
    }
}

impl HostEntry {
    /// Its address as `known_hosts` has it.
    fn known_as(&self) -> String {
        match self.port {
            22 => self.address.clone(),
            port => format!("[{}]:{port}", self.address),
        }
    }
}

/// All hosts, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostBook {
    /// They, in order.
    pub items: Vec<HostEntry>,
}

/// Why a host cannot be looked up, added or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostBookError {
    /// A file cannot be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file is not what we wrote.
    #[error("{} cannot be read as a list of hosts", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Somebody else could add a host, and its key.
    #[error("{} has mode {mode:04o}, so others can change whom we trust: run `chmod go= {}`", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There is one of this name.
    #[error("there is a host `{name}` already, at {address}")]
    Taken {
        /// Its name.
        name: String,
        /// Where that one is.
        address: String,
    },
    /// There is none of this name.
    #[error("there is no host `{name}`")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// Others are reached through it.
    #[error("`{name}` is the way to {}", others.join(", "))]
    Needed {
        /// Its name.
        name: String,
        /// Theirs.
        others: Vec<String>,
    },
}

impl HostBook {
    /// What is written down; nothing when nothing ever was.
    ///
    /// # Errors
    /// [`HostBookError::Io`], [`HostBookError::Unreadable`], [`HostBookError::Exposed`].
    pub fn load(dirs: &Dirs) -> Result<Self, HostBookError> {
        let path = file(dirs);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.map_err(failed("read", &path))?,
        };
        let metadata = fs::metadata(&path).map_err(failed("look at", &path))?;
        let mode = metadata.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(HostBookError::Exposed { path, mode });
        }
        serde_json::from_slice(&text).map_err(|source| HostBookError::Unreadable { path, source })
    }

    /// The host of this name.
    ///
    /// # Errors
    /// [`HostBookError::Unknown`].
    pub fn get(&self, name: &str) -> Result<&HostEntry, HostBookError> {
        let found = self.items.iter().find(|entry| entry.name == name);
        found.ok_or_else(|| HostBookError::Unknown {
            name: name.to_owned(),
            known: self.items.iter().map(|entry| entry.name.clone()).collect(),
        })
    }

    /// The host of this name, else the one at this address.
    ///
    /// # Errors
    /// [`HostBookError::Unknown`].
    pub fn find(&self, name_or_address: &str) -> Result<&HostEntry, HostBookError> {
        self.get(name_or_address).or_else(|error| {
            let mut entries = self.items.iter();
            entries
                .find(|entry| entry.address == name_or_address)
                .ok_or(error)
        })
    }

    /// Refuses a name that is taken.
    ///
    /// # Errors
    /// [`HostBookError::Taken`].
    pub fn check_free(&self, name: &str) -> Result<(), HostBookError> {
        match self.get(name) {
            Err(_) => Ok(()),
            Ok(taken) => Err(HostBookError::Taken {
                name: name.to_owned(),
                address: taken.address.clone(),
            }),
        }
    }

    /// Writes a host down, and trusts its keys from then on.
    ///
    /// # Errors
    /// [`HostBookError::Taken`], [`HostBookError::Unknown`] for its jump host, and those of [`load`](Self::load).
    pub fn add(dirs: &Dirs, entry: HostEntry) -> Result<(), HostBookError> {
        let _lock = lock(dirs)?;
        let mut book = Self::load(dirs)?;
        book.check_free(&entry.name)?;
        if let Some(jump) = &entry.jump {
            book.get(jump)?;
        }
        book.items.push(entry);
        book.items.sort_by(|a, b| a.name.cmp(&b.name));
        book.save(dirs)
    }

    /// Forgets a host and its keys; returns what was known of it.
    ///
    /// # Errors
    /// [`HostBookError::Unknown`], [`HostBookError::Needed`], and those of [`load`](Self::load).
    pub fn remove(dirs: &Dirs, name: &str) -> Result<HostEntry, HostBookError> {
        let _lock = lock(dirs)?;
        let mut book = Self::load(dirs)?;
        let removed = book.get(name)?.clone();
        let through = book
            .items
            .iter()
            .filter(|one| one.jump.as_deref() == Some(name));
        let others: Vec<String> = through.map(|one| one.name.clone()).collect();
        if !others.is_empty() {
            let name = name.to_owned();
            return Err(HostBookError::Needed { name, others });
        }
        book.items.retain(|entry| entry.name != name);
        book.save(dirs)?;
        Ok(removed)
    }

    /// The file that OpenSSH's client is told to trust.
    pub fn known_hosts(dirs: &Dirs) -> PathBuf {
        dirs.config().join("known_hosts")
    }

    /// First the keys, so that a crash between the two leaves a host that is not trusted, or a key that is of no host.
    fn save(&self, dirs: &Dirs) -> Result<(), HostBookError> {
        let mut known = String::new();
        for entry in &self.items {
            for key in &entry.host_keys {
                known += &format!("{} {key}\n", entry.known_as());
            }
        }
        replace(&Self::known_hosts(dirs), known.as_bytes())?;
        let mut text = serde_json::to_vec_pretty(self).expect("plain data becomes JSON");
        text.push(b'\n');
        replace(&file(dirs), &text)
    }
}

fn file(dirs: &Dirs) -> PathBuf {
    dirs.config().join("hosts.json")
}

/// Held while the files are changed; let go with the value.
fn lock(dirs: &Dirs) -> Result<File, HostBookError> {
    let path = dirs.config().join("hosts.lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let held = options.open(&path).map_err(failed("open", &path))?;
    flock(&held, FlockOperation::LockExclusive)
        .map_err(|error| failed("lock", &path)(error.into()))?;
    Ok(held)
}

/// In one step, and on the disk: whom we trust survives a power cut.
fn replace(path: &Path, text: &[u8]) -> Result<(), HostBookError> {
    let fresh = path.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&fresh, path)
    };
    write().map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HostBookError {
    let path = path.to_owned();
    move |source| HostBookError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, jump: Option<&str>) -> HostEntry {
        HostEntry {
            name: name.to_owned(),
            address: format!("{name}.lan"),
            port: if jump.is_some() { 2222 } else { 22 },
            user: None,
            key: None,
            jump: jump.map(str::to_owned),
            runner: HostRunner::default(),
            host_keys: vec![format!("ssh-ed25519 AAAA{name}")],
            fingerprints: vec!["SHA256:x".to_owned()],
        }
    }

    #[test]
    fn keys_are_trusted_as_long_as_their_host_is_written_down() {
        let home = testkit::temp_dir();
        let dirs = Dirs::under(home.path().join("home"));
        dirs.create().expect("made");
        assert_eq!(HostBook::load(&dirs).expect("empty"), HostBook::default());
        HostBook::add(&dirs, entry("inner", Some("router"))).expect_err("no such way");
        HostBook::add(&dirs, entry("router", None)).expect("added");
        HostBook::add(&dirs, entry("inner", Some("router"))).expect("added");
        let taken = HostBook::add(&dirs, entry("inner", None)).expect_err("taken");
        assert_eq!(
            taken.to_string(),
            "there is a host `inner` already, at inner.lan"
        );
        let known = || fs::read_to_string(HostBook::known_hosts(&dirs)).expect("there");
        assert_eq!(
            known(),
            "[inner.lan]:2222 ssh-ed25519 AAAAinner\nrouter.lan ssh-ed25519 AAAArouter\n"
        );
        let needed = HostBook::remove(&dirs, "router").expect_err("needed");
        assert_eq!(needed.to_string(), "`router` is the way to inner");
        HostBook::remove(&dirs, "inner").expect("removed");
        HostBook::remove(&dirs, "router").expect("removed");
        assert_eq!(known(), "");
        HostBook::remove(&dirs, "router").expect_err("gone");
        let mode = fs::metadata(file(&dirs)).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_book_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let home = testkit::temp_dir();
        let dirs = Dirs::under(home.path().join("home"));
        dirs.create().expect("made");
        HostBook::add(&dirs, entry("a", None)).expect("added");
        fs::set_permissions(file(&dirs), fs::Permissions::from_mode(0o620)).expect("changed");
        let error = HostBook::load(&dirs).expect_err("refused");
        assert!(matches!(error, HostBookError::Exposed { .. }), "{error:?}");
    }
}
