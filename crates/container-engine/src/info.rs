//! What an engine is.
//!
//! Owns: the types, and telling docker from podman: others ask what an engine can, not what it is called.

use serde::Deserialize;

use crate::call::Call;
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::json::null_is_default;
use crate::target::Target;
use crate::version::ApiVersion;

/// An engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// What both sides speak.
    pub api_version: ApiVersion,
    /// `Docker Engine` or `Podman Engine`, or what it says.
    pub product: String,
    /// The engine's version.
    pub version: String,
    /// Whether it is podman.
    pub is_podman: bool,
    /// What tells it from every other engine, if it has such a thing.
    pub id: String,
    /// The name of its host.
    pub host: String,
    /// 1 or 2.
    pub cgroup_version: u8,
    /// Whether it runs without root, so that container addresses cannot be reached from the host.
    pub is_rootless: bool,
    /// Whether containers live on while the engine is away.
    pub live_restore: bool,
    /// Where output goes, unless a container says otherwise.
    pub log_driver: String,
    /// `linux`.
    pub os: String,
    /// `x86_64`, `aarch64` …
    pub architecture: String,
    /// Processors.
    pub cpus: u64,
    /// Memory.
    pub memory_bytes: u64,
}

/// What engines differ in, as far as anybody here has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether it runs the checks of containers at their intervals. Podman leaves that to timers of systemd, which are not
    /// everywhere: [`Engine::check`] runs one.
    pub runs_checks: bool,
    /// Whether whoever follows a log gets every record of it, once. Podman drops some when the container ends meanwhile; Docker
    /// before 23 drops and repeats some when it begins a new file while a follower is behind. What is read without
    /// following is complete in both.
    pub follows_completely: bool,
    /// Whether records bear the nanosecond that they were written in. Podman tells whole seconds.
    pub stamps_exactly: bool,
}

/// That of Docker 23, whose followers of logs were written anew.
const FOLLOWS_OVER_FILES: ApiVersion = ApiVersion {
    major: 1,
    minor: 42,
};

impl Capabilities {
    pub(crate) fn of(is_podman: bool, newest: Option<ApiVersion>) -> Self {
        Self {
            runs_checks: !is_podman,
            follows_completely: !is_podman
                && newest.is_some_and(|newest| newest >= FOLLOWS_OVER_FILES),
            stamps_exactly: !is_podman,
        }
    }
}

impl Engine {
    /// What the engine is.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] and others.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            #[serde(default, rename = "ID")]
            id: String,
            #[serde(default)]
            name: String,
            #[serde(default)]
            cgroup_version: String,
            #[serde(default, deserialize_with = "null_is_default")]
            security_options: Vec<String>,
            #[serde(default)]
            live_restore_enabled: bool,
            #[serde(default)]
            logging_driver: String,
            #[serde(default, rename = "OSType")]
            os: String,
            #[serde(default)]
            architecture: String,
            #[serde(default, rename = "NCPU")]
            cpus: u64,
            #[serde(default)]
            mem_total: u64,
        }
        let version = self.ask_version().await?;
        let api_version = self.version().await?;
        let call = Call::get(Target::new(&["info"]), Object::Engine);
        let answer: Answer = self.ask_json(&call).await?;
        let podman = version.podman().map(str::to_owned);
        let is_rootless = |option: &String| option.split(',').any(|part| part == "name=rootless");
        Ok(EngineInfo {
            api_version,
            is_podman: podman.is_some(),
            product: podman.unwrap_or_else(|| "Docker Engine".to_owned()),
            version: version.version,
            id: answer.id,
            host: answer.name,
            // Engines that do not say know only one.
            cgroup_version: answer
                .cgroup_version
                .trim_start_matches('v')
                .parse()
                .unwrap_or(1),
            is_rootless: answer.security_options.iter().any(is_rootless),
            live_restore: answer.live_restore_enabled,
            log_driver: answer.logging_driver,
            os: answer.os,
            architecture: answer.architecture,
            cpus: answer.cpus,
            memory_bytes: answer.mem_total,
        })
    }
}
