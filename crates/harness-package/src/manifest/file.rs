//! The manifest as text: YAML from its author, JSON in an archive, the same fields in both.
//!
//! Owns: the fields and the errors with their places. Values check themselves while they are read, so the reader of the
//! text knows the line; what concerns several fields is told by the field's path.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::types::{
    About, Content, Entry, Health, MANIFEST_NAME, Manifest, Mode, PackageName, Pick, Program,
};
use crate::digest::Digest;
use crate::path::{Clash, EntryPath, LinkFault, LinkTarget, Seen};

/// What its author says of a package: the manifest before the files are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// All but the files.
    pub about: About,
    /// The files to take; `None` for everything in the directory.
    pub picks: Option<Vec<Pick>>,
}

/// Why a manifest cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The text is not a manifest.
    #[error("line {line}, column {column}: {message}")]
    Text {
        /// Where, from one.
        line: u64,
        /// Where in the line, from one.
        column: u64,
        /// What is wrong there.
        message: String,
    },
    /// A manifest of a later program.
    #[error("`format`: this is format {found}, and {FORMAT} is the only one known")]
    Format {
        /// What the manifest says.
        found: u32,
    },
    /// A field that an archive's manifest must have.
    #[error("`{place}` is missing")]
    Missing {
        /// The field.
        place: String,
    },
    /// Fields that exclude each other.
    #[error("`{place}`: a link has neither mode nor size nor sha256")]
    LinkMeasured {
        /// The entry.
        place: String,
    },
    /// A link that may not be.
    #[error("`{place}`")]
    Link {
        /// The entry.
        place: String,
        /// Why.
        #[source]
        source: LinkFault,
    },
    /// Two entries that cannot stand beside each other.
    #[error("`{place}`")]
    Clash {
        /// The later entry.
        place: String,
        /// Why.
        #[source]
        source: Clash,
    },
    /// An entry at the manifest's own place.
    #[error("`{place}`: `{MANIFEST_NAME}` is the manifest's own")]
    Reserved {
        /// The entry.
        place: String,
    },
    /// The binary or the setup script is no file of the package.
    #[error("`{place}`: `{path}` is not among the files")]
    NotPacked {
        /// The field.
        place: &'static str,
        /// What it names.
        path: EntryPath,
    },
    /// The binary or the setup script cannot be executed.
    #[error("`{place}`: `{path}` is not executable")]
    NotExecutable {
        /// The field.
        place: &'static str,
        /// What it names.
        path: EntryPath,
    },
    /// A variable whose name or value no environment can hold.
    #[error("`environment.{name}`: a name holds no `=`, neither a zero byte, and is not empty")]
    Variable {
        /// The variable.
        name: String,
    },
    /// A dependency named twice.
    #[error("`dependencies[{index}]`: `{name}` is named twice")]
    DependsTwice {
        /// Which of them.
        index: usize,
        /// The service.
        name: PackageName,
    },
}

impl ManifestError {
    /// The place is told once: the readers of both languages say it again at the end of their messages.
    fn text(line: u64, column: u64, said: &str, again: &str) -> Self {
        let message = said.strip_suffix(again).unwrap_or(said).to_owned();
        Self::Text {
            line,
            column,
            message,
        }
    }
}

impl Recipe {
    /// Reads what an author wrote.
    ///
    /// # Errors
    /// [`ManifestError`] with the line, or with the field.
    pub fn from_yaml(text: &str) -> Result<Self, ManifestError> {
        let file: File = serde_yaml::from_str(text).map_err(|error| {
            let place = error.location();
            let (line, column) = place.map_or((1, 1), |place| (place.line(), place.column()));
            let said = error.without_snippet().to_string();
            ManifestError::text(
                line,
                column,
                &said,
                &format!(" at line {line}, column {column}"),
            )
        })?;
        let (about, entries) = file.split()?;
        let picks = entries.map(|entries| {
            entries
                .into_iter()
                .map(|entry| Pick {
                    path: entry.path,
                    mode: entry.mode,
                    size: entry.size,
                    sha256: entry.sha256,
                    link: entry.link,
                })
                .collect()
        });
        Ok(Self { about, picks })
    }
}

impl Manifest {
    /// Joins what an author said with what was measured.
    ///
    /// # Errors
    /// [`ManifestError`] with the field.
    pub fn new(about: About, mut entries: Vec<Entry>) -> Result<Self, ManifestError> {
        check(&entries)?;
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        check_program("service.binary", &about.service.binary, &entries)?;
        if let Some(setup) = &about.setup {
            check_program("setup", setup, &entries)?;
        }
        Ok(Self { about, entries })
    }

    /// Reads the manifest of an archive.
    ///
    /// # Errors
    /// [`ManifestError`] with the line, or with the field.
    pub fn from_json(text: &[u8]) -> Result<Self, ManifestError> {
        let file = File::from_json(text)?;
        let missing = |place: String| ManifestError::Missing { place };
        file.format.ok_or_else(|| missing("format".into()))?;
        let (about, entries) = file.split()?;
        let entries = entries
            .ok_or_else(|| missing("files".into()))?
            .into_iter()
            .enumerate()
            .map(|(index, entry)| entry.measured(index))
            .collect::<Result<_, _>>()?;
        Self::new(about, entries)
    }

    /// Writes the manifest as it stands in an archive: the same bytes for the same manifest.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let file = File {
            files: Some(self.entries.iter().map(EntryFile::from).collect()),
            ..File::without_files(&self.about)
        };
        let mut text = serde_json::to_vec_pretty(&file).expect("no map has a key that is no text");
        text.push(b'\n');
        text
    }
}

impl About {
    /// A manifest without its files, on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&File::without_files(self)).expect("no map has a key that is no text")
    }

    /// What [`About::to_json`] has written.
    ///
    /// # Errors
    /// [`ManifestError`] with the line, or with the field.
    pub fn from_json(text: &str) -> Result<Self, ManifestError> {
        File::from_json(text.as_bytes())?
            .split()
            .map(|(about, _)| about)
    }
}

fn check(entries: &[Entry]) -> Result<(), ManifestError> {
    let mut seen = Seen::default();
    for (index, entry) in entries.iter().enumerate() {
        let place = || format!("files[{index}].path");
        if entry.path.as_str().eq_ignore_ascii_case(MANIFEST_NAME) {
            return Err(ManifestError::Reserved { place: place() });
        }
        let is_link = matches!(entry.content, Content::Link { .. });
        seen.add(&entry.path, is_link)
            .map_err(|source| ManifestError::Clash {
                place: place(),
                source,
            })?;
    }
    Ok(())
}

fn check_program(
    place: &'static str,
    path: &EntryPath,
    entries: &[Entry],
) -> Result<(), ManifestError> {
    let path = path.clone();
    let Ok(at) = entries.binary_search_by(|entry| entry.path.cmp(&path)) else {
        return Err(ManifestError::NotPacked { place, path });
    };
    match &entries[at].content {
        Content::File { mode, .. } if !mode.is_executable() => {
            Err(ManifestError::NotExecutable { place, path })
        }
        Content::File { .. } | Content::Link { .. } => Ok(()),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<u32>,
    name: PackageName,
    version: Version,
    service: ProgramFile,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    setup: Option<EntryPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    health: Option<HealthFile>,
    #[serde(default)]
    dependencies: Vec<PackageName>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Vec<EntryFile>>,
}

impl File {
    fn from_json(text: &[u8]) -> Result<Self, ManifestError> {
        serde_json::from_slice(text).map_err(|error| {
            let (line, column) = (error.line() as u64, error.column() as u64);
            let again = format!(" at line {line} column {column}");
            ManifestError::text(line, column, &error.to_string(), &again)
        })
    }

    fn without_files(about: &About) -> Self {
        Self {
            format: Some(FORMAT),
            name: about.name.clone(),
            version: about.version.clone(),
            service: ProgramFile {
                binary: about.service.binary.clone(),
                args: about.service.args.clone(),
            },
            setup: about.setup.clone(),
            health: about.health.as_ref().map(HealthFile::from),
            dependencies: about.dependencies.clone(),
            environment: about.environment.clone(),
            files: None,
        }
    }

    fn split(self) -> Result<(About, Option<Vec<EntryFile>>), ManifestError> {
        match self.format {
            None | Some(FORMAT) => {}
            Some(found) => return Err(ManifestError::Format { found }),
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(ManifestError::Variable { name: name.clone() });
            }
        }
        let mut named = BTreeSet::new();
        for (index, name) in self.dependencies.iter().enumerate() {
            if !named.insert(name) {
                let name = name.clone();
                return Err(ManifestError::DependsTwice { index, name });
            }
        }
        let about = About {
            name: self.name,
            version: self.version,
            service: Program {
                binary: self.service.binary,
                args: self.service.args,
            },
            setup: self.setup,
            health: self.health.map(Health::from),
            dependencies: self.dependencies,
            environment: self.environment,
        };
        Ok((about, self.files))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramFile {
    binary: EntryPath,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthFile {
    command: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default = "HealthFile::interval")]
    interval: Span,
    #[serde(default = "HealthFile::timeout")]
    timeout: Span,
    #[serde(default = "HealthFile::retries")]
    retries: u32,
}

/// What Compose takes for a check that does not say.
impl HealthFile {
    fn interval() -> Span {
        Span(Duration::from_secs(30))
    }

    fn timeout() -> Span {
        Span(Duration::from_secs(30))
    }

    fn retries() -> u32 {
        3
    }
}

impl From<HealthFile> for Health {
    fn from(file: HealthFile) -> Self {
        Self {
            command: file.command,
            args: file.args,
            interval: file.interval.0,
            timeout: file.timeout.0,
            retries: file.retries,
        }
    }
}

impl From<&Health> for HealthFile {
    fn from(health: &Health) -> Self {
        Self {
            command: health.command.clone(),
            args: health.args.clone(),
            interval: Span(health.interval),
            timeout: Span(health.timeout),
            retries: health.retries,
        }
    }
}

/// A time: a number of seconds, or text such as `1m30s`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let seconds = text.parse::<u32>().ok();
        seconds
            .map(|seconds| Duration::from_secs(u64::from(seconds)))
            .map_or_else(|| humantime::parse_duration(&text), Ok)
            .map(Self)
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        humantime::format_duration(span.0).to_string()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    path: EntryPath,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl EntryFile {
    fn measured(self, index: usize) -> Result<Entry, ManifestError> {
        let missing = |field| ManifestError::Missing {
            place: format!("files[{index}].{field}"),
        };
        let content = match self.link {
            Some(_) if self.mode.is_some() || self.size.is_some() || self.sha256.is_some() => {
                let place = format!("files[{index}]");
                return Err(ManifestError::LinkMeasured { place });
            }
            Some(target) => Content::Link {
                target: LinkTarget::parse(&self.path, target.as_bytes()).map_err(|source| {
                    let place = format!("files[{index}].link");
                    ManifestError::Link { place, source }
                })?,
            },
            None => Content::File {
                mode: self.mode.ok_or_else(|| missing("mode"))?,
                size: self.size.ok_or_else(|| missing("size"))?,
                sha256: self.sha256.ok_or_else(|| missing("sha256"))?,
            },
        };
        let path = self.path;
        Ok(Entry { path, content })
    }
}

impl From<&Entry> for EntryFile {
    fn from(entry: &Entry) -> Self {
        let path = entry.path.clone();
        let (mode, size, sha256, link) = match &entry.content {
            Content::File { mode, size, sha256 } => (Some(*mode), Some(*size), Some(*sha256), None),
            Content::Link { target } => (None, None, None, Some(target.as_str().to_owned())),
        };
        Self {
            path,
            mode,
            size,
            sha256,
            link,
        }
    }
}

/// The one format of manifests so far.
const FORMAT: u32 = 1;
