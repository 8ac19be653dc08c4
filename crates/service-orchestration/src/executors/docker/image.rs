//! The image of a container, on the engine.
//!
//! Owns: when it is fetched or built. Both are left to the engine's own command line, which knows registries,
//! credentials and builders: see [`tool`].

use container_engine::{Engine, EngineError};

use super::image_turns::{ImageTurns, Taken};
use super::steps::Steps;
use super::tool::ToolError;
use super::{machine, refusal, tool};
use crate::executors::{Activity, GroundOrder, LaunchError};
use crate::spec::{Build, BuildHow, BuildLine, ContainerTarget, Pull, UnitId, built_image_name};

/// Sees to it that the image is there.
pub(super) async fn ready(
    engine: &Engine,
    turns: &ImageTurns,
    order: &GroundOrder,
    target: &ContainerTarget,
) -> Result<(), LaunchError> {
    let name = name(order.image.as_deref(), &order.unit);
    // Of one name, but by another recipe, it is another one.
    let made_by = format!("{name} {:?} {:?}", target.pull, target.build);
    let make = || make(engine, order, target, &name);
    // It may have been tried for another unit.
    let own = |error| match error {
        LaunchError::NoImage { reason, .. } => LaunchError::NoImage {
            unit: order.unit.local_name(),
            reason,
        },
        error => error,
    };
    let taken = turns.take(made_by.clone(), order.since, make()).await;
    match taken.map_err(own)? {
        Taken::Made => Ok(()),
        // It may be long ago, and the image gone.
        Taken::Shared => match engine.image(&name).await {
            Err(EngineError::NoSuchImage { .. } | EngineError::NotFound { .. }) => {
                let taken = turns.take(made_by, None, make()).await;
                taken.map(drop).map_err(own)
            }
            Err(error) => Err(refusal(&order.unit, error)),
            Ok(_) => Ok(()),
        },
    }
}

async fn make(
    engine: &Engine,
    order: &GroundOrder,
    target: &ContainerTarget,
    name: &str,
) -> Result<(), LaunchError> {
    let is_there = match engine.image(name).await {
        Ok(_) => true,
        Err(EngineError::NoSuchImage { .. } | EngineError::NotFound { .. }) => false,
        Err(error) => return Err(refusal(&order.unit, error)),
    };
    match (target.pull, &target.build) {
        (Pull::Build, Some(recipe)) => build(engine, order, name, recipe).await,
        (_, Some(recipe)) if !is_there => build(engine, order, name, recipe).await,
        (Pull::Always, None) => pull(engine, order, name).await,
        (Pull::Missing | Pull::Build, None) if !is_there => pull(engine, order, name).await,
        (Pull::Never, None) if !is_there => Err(LaunchError::NoImage {
            unit: order.unit.local_name(),
            reason: format!("`{name}` is not on the engine, and `pull: never` forbids to fetch it"),
        }),
        _ => Ok(()),
    }
}

/// The image's name; of one that is built and not named, made from stack and unit.
pub(super) fn name(image: Option<&str>, unit: &UnitId) -> String {
    match image {
        Some(image) => image.to_owned(),
        None => built_image_name(&unit.stack, &unit.name),
    }
}

async fn pull(engine: &Engine, order: &GroundOrder, image: &str) -> Result<(), LaunchError> {
    let steps = Steps::new(Activity::Pulling, image);
    let pulled = tool::run(engine, order, "pull", &[image.into()], &[], steps).await;
    pulled.map_err(|error| match error {
        ToolError::Failed { reason } if !is_about_image(&reason) => {
            machine(&order.unit, ToolError::Failed { reason })
        }
        error => refused(order, image, error),
    })
}

async fn build(
    engine: &Engine,
    order: &GroundOrder,
    image: &str,
    recipe: &Build,
) -> Result<(), LaunchError> {
    let line = BuildLine::new(&order.directory, image, recipe, &BuildHow::default());
    let steps = Steps::new(Activity::Building, image);
    let built = tool::run(engine, order, "build", &line.words, &line.variables, steps).await;
    built.map_err(|error| refused(order, image, error))
}

/// Nothing changes by trying again.
fn refused(order: &GroundOrder, image: &str, error: ToolError) -> LaunchError {
    let reason = match error {
        ToolError::Missing { program } => format!(
            "`{image}` is not on the engine, and there is no `{program}` in PATH to bring it there"
        ),
        ToolError::Failed { reason } => reason,
        error @ ToolError::Machine(_) => return machine(&order.unit, error),
    };
    LaunchError::NoImage {
        unit: order.unit.local_name(),
        reason,
    }
}

/// Whether a registry has answered that there is no such image for us. Whatever else goes wrong with a pull is of the way
/// there, and may be over the next time.
fn is_about_image(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    [
        "manifest unknown",
        "not found",
        "access denied",
        "access to the resource is denied",
        "repository does not exist",
        "unauthorized",
        "authentication required",
        "no basic auth credentials",
        "invalid reference format",
        "no matching manifest",
    ]
    .iter()
    .any(|words| reason.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_is_away_is_told_from_an_image_that_is_not_there() {
        for reason in [
            "Error response from daemon: manifest for 127.0.0.1:5000/x:1 not found: manifest unknown: manifest unknown",
            "Error response from daemon: pull access denied for nowhere, repository does not exist or may require 'docker login'",
            "Get \"http://127.0.0.1:5000/v2/x/manifests/1\": no basic auth credentials",
        ] {
            assert!(is_about_image(reason), "{reason}");
        }
        for reason in [
            "Get \"http://127.0.0.1:5000/v2/\": dial tcp 127.0.0.1:5000: connect: connection refused",
            "Get \"https://registry-1.docker.io/v2/\": net/http: request canceled while waiting for connection",
            "dial tcp: lookup registry.example: no such host",
            "toomanyrequests: You have reached your pull rate limit",
            "received unexpected HTTP status: 503 Service Unavailable",
        ] {
            assert!(!is_about_image(reason), "{reason}");
        }
    }
}
