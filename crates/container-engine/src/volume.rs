//! Volumes of the engine.
//!
//! Owns: the requests. Never removes what it was not told to.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::call::Call;
use crate::engine::Engine;
use crate::error::{EngineError, Object};
use crate::json::null_is_default;
use crate::target::{Filters, Target};

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeConfig {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `None`: `local`.
    pub driver: Option<String>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// `local` …
    pub driver: String,
    /// Where it lies on the engine's host.
    pub mountpoint: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Makes a volume. One of that name that is there already is given as it is, whatever its labels.
    ///
    /// # Errors
    /// [`EngineError::NameTaken`] when there is one of another driver, and others.
    pub async fn create_volume(
        &self,
        name: &str,
        config: &VolumeConfig,
    ) -> Result<Volume, EngineError> {
        let body = json!({
            "Name": name,
            "Driver": config.driver.as_deref().unwrap_or("local"),
            "DriverOpts": config.options,
            "Labels": config.labels,
        });
        let target = Target::new(&["volumes", "create"]);
        let call = Call::post(target, Object::Volume(name.to_owned())).with_json(&body);
        let answer: Answer = self.ask_json(&call).await?;
        Ok(answer.into())
    }

    /// A volume.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], and others.
    pub async fn volume(&self, name: &str) -> Result<Volume, EngineError> {
        let target = Target::new(&["volumes", name]);
        let call = Call::get(target, Object::Volume(name.to_owned()));
        let answer: Answer = self.ask_json(&call).await?;
        Ok(answer.into())
    }

    /// The volumes that the filters let through.
    ///
    /// # Errors
    /// [`EngineError`], when the engine does not answer or knows no such filter.
    pub async fn volumes(&self, filters: &Filters) -> Result<Vec<Volume>, EngineError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct List {
            #[serde(default, deserialize_with = "null_is_default")]
            volumes: Vec<Answer>,
        }
        let target = Target::new(&["volumes"]).with_filters(filters);
        let list: List = self.ask_json(&Call::get(target, Object::Engine)).await?;
        Ok(list.volumes.into_iter().map(Volume::from).collect())
    }

    /// Removes a volume and what is in it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::InUse`] while a container has it, running or not.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let target = Target::new(&["volumes", name]);
        let call = Call::delete(target, Object::Volume(name.to_owned()));
        self.ask(&call).await.map(drop)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    mountpoint: String,
    #[serde(default, deserialize_with = "null_is_default")]
    labels: BTreeMap<String, String>,
}

impl From<Answer> for Volume {
    fn from(answer: Answer) -> Self {
        Self {
            name: answer.name,
            driver: answer.driver,
            mountpoint: answer.mountpoint,
            labels: answer.labels,
        }
    }
}
