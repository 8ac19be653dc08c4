//! What others have under the name of a stack: volumes that Compose made, and containers that have them open.
//!
//! Owns: finding and naming them. Never changes or removes any.

use std::collections::BTreeSet;

use container_engine::{Engine, EngineError, Filters};

use super::identity::{COMPOSE_PROJECT, HOME};
use crate::spec::StackName;

/// The volumes that somebody else made under this name.
pub(super) async fn volumes(
    engine: &Engine,
    home: &str,
    stack: &StackName,
) -> Result<Vec<String>, EngineError> {
    let of_project = Filters::all().label(COMPOSE_PROJECT, stack.as_str());
    let all = engine.volumes(&of_project).await?.into_iter();
    let others = all.filter(|volume| volume.labels.get(HOME).is_none_or(|own| own != home));
    Ok(others.map(|volume| volume.name).collect())
}

/// Who else has these volumes open, in words; nobody, where that cannot be found out.
pub(super) async fn users(engine: &Engine, home: &str, volumes: &[String]) -> Option<String> {
    let mut users = BTreeSet::new();
    for volume in volumes {
        let with = Filters::all().by("volume", volume).by("status", "running");
        for container in engine.list(&with).await.unwrap_or_default() {
            if container.labels.get(HOME).is_none_or(|own| own != home) {
                let project = container.labels.get(COMPOSE_PROJECT);
                let project = project.map(|project| format!(" of Compose project `{project}`"));
                let project = project.unwrap_or_default();
                users.insert(format!(
                    "container `{}`{project} has the volume `{volume}` open, too: stop one of the two",
                    container.name
                ));
            }
        }
    }
    (!users.is_empty()).then(|| users.into_iter().collect::<Vec<_>>().join("; "))
}
