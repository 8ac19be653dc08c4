//! What a stack is read from.
//!
//! Owns: the list of files, the environment as the caller knows it, profiles and names. Nothing here looks at the
//! environment of the process by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use service_orchestration::spec::{StackSources, TargetKind};

/// The names of the stack file that [`discover`] looks for, the first wins.
pub const FILE_NAMES: [&str; 3] = ["harness.yaml", "services.yaml", "services.yml"];

/// Everything that one load reads from: files in the order in which they are laid over each other, the environment of
/// whoever asks, environment files, profiles.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub(crate) inputs: Vec<Input>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) env_files: Vec<PathBuf>,
    pub(crate) project: Option<String>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) profiles: Vec<String>,
    pub(crate) wanted: BTreeSet<String>,
    pub(crate) implementations: BTreeSet<String>,
    pub(crate) runnable: BTreeSet<TargetKind>,
    pub(crate) hosts: Option<BTreeSet<String>>,
    pub(crate) is_here: bool,
}

/// One stack file.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    Path(PathBuf),
    Text { name: String, text: String },
}

impl Sources {
    /// No file, an empty environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// This file, laid over those before it.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.inputs.push(Input::Path(path.into()));
        self
    }

    /// This text, laid over what is before it; `name` stands for it in messages (`<stdin>`).
    pub fn text(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.inputs.push(Input::Text {
            name: name.into(),
            text: text.into(),
        });
        self
    }

    /// The environment of whoever asks. It wins over every environment file.
    pub fn environment(mut self, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment.extend(environment);
        self
    }

    /// One variable of that environment.
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// An environment file (`--env-file`): it must exist, later ones win, and `.env` is not read then.
    pub fn env_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.env_files.push(path.into());
        self
    }

    /// The stack's name, whatever the file says.
    pub fn project(mut self, name: impl Into<String>) -> Self {
        self.project = Some(name.into());
        self
    }

    /// What relative paths are relative to, for text; else the directory of the first file.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Makes this profile active; `*` makes all active.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profiles.push(profile.into());
        self
    }

    /// Keeps this unit, whatever its profiles.
    pub fn wanted(mut self, unit: impl Into<String>) -> Self {
        self.wanted.insert(unit.into());
        self
    }

    /// Says that this `service_type` or `task_type` has an implementation here.
    pub fn implementation(mut self, type_name: impl Into<String>) -> Self {
        self.implementations.insert(type_name.into());
        self
    }

    /// Says that targets of this type can be run here, besides processes.
    pub fn runs(mut self, kind: TargetKind) -> Self {
        self.runnable.insert(kind);
        self
    }

    /// Says which other machines there are, by name and by address. A service on another one cannot be run then; unless it
    /// is said, nothing is known of any.
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts = Some(hosts.into_iter().collect());
        self
    }

    /// Says that the stack runs on the machine that it is read on: what images are built from must be there.
    pub fn here(mut self) -> Self {
        self.is_here = true;
        self
    }

    /// What the stack is read from again.
    pub(crate) fn stack_sources(&self) -> StackSources {
        let path = |input: &Input| match input {
            Input::Path(path) => path.clone(),
            Input::Text { name, .. } => PathBuf::from(name),
        };
        StackSources {
            files: self.inputs.iter().map(path).collect(),
            env_files: self.env_files.clone(),
        }
    }

    /// The directory of the stack: what was said, else that of the first file, else the current one.
    pub(crate) fn stack_directory(&self) -> PathBuf {
        if let Some(directory) = &self.directory {
            return absolute(directory);
        }
        let first = self.inputs.iter().find_map(|input| match input {
            Input::Path(path) => Some(path),
            Input::Text { .. } => None,
        });
        let parent = first
            .and_then(|path| path.parent())
            .unwrap_or(Path::new(""));
        absolute(parent)
    }
}

/// The stack file of a directory or of the nearest one above it; where a directory has none, its Compose file.
pub fn discover(start: &Path) -> Option<PathBuf> {
    let start = absolute(start);
    let names = FILE_NAMES.iter().chain(&crate::compose::COMPOSE_FILE_NAMES);
    start.ancestors().find_map(|directory| {
        let mut files = names.clone().map(|name| directory.join(name));
        files.find(|file| file.is_file())
    })
}

/// The file beside a stack file that is laid over it where nobody says otherwise: `harness.override.yaml` for
/// `harness.yaml`. Meant for what one person or machine wants different.
pub fn override_of(file: &Path) -> Option<PathBuf> {
    let stem = file.file_stem()?.to_str()?;
    let mut candidates = ["yaml", "yml"]
        .into_iter()
        .map(|extension| file.with_file_name(format!("{stem}.override.{extension}")));
    candidates.find(|candidate| candidate.is_file())
}

/// The text of a file that is no larger than a stack file may be.
///
/// # Errors
/// As for reading a file; `InvalidData` when it is too large or no UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let limit = crate::yaml::MAX_TEXT_BYTES as u64;
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a directory",
        ));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is larger than 1 MiB",
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("line {line} is not UTF-8"),
        )
    })
}

fn absolute(path: &Path) -> PathBuf {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}
