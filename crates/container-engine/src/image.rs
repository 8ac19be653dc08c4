//! Images that are on the engine.
//!
//! Owns: what an image brings along. Never pulls or builds one: that is for the command line of [`Engine::cli`], which knows
//! credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::call::Call;
use crate::container::{ContainerPort, Environment, HealthCheck, HealthTest};
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::json::null_is_default;
use crate::target::Target;

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id: the hash of what it is.
    pub id: String,
    /// Its names.
    pub tags: Vec<String>,
    /// Its entry point.
    pub entrypoint: Vec<String>,
    /// The arguments of that.
    pub command: Vec<String>,
    /// Its environment. The values are not shown by `Debug`.
    pub environment: Environment,
    /// Who runs; empty: root.
    pub user: String,
    /// Where the command begins.
    pub working_dir: String,
    /// Ports that its programs listen at.
    pub exposed_ports: Vec<ContainerPort>,
    /// Paths that get a volume of their own unless something is mounted there.
    pub volumes: BTreeSet<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// How it is checked, if it is.
    pub healthcheck: Option<HealthCheck>,
    /// What ends it, where it is not SIGTERM.
    pub stop_signal: Option<String>,
    /// `amd64`, `arm64` …
    pub architecture: String,
}

impl Engine {
    /// An image, by name or id.
    ///
    /// # Errors
    /// [`EngineError::NoSuchImage`] when it is not on the engine, and others.
    pub async fn image(&self, name: &str) -> Result<Image, EngineError> {
        let target = Target::new(&["images", name, "json"]);
        let call = Call::get(target, Object::Image(name.to_owned()));
        let answer: Answer = self.ask_json(&call).await?;
        Ok(answer.into())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    repo_tags: Vec<String>,
    #[serde(default)]
    architecture: String,
    #[serde(default, deserialize_with = "null_is_default")]
    config: Config,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    #[serde(deserialize_with = "null_is_default")]
    entrypoint: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    cmd: Vec<String>,
    #[serde(deserialize_with = "null_is_default")]
    env: Vec<String>,
    user: String,
    working_dir: String,
    #[serde(deserialize_with = "null_is_default")]
    exposed_ports: BTreeMap<String, IgnoredAny>,
    #[serde(deserialize_with = "null_is_default")]
    volumes: BTreeMap<String, IgnoredAny>,
    #[serde(deserialize_with = "null_is_default")]
    labels: BTreeMap<String, String>,
    healthcheck: Option<Check>,
    stop_signal: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Check {
    #[serde(deserialize_with = "null_is_default")]
    test: Vec<String>,
    interval: i64,
    timeout: i64,
    start_period: i64,
    retries: i64,
}

impl From<Answer> for Image {
    fn from(answer: Answer) -> Self {
        let config = answer.config;
        let exposed = config.exposed_ports.into_keys();
        let variables = config.env.iter().filter_map(|line| line.split_once('='));
        let has_signal = |signal: &String| !signal.is_empty();
        Self {
            id: answer.id,
            tags: answer.repo_tags,
            entrypoint: config.entrypoint,
            command: config.cmd,
            environment: variables.collect(),
            user: config.user,
            working_dir: config.working_dir,
            exposed_ports: exposed.filter_map(|port| port.parse().ok()).collect(),
            volumes: config.volumes.into_keys().collect(),
            labels: config.labels,
            healthcheck: config.healthcheck.and_then(Check::read),
            stop_signal: config.stop_signal.filter(has_signal),
            architecture: answer.architecture,
        }
    }
}

impl Check {
    /// `None` for an image that has none, or has switched it off.
    fn read(self) -> Option<HealthCheck> {
        let test = match HealthTest::from_words(self.test) {
            HealthTest::Image | HealthTest::Off => return None,
            test @ (HealthTest::Command(_) | HealthTest::Shell(_)) => test,
        };
        let time = |nanos: i64| {
            let nanos = u64::try_from(nanos).ok().filter(|nanos| *nanos > 0);
            nanos.map(Duration::from_nanos)
        };
        Some(HealthCheck {
            test,
            interval: time(self.interval),
            timeout: time(self.timeout),
            start_period: time(self.start_period),
            retries: u32::try_from(self.retries).ok().filter(|count| *count > 0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_brings_along_is_read() {
        let answer: Answer = serde_json::from_str(
            r#"{"Id":"sha256:1","RepoTags":["postgres:15"],"Architecture":"amd64","Config":{"Entrypoint":["entry"],"Cmd":null,"Env":["PATH=/bin","PGDATA=/data"],
            "ExposedPorts":{"5432/tcp":{}},"Volumes":{"/data":{}},"Labels":null,"StopSignal":"SIGINT",
            "Healthcheck":{"Test":["CMD-SHELL","pg_isready"],"Interval":1000000000,"Retries":5}}}"#,
        )
        .expect("an answer");
        let image = Image::from(answer);
        assert_eq!(image.exposed_ports, [ContainerPort::tcp(5432)]);
        assert!(image.volumes.contains("/data"));
        assert_eq!(image.stop_signal.as_deref(), Some("SIGINT"));
        assert_eq!(image.environment.iter().nth(1), Some(("PGDATA", "/data")));
        let check = image.healthcheck.expect("a check");
        assert_eq!(check.test, HealthTest::Shell("pg_isready".to_owned()));
        assert_eq!(
            (check.interval, check.timeout),
            (Some(Duration::from_secs(1)), None)
        );
        assert_eq!(check.retries, Some(5));
    }

    #[test]
    fn an_image_of_nothing_is_read() {
        let answer = serde_json::from_str::<Answer>(
            r#"{"Id":"sha256:1","RepoTags":null,"Config":{"Healthcheck":{"Test":["NONE"]}}}"#,
        );
        let image = Image::from(answer.expect("an answer"));
        assert_eq!(image.healthcheck, None);
        assert!(image.entrypoint.is_empty());
    }
}
