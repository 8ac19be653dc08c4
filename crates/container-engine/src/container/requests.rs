//! What is asked of containers.
//!
//! Owns: the requests. Never waits for a state, but where that is the question, and never tries twice.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::call::{Bound, Call};
use crate::container::body;
use crate::container::config::{ContainerConfig, NetworkAttachment, NetworkMode};
use crate::container::inspect::{self, Container, HealthStatus};
use crate::container::list::{self, ContainerSummary};
use crate::container::stats::{self, Stats};
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::id::ContainerId;
use crate::target::{Filters, Target};

/// How a container's run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// 128 and the signal's number, where one ended it.
    pub exit_code: i64,
    /// What went wrong on the engine's side.
    pub error: Option<String>,
}

impl Engine {
    /// Makes a container and connects it to its networks; it does not run yet.
    ///
    /// # Errors
    /// [`EngineError::NameTaken`], [`EngineError::NoSuchImage`], and others; a network that does not exist fails the start only. What
    /// is left of a container whose second network is refused is removed. No value of an environment variable is in an error.
    pub async fn create(
        &self,
        name: &str,
        config: &ContainerConfig,
    ) -> Result<ContainerId, EngineError> {
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "Id")]
            id: ContainerId,
        }
        let about = Object::Container(ContainerId::new(name));
        let mut target = Target::new(&["containers", "create"]).with("name", name);
        if let Some(platform) = &config.platform {
            target = target.with("platform", platform);
        }
        let call = Call::post(target, about).with_json(&body::creation(config));
        let created: Result<Created, _> = self.ask_json(&call).await;
        let Created { id } = created.map_err(|error| without_values(error, config))?;
        if let NetworkMode::Networks(networks) = &config.network {
            for network in networks.iter().skip(1) {
                if let Err(error) = self.connect_network(&id, network).await {
                    // The error that counts is the first one; what cannot be removed is found by its labels.
                    drop(self.remove(&id, true, true).await);
                    return Err(error);
                }
            }
        }
        Ok(id)
    }

    /// Starts a container. One that runs already is no error.
    ///
    /// # Errors
    /// [`EngineError::PortTaken`], [`EngineError::NotRunnable`], [`EngineError::NotFound`], and others.
    pub async fn start(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.post(container, &["start"]).await
    }

    /// Sends a signal (`SIGTERM`, `TERM`, `15`) to the container's first process.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`], [`EngineError::NotFound`], and others.
    pub async fn kill(&self, container: &ContainerId, signal: &str) -> Result<(), EngineError> {
        let target = path(container, &["kill"]).with("signal", signal);
        let call = Call::post(target, Object::Container(container.clone()));
        self.ask(&call).await.map(drop)
    }

    /// Asks a container to end by its own signal, and ends it by force after its own grace, or this one. Returns when it
    /// has ended; one that does not run is no error.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and others.
    pub async fn stop(
        &self,
        container: &ContainerId,
        grace: Option<Duration>,
    ) -> Result<(), EngineError> {
        let mut target = path(container, &["stop"]);
        if let Some(grace) = grace {
            target = target.with("t", &grace.as_secs().to_string());
        }
        let about = Object::Container(container.clone());
        self.ask(&Call::post(target, about)).await.map(drop)
    }

    /// Looks at a container.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and others.
    pub async fn inspect(&self, container: &ContainerId) -> Result<Container, EngineError> {
        let about = Object::Container(container.clone());
        let call = Call::get(path(container, &["json"]), about);
        let answer: inspect::Answer = self.ask_json(&call).await?;
        Ok(answer.into())
    }

    /// Runs a container's own check once, and gives its verdict; `None` when it has no check. Only for engines that do not
    /// run them by themselves: see [`Capabilities::runs_checks`].
    ///
    /// # Errors
    /// [`EngineError::NotFound`], also from engines that cannot be told to; [`EngineError::NotRunning`].
    ///
    /// [`Capabilities::runs_checks`]: crate::Capabilities::runs_checks
    pub async fn check(
        &self,
        container: &ContainerId,
    ) -> Result<Option<HealthStatus>, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Verdict {
            status: String,
        }
        let parts = ["libpod", "containers", container.as_str(), "healthcheck"];
        let call = Call::get(Target::new(&parts), Object::Container(container.clone()));
        match self.ask_json::<Verdict>(&call.within(Bound::Change)).await {
            Ok(verdict) => Ok(HealthStatus::parse(&verdict.status)),
            Err(EngineError::Conflict { message, .. }) if message.contains(NO_CHECK) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All containers that the filters let through, running or not.
    ///
    /// # Errors
    /// [`EngineError`], when the engine does not answer or knows no such filter.
    pub async fn list(&self, filters: &Filters) -> Result<Vec<ContainerSummary>, EngineError> {
        let target = Target::new(&["containers", "json"]).with("all", "1");
        let call = Call::get(target.with_filters(filters), Object::Engine);
        let answer: Vec<list::Answer> = self.ask_json(&call).await?;
        Ok(answer.into_iter().map(ContainerSummary::from).collect())
    }

    /// Removes a container; `force` kills it first, `volumes` removes the volumes without a name that it brought.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::BeingRemoved`], [`EngineError::Conflict`] when it runs and `force` is not set.
    pub async fn remove(
        &self,
        container: &ContainerId,
        force: bool,
        volumes: bool,
    ) -> Result<(), EngineError> {
        let target = path(container, &[]);
        let target = target.with_flag("force", force).with_flag("v", volumes);
        let call = Call::delete(target, Object::Container(container.clone()));
        self.ask(&call).await.map(drop)
    }

    /// Waits for as long as the container runs. For one that does not, it is its last end, or 0 if it never ran.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::Lost`] when the engine goes away meanwhile, which is no end of the container.
    ///
    /// # Cancellation
    /// Safe.
    pub async fn wait(&self, container: &ContainerId) -> Result<Ended, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            status_code: i64,
            #[serde(default)]
            error: Option<Reason>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Reason {
            #[serde(default)]
            message: String,
        }
        let about = Object::Container(container.clone());
        let call = Call::post(path(container, &["wait"]), about).within(Bound::Endless);
        let answer: Answer = self.ask_json(&call).await?;
        let reason = answer.error.map(|reason| reason.message);
        Ok(Ended {
            exit_code: answer.status_code,
            error: reason.filter(|reason| !reason.is_empty()),
        })
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// [`EngineError::NameTaken`], [`EngineError::NotFound`], and others.
    pub async fn rename(&self, container: &ContainerId, name: &str) -> Result<(), EngineError> {
        let target = path(container, &["rename"]).with("name", name);
        let call = Call::post(target, Object::Container(container.clone()));
        self.ask(&call).await.map(drop)
    }

    /// Freezes a container.
    ///
    /// # Errors
    /// [`EngineError::NotRunning`], [`EngineError::NotFound`], and others.
    pub async fn pause(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.post(container, &["pause"]).await
    }

    /// Lets a frozen container go on.
    ///
    /// # Errors
    /// As [`Engine::pause`].
    pub async fn unpause(&self, container: &ContainerId) -> Result<(), EngineError> {
        self.post(container, &["unpause"]).await
    }

    /// What the container uses now.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and others.
    pub async fn stats_once(&self, container: &ContainerId) -> Result<Stats, EngineError> {
        let target = path(container, &["stats"]).with("stream", "0");
        let about = Object::Container(container.clone());
        // Without the second flag the engine measures for a second, to compare.
        let call = Call::get(target.with("one-shot", "1"), about);
        let answer: stats::Answer = self.ask_json(&call).await?;
        Ok(answer.into())
    }

    /// Connects a container to one more network.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] for the container or the network, and others.
    pub async fn connect_network(
        &self,
        container: &ContainerId,
        network: &NetworkAttachment,
    ) -> Result<(), EngineError> {
        let target = Target::new(&["networks", &network.network, "connect"]);
        let about = Object::Network(network.network.clone());
        let body = json!({
            "Container": container.as_str(),
            "EndpointConfig": body::endpoint(network),
        });
        let call = Call::post(target, about).with_json(&body);
        self.ask(&call).await.map(drop)
    }

    async fn post(&self, container: &ContainerId, verb: &[&str]) -> Result<(), EngineError> {
        let about = Object::Container(container.clone());
        let call = Call::post(path(container, verb), about);
        self.ask(&call).await.map(drop)
    }
}

/// The path of something about a container.
pub(crate) fn path(container: &ContainerId, rest: &[&str]) -> Target {
    let mut parts = vec!["containers", container.as_str()];
    parts.extend(rest);
    Target::new(&parts)
}

/// An engine that complains of a variable may quote it.
fn without_values(error: EngineError, config: &ContainerConfig) -> EngineError {
    error.with_message(|message| config.environment.redact(message))
}

/// Podman's words for a container without a check.
const NO_CHECK: &str = "no defined healthcheck";
