//! Makes an archive of a directory.
//!
//! Owns: what of a directory goes into a package, and that it comes out the same byte for byte each time. What it makes is
//! gone through as a stranger's would be, so that whatever is built can be unpacked.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode as Bits, OFlags};

use super::refusal::{Limits, Refusal};
use super::scan::{NoSink, ScanError, scan};
use super::write::Writer;
use crate::digest::{Counted, Digest};
use crate::manifest::{Content, Entry, MANIFEST_NAME, Manifest, ManifestError, Mode, Pick, Recipe};
use crate::path::{EntryPath, LinkFault, LinkTarget, PathFault};

/// An archive that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// What is in it.
    pub manifest: Manifest,
    /// The SHA-256 of the whole archive.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Why no archive could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Something in the directory could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The archive could not be written, or read again.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    /// A name that no package can hold.
    #[error("{} cannot be packed", path.display())]
    Path {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        source: PathFault,
    },
    /// A link that leads out of the directory, or may do so.
    #[error("the link `{path}` cannot be packed")]
    Link {
        /// Where it is.
        path: EntryPath,
        /// Why.
        #[source]
        source: LinkFault,
    },
    /// Neither a file nor a directory nor a link.
    #[error("`{path}` is neither a file nor a directory nor a link")]
    Special {
        /// Where it is.
        path: EntryPath,
    },
    /// A file that would run as its owner or group.
    #[error("`{path}` is setuid or setgid")]
    SetId {
        /// Where it is.
        path: EntryPath,
    },
    /// A directory with nothing in it, which no package can hold.
    #[error("the directory `{path}` is empty; a package holds files only")]
    EmptyDirectory {
        /// Where it is.
        path: EntryPath,
    },
    /// It is not what the recipe says.
    #[error("`{path}` has not the {what} that the manifest says")]
    Differs {
        /// Where it is.
        path: EntryPath,
        /// What of it.
        what: &'static str,
    },
    /// It changed while it was packed.
    #[error("`{path}` changed while it was packed")]
    Changed {
        /// Where it is.
        path: EntryPath,
    },
    /// The manifest does not fit what is there.
    #[error("the manifest does not fit the directory")]
    Manifest(#[source] ManifestError),
    /// It was made, and would be refused.
    #[error("such a package would be refused")]
    Refused(#[source] Refusal),
}

/// Packs `directory` by `recipe` into `out`, which must be empty and open for reading too.
///
/// Everything in the directory is taken unless the recipe lists files; a `package.yaml` at its top, where the recipe
/// stands, is left out unless it is listed. Files are `0755` where their owner may execute them and `0644` else, so that
/// nobody's umask shows in the bytes. The same files give the same archive with the same build of this crate.
///
/// # Errors
/// [`BuildError`]; `out` then holds something unfinished.
pub fn build(directory: &Path, recipe: &Recipe, out: &mut File) -> Result<Built, BuildError> {
    let entries = match &recipe.picks {
        Some(picks) => picks
            .iter()
            .map(|pick| picked(directory, pick))
            .collect::<Result<_, _>>()?,
        None => everything(directory)?,
    };
    let manifest = Manifest::new(recipe.about.clone(), entries).map_err(BuildError::Manifest)?;
    let (sha256, size) = write(directory, &manifest, out)?;
    out.rewind().map_err(BuildError::Write)?;
    match scan(BufReader::new(&*out), size, &Limits::default(), &mut NoSink) {
        Ok(manifest) => Ok(Built {
            manifest,
            sha256,
            size,
        }),
        // A file that changed between its two readings, to another content of the same length.
        Err(ScanError::Refused(Refusal::WrongHash { path })) => Err(BuildError::Changed { path }),
        Err(ScanError::Refused(refusal)) => Err(BuildError::Refused(refusal)),
        Err(ScanError::Read(error) | ScanError::Sink(error)) => Err(BuildError::Write(error)),
    }
}

fn write(
    directory: &Path,
    manifest: &Manifest,
    out: &mut File,
) -> Result<(Digest, u64), BuildError> {
    let mut writer = Writer::new(Counted::new(BufWriter::new(out)));
    let text = manifest.to_json();
    writer
        .file(MANIFEST_NAME, 0o644, text.len() as u64, text.as_slice())
        .map_err(BuildError::Write)?;
    for Entry { path, content } in manifest.entries() {
        match content {
            Content::File { mode, size, .. } => {
                let file = open(&directory.join(path.as_str()))?;
                let written = writer
                    .file(path.as_str(), mode.bits(), *size, file)
                    .map_err(BuildError::Write)?;
                if written != *size {
                    return Err(BuildError::Changed { path: path.clone() });
                }
            }
            Content::Link { target } => writer
                .link(path.as_str(), target.as_str())
                .map_err(BuildError::Write)?,
        }
    }
    let mut counted = writer.end().map_err(BuildError::Write)?;
    counted.flush().map_err(BuildError::Write)?;
    Ok(counted.end())
}

/// All files and links below, in any order.
fn everything(directory: &Path) -> Result<Vec<Entry>, BuildError> {
    let mut entries = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(inner) = open.pop() {
        let read = |source| BuildError::Read {
            path: inner.clone(),
            source,
        };
        let mut is_empty = true;
        for child in fs::read_dir(&inner).map_err(read)? {
            let child = child.map_err(read)?;
            is_empty = false;
            let at = child.path();
            let path = inside(directory, &at)?;
            if path.as_str() == RECIPE_NAME {
                continue;
            }
            if child.file_type().map_err(read)?.is_dir() {
                open.push(at);
            } else {
                entries.push(measured(&at, path, None)?);
            }
        }
        if is_empty && inner != directory {
            let path = inside(directory, &inner)?;
            return Err(BuildError::EmptyDirectory { path });
        }
    }
    Ok(entries)
}

fn inside(directory: &Path, at: &Path) -> Result<EntryPath, BuildError> {
    let inner = at.strip_prefix(directory).unwrap_or(at);
    EntryPath::parse(inner.as_os_str().as_bytes()).map_err(|source| BuildError::Path {
        path: at.to_owned(),
        source,
    })
}

/// One listed file, which must be what the list says.
fn picked(directory: &Path, pick: &Pick) -> Result<Entry, BuildError> {
    let at = directory.join(pick.path.as_str());
    let entry = measured(&at, pick.path.clone(), pick.mode)?;
    let differs = |what| BuildError::Differs {
        path: pick.path.clone(),
        what,
    };
    match &entry.content {
        Content::File { size, sha256, .. } => {
            if pick.size.is_some_and(|expected| expected != *size) {
                return Err(differs("size"));
            }
            if pick.sha256.is_some_and(|expected| expected != *sha256) {
                return Err(differs("sha256"));
            }
            if pick.link.is_some() {
                return Err(differs("type"));
            }
        }
        Content::Link { target } => {
            if pick.mode.is_some() || pick.size.is_some() || pick.sha256.is_some() {
                return Err(differs("type"));
            }
            if pick
                .link
                .as_ref()
                .is_some_and(|link| link != target.as_str())
            {
                return Err(differs("target"));
            }
        }
    }
    Ok(entry)
}

fn measured(at: &Path, path: EntryPath, mode: Option<Mode>) -> Result<Entry, BuildError> {
    let read = |source| BuildError::Read {
        path: at.to_owned(),
        source,
    };
    let metadata = fs::symlink_metadata(at).map_err(read)?;
    if metadata.is_symlink() {
        let target = fs::read_link(at).map_err(read)?;
        return match LinkTarget::parse(&path, target.as_os_str().as_bytes()) {
            Ok(target) => {
                let content = Content::Link { target };
                Ok(Entry { path, content })
            }
            Err(source) => Err(BuildError::Link { path, source }),
        };
    }
    if !metadata.is_file() {
        return Err(BuildError::Special { path });
    }
    if metadata.mode() & 0o6000 != 0 {
        return Err(BuildError::SetId { path });
    }
    let mut counted = Counted::new(open(at)?);
    io::copy(&mut counted, &mut io::sink()).map_err(read)?;
    let (sha256, size) = counted.end();
    let mode = mode.unwrap_or(if metadata.permissions().mode() & 0o100 == 0 {
        Mode::PLAIN
    } else {
        Mode::EXECUTABLE
    });
    let content = Content::File { mode, size, sha256 };
    Ok(Entry { path, content })
}

/// Opens a file, never what a link leads to, and never waits for a FIFO that took its place.
fn open(at: &Path) -> Result<File, BuildError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(at, flags, Bits::empty())
        .map(File::from)
        .map_err(|source| BuildError::Read {
            path: at.to_owned(),
            source: source.into(),
        })
}

/// Where an author's manifest stands in a directory.
const RECIPE_NAME: &str = "package.yaml";
