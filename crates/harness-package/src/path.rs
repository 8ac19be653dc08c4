//! Paths inside a package.
//!
//! Owns: which bytes may be a path, where a link may lead, and which paths cannot stand beside each other. Never looks at a
//! file system: what holds here holds on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest path of an entry, and the longest target of a link: what Linux takes in one call.
pub const MAX_PATH_BYTES: usize = 4096;

/// The longest name between two slashes that usual file systems keep.
const MAX_NAME_BYTES: usize = 255;

/// A path inside a package: relative, plain (`a/b`, no `.`, no `..`, no empty part), in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryPath(String);

/// Why bytes are no path of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// Nothing at all.
    #[error("the path is empty")]
    Empty,
    /// More than [`MAX_PATH_BYTES`].
    #[error("the path is longer than 4096 bytes")]
    TooLong,
    /// A part of more than 255 bytes.
    #[error("a part of the path is longer than 255 bytes")]
    PartTooLong,
    /// A zero byte.
    #[error("the path holds a zero byte")]
    Nul,
    /// Not UTF-8.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// A backslash, which is a separator elsewhere.
    #[error("the path holds a backslash")]
    Backslash,
    /// It begins with `/`.
    #[error("the path is absolute")]
    Absolute,
    /// A part `..`.
    #[error("the path holds `..`")]
    Parent,
    /// Nothing but `.` and slashes.
    #[error("the path is only `.`")]
    OnlyDot,
    /// A part `.`, an empty part, or a slash at the end.
    #[error("the path is not plain: it holds `.`, `//` or ends in `/`")]
    NotPlain,
}

impl EntryPath {
    /// Reads the path of an entry.
    ///
    /// # Errors
    /// [`PathFault`]: the first rule that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Self, PathFault> {
        let text = text(bytes)?;
        if text.starts_with('/') {
            return Err(PathFault::Absolute);
        }
        let parts = || text.split('/');
        if parts().any(|part| part == "..") {
            return Err(PathFault::Parent);
        }
        if parts().all(|part| part.is_empty() || part == ".") {
            return Err(PathFault::OnlyDot);
        }
        if parts().any(|part| part.is_empty() || part == ".") {
            return Err(PathFault::NotPlain);
        }
        if parts().any(|part| part.len() > MAX_NAME_BYTES) {
            return Err(PathFault::PartTooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories above, outermost first: `a`, `a/b` for `a/b/c`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// How many directories are above.
    fn depth(&self) -> usize {
        self.0.matches('/').count()
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for EntryPath {
    type Error = PathFault;

    fn try_from(text: String) -> Result<Self, PathFault> {
        Self::parse(text.as_bytes())
    }
}

impl From<EntryPath> for String {
    fn from(path: EntryPath) -> Self {
        path.0
    }
}

/// Where a symbolic link leads: relative, and inside the package whatever else the package holds.
///
/// `..` may stand at the beginning only. After a name it would count from where that name leads, which may be a link
/// again; so what is inside by its letters could be outside when it is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTarget(String);

/// Why a link may not lead where it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkFault {
    /// The target is no path that can be kept.
    #[error("its target cannot be taken")]
    Path(#[source] PathFault),
    /// The target is absolute, climbs out of the package, or has `..` after a name.
    #[error("it leads out of the package, or may do so")]
    Leaves,
}

impl LinkTarget {
    /// Reads the target of the link that stands at `at`.
    ///
    /// # Errors
    /// [`LinkFault::Leaves`] when following it could end outside of the package.
    pub fn parse(at: &EntryPath, bytes: &[u8]) -> Result<Self, LinkFault> {
        let text = text(bytes).map_err(LinkFault::Path)?;
        if text.starts_with('/') {
            return Err(LinkFault::Leaves);
        }
        let up = text.split('/').take_while(|part| *part == "..").count();
        let mut down = text.split('/').skip(up);
        if up > at.depth() || down.clone().any(|part| part == "..") {
            return Err(LinkFault::Leaves);
        }
        if down.any(|part| part.is_empty() || part == ".") {
            return Err(LinkFault::Path(PathFault::NotPlain));
        }
        Ok(Self(text.to_owned()))
    }

    /// The target as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What holds for paths and for targets of links.
fn text(bytes: &[u8]) -> Result<&str, PathFault> {
    if bytes.is_empty() {
        return Err(PathFault::Empty);
    }
    if bytes.len() > MAX_PATH_BYTES {
        return Err(PathFault::TooLong);
    }
    if bytes.contains(&0) {
        return Err(PathFault::Nul);
    }
    let text = str::from_utf8(bytes).map_err(|_| PathFault::NotUtf8)?;
    if text.contains('\\') {
        return Err(PathFault::Backslash);
    }
    Ok(text)
}

/// The paths seen so far, as a file system that ignores case would see them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    entries: BTreeMap<String, EntryIs>,
    directories: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EntryIs {
    File,
    Link,
}

/// Why a path cannot stand beside those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Clash {
    /// The same path came before, perhaps in another case.
    #[error("the path came before, perhaps in other letters or spelled with `.`")]
    Duplicate,
    /// A directory above it is a symbolic link of this package.
    #[error("a symbolic link of the package is its parent")]
    BelowLink,
    /// A directory above it is a file of this package.
    #[error("a file of the package is its parent")]
    BelowFile,
}

impl Seen {
    /// Notes one more entry.
    pub(crate) fn add(&mut self, path: &EntryPath, is_link: bool) -> Result<(), Clash> {
        let key = fold(path.as_str());
        for (end, _) in key.match_indices('/') {
            match self.entries.get(&key[..end]) {
                Some(EntryIs::Link) => return Err(Clash::BelowLink),
                Some(EntryIs::File) => return Err(Clash::BelowFile),
                None => {}
            }
        }
        if self.entries.contains_key(&key) {
            return Err(Clash::Duplicate);
        }
        if self.directories.contains(&key) {
            return Err(if is_link {
                Clash::BelowLink
            } else {
                Clash::BelowFile
            });
        }
        let above: Vec<String> = key
            .match_indices('/')
            .map(|(end, _)| key[..end].to_owned())
            .collect();
        self.directories.extend(above);
        let entry = if is_link {
            EntryIs::Link
        } else {
            EntryIs::File
        };
        self.entries.insert(key, entry);
        Ok(())
    }

    /// Whether the bytes are another spelling (`./a`, `a//b`) of a path that came before.
    pub(crate) fn knows_spelling(&self, bytes: &[u8]) -> bool {
        let Ok(text) = str::from_utf8(bytes) else {
            return false;
        };
        let plain: Vec<&str> = text
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        self.entries.contains_key(&fold(&plain.join("/")))
    }
}

/// Letters as they compare where case is ignored. Through upper case first: `ß` and `SS`, `ſ` and `s` meet there.
fn fold(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(at: &str, target: &str) -> Result<LinkTarget, LinkFault> {
        LinkTarget::parse(&EntryPath::parse(at.as_bytes()).unwrap(), target.as_bytes())
    }

    #[test]
    fn a_link_may_climb_as_far_as_the_package_goes() {
        assert!(link("a/b/link", "../../c").is_ok());
        assert!(link("a/b/link", "../..").is_ok());
        assert_eq!(link("a/b/link", "../../../c"), Err(LinkFault::Leaves));
        assert_eq!(link("link", ".."), Err(LinkFault::Leaves));
    }

    #[test]
    fn a_link_may_not_climb_after_a_name_as_that_may_be_a_link() {
        assert_eq!(link("a/b/link", "up/../x"), Err(LinkFault::Leaves));
    }

    #[test]
    fn letters_that_meet_without_case_are_one_path() {
        for (one, other) in [("Read", "rEAD"), ("straße", "STRASSE"), ("ſ", "S")] {
            let mut seen = Seen::default();
            seen.add(&EntryPath::parse(one.as_bytes()).unwrap(), false)
                .unwrap();
            assert_eq!(
                seen.add(&EntryPath::parse(other.as_bytes()).unwrap(), false),
                Err(Clash::Duplicate)
            );
        }
    }
}
