//! The name of a container.
//!
//! Owns: what is done when it is taken: a dead container of ours gives it up, anybody else's keeps it.

use std::time::{Duration, Instant};

use async_io::Timer;
use container_engine::{Container, ContainerConfig, ContainerId, Engine, EngineError};

use super::gone_is_fine;
use super::identity::{COMPOSE_PROJECT, HOME, STACK};

/// Why a container has not its name.
#[derive(Debug)]
pub(super) enum NameError {
    /// The name is another's: whose, and what can be done.
    Taken(String),
    Engine(EngineError),
}

impl From<EngineError> for NameError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Makes a container by this name.
pub(super) async fn create(
    engine: &Engine,
    home: &str,
    name: &str,
    config: &ContainerConfig,
) -> Result<ContainerId, NameError> {
    let until = Instant::now() + UNTIL_A_NAME_IS_FREE;
    loop {
        match engine.create(name, config).await {
            Err(taken @ EngineError::NameTaken { .. }) => {
                free(engine, home, name, taken, until).await?;
            }
            made => return Ok(made?),
        }
    }
}

/// Gives a container this name instead of the one that it has.
pub(super) async fn rename(
    engine: &Engine,
    home: &str,
    id: &ContainerId,
    name: &str,
) -> Result<(), NameError> {
    let until = Instant::now() + UNTIL_A_NAME_IS_FREE;
    loop {
        match engine.rename(id, name).await {
            Err(taken @ EngineError::NameTaken { .. }) => {
                free(engine, home, name, taken, until).await?;
            }
            renamed => return Ok(renamed?),
        }
    }
}

/// Has a dead container of ours give up a name, or waits a moment until an engine that has removed one has freed it.
async fn free(
    engine: &Engine,
    home: &str,
    name: &str,
    taken: EngineError,
    until: Instant,
) -> Result<(), NameError> {
    match engine.inspect(&ContainerId::new(name)).await {
        Ok(holder) => {
            let is_ours = holder.labels.get(HOME).is_some_and(|label| label == home);
            if !is_ours || holder.state.status.is_alive() {
                return Err(NameError::Taken(whose(name, &holder, is_ours)));
            }
            gone_is_fine(engine.remove(&holder.id, false, true).await)?;
        }
        // Gone in the meantime.
        Err(EngineError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if Instant::now() >= until {
        return Err(taken.into());
    }
    Timer::after(BETWEEN_TRIES).await;
    Ok(())
}

/// Who has the name, and what can be done.
fn whose(name: &str, holder: &Container, is_ours: bool) -> String {
    let label = |label: &str| holder.labels.get(label);
    let owner = match (is_ours, label(STACK), label(COMPOSE_PROJECT)) {
        (true, Some(stack), _) => format!("which runs for stack `{stack}` here"),
        (false, Some(stack), _) => format!("of stack `{stack}` of another installation"),
        (_, None, Some(project)) => format!("of Compose project `{project}`"),
        (_, None, None) => "which somebody else made".to_owned(),
    };
    let id = holder.id.as_str();
    format!(
        "the name `{name}` is taken by container {} of image `{}`, {owner}: remove or rename that, or give \
         another `container_name`",
        id.get(..SHORT_ID).unwrap_or(id),
        holder.image
    )
}

/// An engine that removes a container has freed its name by then, or will not soon.
const UNTIL_A_NAME_IS_FREE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// As docker's command line shows an id.
const SHORT_ID: usize = 12;
