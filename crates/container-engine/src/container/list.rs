//! Containers as a list shows them.
//!
//! Owns: the type, and how it is read. For exit codes and times, ask for the one container.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::container::inspect::{ContainerStatus, EndpointAnswer, NetworkAddress, addresses};
use crate::id::ContainerId;
use crate::json::null_is_default;

/// A container in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    /// The engine's id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// The image by name.
    pub image: String,
    /// The image's id.
    pub image_id: String,
    /// How it is.
    pub status: ContainerStatus,
    /// The same for people: `Up 5 minutes (healthy)`.
    pub status_text: String,
    /// Labels, the image's included.
    pub labels: BTreeMap<String, String>,
    /// When it was made, in seconds since 1970.
    pub created_seconds: i64,
    /// The networks that it is connected to, by name.
    pub networks: BTreeMap<String, NetworkAddress>,
}

/// What the engine writes.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    id: String,
    #[serde(default, deserialize_with = "null_is_default")]
    names: Vec<String>,
    #[serde(default)]
    image: String,
    #[serde(default, rename = "ImageID")]
    image_id: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    status: String,
    #[serde(default, deserialize_with = "null_is_default")]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    created: i64,
    #[serde(default, deserialize_with = "null_is_default")]
    network_settings: Networks,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Networks {
    #[serde(default, deserialize_with = "null_is_default")]
    networks: BTreeMap<String, EndpointAnswer>,
}

impl From<Answer> for ContainerSummary {
    fn from(answer: Answer) -> Self {
        // Links add names with a second slash.
        let is_own = |name: &&String| !name.trim_start_matches('/').contains('/');
        let name = answer.names.iter().find(is_own).map(String::as_str);
        Self {
            name: name.unwrap_or_default().trim_start_matches('/').to_owned(),
            id: ContainerId::new(answer.id),
            image: answer.image,
            image_id: answer.image_id,
            status: ContainerStatus::parse(&answer.state),
            status_text: answer.status,
            labels: answer.labels,
            created_seconds: answer.created,
            networks: addresses(answer.network_settings.networks),
        }
    }
}
