//! The manifest as a value.
//!
//! Owns: names, modes, and what a manifest holds. How it is written stands in the sibling `file`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::path::{EntryPath, LinkTarget};

/// The manifest's own place in an archive: its first entry. No other entry may have this path.
pub(crate) const MANIFEST_NAME: &str = "manifest.json";

/// The name of a package, or of a service that it needs: `[a-z0-9][a-z0-9_.-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(String);

/// Text that is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name begins with a small letter or a digit and holds up to 63 of `a-z`, `0-9`, `_`, `.`, `-`"
)]
pub struct NameFault;

impl PackageName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for PackageName {
    type Error = NameFault;

    fn try_from(text: String) -> Result<Self, NameFault> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = text.len() <= 63
            && text.bytes().next().is_some_and(plain)
            && text
                .bytes()
                .all(|byte| plain(byte) || b"_.-".contains(&byte));
        if fits { Ok(Self(text)) } else { Err(NameFault) }
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.0
    }
}

/// Permissions of a file: nine bits, never setuid, setgid or sticky. Written as `0755`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mode(u16);

/// Text that is no mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a mode is three octal digits such as `0644`, without setuid, setgid and sticky bit")]
pub struct NotAMode;

impl Mode {
    /// What may be executed.
    pub const EXECUTABLE: Self = Self(0o755);
    /// What may be read.
    pub const PLAIN: Self = Self(0o644);

    /// The bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        u32::from(self.0)
    }

    /// Whether the owner may execute the file.
    #[must_use]
    pub fn is_executable(self) -> bool {
        self.0 & 0o100 != 0
    }
}

impl TryFrom<String> for Mode {
    type Error = NotAMode;

    fn try_from(text: String) -> Result<Self, NotAMode> {
        let digits = match text.len() {
            3 => text.as_str(),
            4 => text.strip_prefix('0').ok_or(NotAMode)?,
            _ => return Err(NotAMode),
        };
        if !digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit)) {
            return Err(NotAMode);
        }
        u16::from_str_radix(digits, 8)
            .map(Self)
            .map_err(|_| NotAMode)
    }
}

impl From<Mode> for String {
    fn from(mode: Mode) -> Self {
        format!("{:04o}", mode.0)
    }
}

/// What runs, and with which arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// A file of the package.
    pub binary: EntryPath,
    /// Its arguments.
    pub args: Vec<String>,
}

/// A command that tells whether the service is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The program; with a slash one of the package, without one of the host's `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The time between two asks.
    pub interval: Duration,
    /// How long one ask may take.
    pub timeout: Duration,
    /// After how many failures in a row the service is unwell.
    pub retries: u32,
}

/// What a package says of itself, apart from its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Which package.
    pub name: PackageName,
    /// Which version of it.
    pub version: Version,
    /// What runs.
    pub service: Program,
    /// A script of the package that prepares a host, run before the first start of this version.
    pub setup: Option<EntryPath>,
    /// How to tell whether it is well.
    pub health: Option<Health>,
    /// The services whose addresses it is told.
    pub dependencies: Vec<PackageName>,
    /// What it finds in its environment.
    pub environment: BTreeMap<String, String>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A regular file.
    File {
        /// Its permissions.
        mode: Mode,
        /// Its length in bytes.
        size: u64,
        /// The SHA-256 of its bytes.
        sha256: Digest,
    },
    /// A symbolic link, which leads to somewhere inside the package.
    Link {
        /// Where to.
        target: LinkTarget,
    },
}

/// One file or link of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: EntryPath,
    /// What.
    pub content: Content,
}

/// The whole manifest, as it stands in an archive.
///
/// Invariant: no two entries clash, every link stays inside, the service's binary and the setup script are executable
/// files of the package, or links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub(super) about: About,
    pub(super) entries: Vec<Entry>,
}

impl Manifest {
    /// What the package says of itself.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Its files and links, by path.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// A file that shall go into a package, as its author lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Where it is in the directory, and will be in the package.
    pub path: EntryPath,
    /// Its permissions; else by whether its owner may execute it.
    pub mode: Option<Mode>,
    /// The length that it must have.
    pub size: Option<u64>,
    /// The SHA-256 that it must have.
    pub sha256: Option<Digest>,
    /// For a link: where it must lead.
    pub link: Option<String>,
}
