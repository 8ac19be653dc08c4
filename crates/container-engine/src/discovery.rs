//! Which engine is meant, when nobody says so.
//!
//! Owns: the order in which variables, docker's contexts and the usual sockets are looked at. Reads a few small files,
//! connects to nothing. The environment comes as data; only [`Discovery::from_env`] reads the process's own.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::address::{Flavour, Way};
use crate::error::EngineError;

/// What the choice of an engine depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_CONFIG`, `DOCKER_TLS_VERIFY`, `CONTAINER_HOST` and `XDG_RUNTIME_DIR`; others are ignored.
    pub variables: BTreeMap<String, String>,
    /// Where `.docker/config.json` lies.
    pub home: Option<PathBuf>,
    /// Below what the sockets of the system lie: `/`, but for tests.
    pub root: PathBuf,
}

impl Default for Discovery {
    /// No variable and no home: the sockets of the system.
    fn default() -> Self {
        Self {
            variables: BTreeMap::new(),
            home: None,
            root: PathBuf::from("/"),
        }
    }
}

impl Discovery {
    /// From the environment of this process. For programs: libraries hand down what they were given.
    #[must_use]
    pub fn from_env() -> Self {
        let variables = NAMES.iter().filter_map(|name| {
            let value = std::env::var(name).ok()?;
            Some(((*name).to_owned(), value))
        });
        Self {
            variables: variables.collect(),
            home: std::env::var_os("HOME").map(PathBuf::from),
            ..Self::default()
        }
    }

    /// The first that is configured, else the first socket that is there.
    pub(crate) fn choose(&self) -> Result<Way, EngineError> {
        let variable = |name: &str| {
            let value = self.variables.get(name).map(String::as_str);
            value.filter(|value| !value.is_empty())
        };
        if let Some(host) = variable("DOCKER_HOST") {
            if variable("DOCKER_TLS_VERIFY").is_some() && host.starts_with("tcp:") {
                return Err(EngineError::Address {
                    address: "tcp://…".to_owned(),
                    origin: "DOCKER_HOST".to_owned(),
                    reason: "DOCKER_TLS_VERIFY asks for TLS, which is not spoken: use ssh://USER@HOST",
                });
            }
            return Way::parse(host, "DOCKER_HOST", Flavour::Docker);
        }
        let config = match (variable("DOCKER_CONFIG"), &self.home) {
            (Some(directory), _) => Some(PathBuf::from(directory)),
            (None, Some(home)) => Some(home.join(".docker")),
            (None, None) => None,
        };
        let chosen = match (variable("DOCKER_CONTEXT"), &config) {
            (Some(name), _) => Some((name.to_owned(), "DOCKER_CONTEXT".to_owned())),
            (None, Some(directory)) => current_context(&directory.join("config.json"))?,
            (None, None) => None,
        };
        if let (Some((name, origin)), Some(directory)) = (chosen, &config)
            && name != "default"
        {
            return context(&name, &origin, &directory.join("contexts/meta"));
        }
        if let Some(host) = variable("CONTAINER_HOST") {
            return Way::parse(host, "CONTAINER_HOST", Flavour::Podman);
        }
        self.socket(variable("XDG_RUNTIME_DIR").map(Path::new))
    }

    fn socket(&self, runtime: Option<&Path>) -> Result<Way, EngineError> {
        let mut tried = vec![self.root.join("var/run/docker.sock")];
        tried.extend(runtime.map(|runtime| runtime.join("docker.sock")));
        // Docker Desktop and rootless installations without a context.
        let home = self.home.as_deref();
        tried.extend(home.map(|home| home.join(".docker/run/docker.sock")));
        tried.extend(runtime.map(|runtime| runtime.join("podman/podman.sock")));
        tried.push(self.root.join("run/podman/podman.sock"));
        let is_socket =
            |path: &&PathBuf| fs::metadata(path).is_ok_and(|file| file.file_type().is_socket());
        match tried.iter().find(is_socket) {
            Some(path) => Ok(Way::socket(path)),
            None => Err(EngineError::NoEngine { tried }),
        }
    }
}

/// The context of docker's configuration, and the file that says so.
fn current_context(file: &Path) -> Result<Option<(String, String)>, EngineError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        #[serde(default)]
        current_context: String,
    }
    let origin = file.display().to_string();
    let unreadable = |reason: String| EngineError::Context {
        context: "default".to_owned(),
        origin: origin.clone(),
        reason,
    };
    let Some(text) = small_file(file).map_err(|error| unreadable(error.to_string()))? else {
        return Ok(None);
    };
    let config: Config =
        serde_json::from_slice(&text).map_err(|error| unreadable(position(&error)))?;
    let name = config.current_context;
    Ok((!name.is_empty()).then_some((name, origin)))
}

/// The engine of a context. Their directories are named by hashes: the name stands in the file.
fn context(name: &str, origin: &str, directory: &Path) -> Result<Way, EngineError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Meta {
        name: String,
        #[serde(default)]
        endpoints: BTreeMap<String, Endpoint>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Endpoint {
        #[serde(default)]
        host: String,
    }
    let unusable = |reason: String| EngineError::Context {
        context: name.to_owned(),
        origin: origin.to_owned(),
        reason,
    };
    let entries = fs::read_dir(directory)
        .map_err(|error| unusable(format!("{}: {error}", directory.display())))?;
    for entry in entries.take(MAX_CONTEXTS).flatten() {
        let file = entry.path().join("meta.json");
        // One that cannot be read is another's, as far as anybody knows.
        let Ok(Some(text)) = small_file(&file) else {
            continue;
        };
        let Ok(meta) = serde_json::from_slice::<Meta>(&text) else {
            continue;
        };
        if meta.name != name {
            continue;
        }
        let host = meta
            .endpoints
            .get("docker")
            .map(|endpoint| endpoint.host.as_str())
            .filter(|host| !host.is_empty())
            .ok_or_else(|| unusable("it names no docker engine".to_owned()))?;
        let place = format!("docker context `{name}`");
        return Way::parse(host, &place, Flavour::Docker);
    }
    Err(unusable(format!(
        "there is none of that name below {}",
        directory.display()
    )))
}

/// A file, if it is there.
fn small_file(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut text)?;
    Ok(Some(text))
}

/// Where a text stops being JSON. The configuration may hold passwords: nothing of it is shown.
fn position(error: &serde_json::Error) -> String {
    format!(
        "it is no JSON at line {}, column {}",
        error.line(),
        error.column()
    )
}

const NAMES: [&str; 6] = [
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_TLS_VERIFY",
    "CONTAINER_HOST",
    "XDG_RUNTIME_DIR",
];

/// Far above what anybody has.
const MAX_CONTEXTS: usize = 1000;

/// Likewise; a larger file is cut, and then no JSON.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
