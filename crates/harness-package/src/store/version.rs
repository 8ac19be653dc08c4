//! Versions, and how they are named.
//!
//! Owns: the names of slots and versions, which come from elsewhere and become paths; and looking at what is there.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use semver::Version as Semver;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::digest::Digest;
use crate::manifest::PackageName;

/// The name of a slot: letters, digits, `_`, `.` and `-`, of which the first is a letter or digit; at most 200.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlotName(String);

impl SlotName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for SlotName {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let begins = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        match begins && text.len() <= 200 && text.bytes().all(plain) {
            true => Ok(Self(text)),
            false => Err("a slot is named by letters, digits, `_`, `.` and `-`"),
        }
    }
}

impl From<SlotName> for String {
    fn from(name: SlotName) -> Self {
        name.0
    }
}

/// A version in its slot, as it is written: `NAME/VERSION-SHA256`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// Which package.
    pub name: PackageName,
    /// Which version of it.
    pub version: Semver,
    /// Of the archive.
    pub sha256: Digest,
}

impl Place {
    pub(super) fn path(&self) -> String {
        format!("{}/{}-{}", self.name, self.version, self.sha256)
    }
}

impl fmt::Display for Place {
    /// For people: what differs between two archives with one version is in the first digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sha256 = self.sha256.to_string();
        write!(
            formatter,
            "{} {} ({})",
            self.name,
            self.version,
            &sha256[..12]
        )
    }
}

impl TryFrom<String> for Place {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "a version is written as NAME/VERSION-SHA256";
        let (name, rest) = text.split_once('/').ok_or(wrong)?;
        let (version, sha256) = rest.rsplit_once('-').ok_or(wrong)?;
        Ok(Self {
            name: PackageName::try_from(name.to_owned()).map_err(|_| wrong)?,
            version: Semver::parse(version).map_err(|_| wrong)?,
            sha256: Digest::try_from(sha256.to_owned()).map_err(|_| wrong)?,
        })
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.path()
    }
}

/// One version that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Which.
    pub place: Place,
    /// Whether it is the one to run.
    pub current: bool,
    /// The bytes of its files.
    pub bytes: u64,
    /// Who signed it.
    pub signer: Option<String>,
}

/// What is written about a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Note {
    /// The manifest without its files, as [`crate::About::to_json`] writes it.
    pub(super) about: String,
    pub(super) bytes: u64,
    pub(super) signer: Option<String>,
}

impl Note {
    pub(super) fn path(slot: &Path, sha256: Digest) -> PathBuf {
        slot.join(ABOUT).join(format!("{sha256}.json"))
    }

    pub(super) fn read(slot: &Path, sha256: Digest) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(Self::path(
            slot, sha256,
        ))?)?)
    }
}

/// Every version in a slot, in order, whoever has the lock.
///
/// # Errors
/// [`StoreError::Io`]. A slot that is not there has no versions.
pub fn list(root: &Path, slot: &SlotName) -> Result<Vec<Version>, StoreError> {
    versions(&root.join(slot.as_str()))
}

/// The slots below a root, in order.
///
/// # Errors
/// [`StoreError::Io`]. Below a root that is not there is none.
pub fn slots(root: &Path) -> Result<Vec<SlotName>, StoreError> {
    let names = names(root)?.into_iter();
    let mut slots: Vec<SlotName> = names
        .filter_map(|name| SlotName::try_from(name).ok())
        .collect();
    slots.sort();
    Ok(slots)
}

pub(super) fn versions(slot: &Path) -> Result<Vec<Version>, StoreError> {
    let current = current_in(slot)?;
    let mut found = Vec::new();
    for package in names(&slot.join(VERSIONS))? {
        // What begins with a point is on its way in or out.
        if PackageName::try_from(package.clone()).is_err() {
            continue;
        }
        for version in names(&slot.join(VERSIONS).join(&package))? {
            let Ok(place) = Place::try_from(format!("{package}/{version}")) else {
                continue;
            };
            let note = Note::read(slot, place.sha256).ok();
            found.push(Version {
                current: current.as_ref() == Some(&place),
                bytes: note.as_ref().map_or(0, |note| note.bytes),
                signer: note.and_then(|note| note.signer),
                place,
            });
        }
    }
    found.sort_by(|one, other| one.place.cmp(&other.place));
    Ok(found)
}

/// Which version is to run, and what it says of itself, as [`crate::About::to_json`] writes it.
///
/// # Errors
/// [`StoreError::Io`].
pub fn current(root: &Path, slot: &SlotName) -> Result<Option<(Place, String)>, StoreError> {
    let slot = root.join(slot.as_str());
    let Some(place) = current_in(&slot)? else {
        return Ok(None);
    };
    let path = Note::path(&slot, place.sha256);
    let note = Note::read(&slot, place.sha256).map_err(StoreError::io("read", path))?;
    Ok(Some((place, note.about)))
}

/// Which version is to run.
pub(super) fn current_in(slot: &Path) -> Result<Option<Place>, StoreError> {
    let path = slot.join(CURRENT);
    let target = match fs::read_link(&path) {
        Ok(target) => target,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let place = target
        .to_str()
        .and_then(|target| target.strip_prefix(VERSIONS)?.strip_prefix('/'))
        .and_then(|place| Place::try_from(place.to_owned()).ok());
    match place {
        Some(place) => Ok(Some(place)),
        None => Err(StoreError::io("make sense of", path)(
            ErrorKind::InvalidData.into(),
        )),
    }
}

/// The names in a directory; none where there is none.
pub(super) fn names(directory: &Path) -> Result<Vec<String>, StoreError> {
    let failed = || StoreError::io("read", directory);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed()(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed())?;
        // A name that is no text is none of ours.
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

pub(super) const VERSIONS: &str = "versions";
pub(super) const ABOUT: &str = "about";
pub(super) const CURRENT: &str = "current";
