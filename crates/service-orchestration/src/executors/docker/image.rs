//! The image of a container, on the engine.
//!
//! Owns: when it is fetched or built. Both are left to the engine's own command line, which knows registries,
//! credentials and builders; what it says is in the error when it fails.

use async_process::{Command, Stdio};
use container_engine::{Engine, EngineError};

use super::{machine, refusal};
use crate::executors::{GroundOrder, LaunchError};
use crate::spec::{Build, ContainerTarget, Pull, UnitId};

/// Sees to it that the image is there.
pub(super) async fn ready(
    engine: &Engine,
    order: &GroundOrder,
    target: &ContainerTarget,
) -> Result<(), LaunchError> {
    let name = name(order.image.as_deref(), &order.unit);
    let is_there = match engine.image(&name).await {
        Ok(_) => true,
        Err(EngineError::NoSuchImage { .. } | EngineError::NotFound { .. }) => false,
        Err(error) => return Err(refusal(&order.unit, error)),
    };
    match (target.pull, &target.build) {
        (Pull::Build, Some(recipe)) => build(engine, order, &name, recipe).await,
        (_, Some(recipe)) if !is_there => build(engine, order, &name, recipe).await,
        (Pull::Always, None) => pull(engine, order, &name).await,
        (Pull::Missing | Pull::Build, None) if !is_there => pull(engine, order, &name).await,
        (Pull::Never, None) if !is_there => Err(LaunchError::NotRunnable {
            program: name,
            reason: "the image is not on the engine, and `pull: never` forbids to fetch it".into(),
        }),
        _ => Ok(()),
    }
}

/// The image's name; of one that is built and not named, made from stack and unit.
pub(super) fn name(image: Option<&str>, unit: &UnitId) -> String {
    match image {
        Some(image) => image.to_owned(),
        None => format!("{}-{}", unit.stack, unit.name).to_lowercase(),
    }
}

async fn pull(engine: &Engine, order: &GroundOrder, image: &str) -> Result<(), LaunchError> {
    tracing::info!(image, "fetching the image");
    run(
        engine,
        order,
        image,
        &["pull".into(), "--quiet".into(), image.into()],
    )
    .await
}

async fn build(
    engine: &Engine,
    order: &GroundOrder,
    image: &str,
    recipe: &Build,
) -> Result<(), LaunchError> {
    tracing::info!(image, "building the image");
    let mut args: Vec<String> = vec!["build".into(), "--tag".into(), image.into()];
    let context = order.directory.join(&recipe.context);
    if let Some(dockerfile) = &recipe.dockerfile {
        let dockerfile = context.join(dockerfile).to_string_lossy().into_owned();
        args.extend(["--file".into(), dockerfile]);
    }
    if let Some(stage) = &recipe.target {
        args.extend(["--target".into(), stage.clone()]);
    }
    for (name, value) in &recipe.args {
        args.extend(["--build-arg".into(), format!("{name}={value}")]);
    }
    args.push(context.to_string_lossy().into_owned());
    run(engine, order, image, &args).await
}

async fn run(
    engine: &Engine,
    order: &GroundOrder,
    image: &str,
    args: &[String],
) -> Result<(), LaunchError> {
    let cli = engine.cli();
    let (program, before) = cli.split_first().expect("a command line has a program");
    let refused = |reason: String| LaunchError::NotRunnable {
        program: image.to_owned(),
        reason,
    };
    let mut command = Command::new(program);
    command
        .args(before)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = match command.output().await {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let program = program.to_string_lossy();
            return Err(refused(format!(
                "the image is not on the engine, and there is no `{program}` in PATH to {} it",
                args[0]
            )));
        }
        Err(error) => return Err(machine(&order.unit, error)),
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(LAST_LINES)
        .collect();
    let last: Vec<&str> = last.into_iter().rev().collect();
    Err(refused(format!(
        "`{} {}` failed: {}",
        program.to_string_lossy(),
        args[0],
        last.join("; ")
    )))
}

/// What a failed build says last is why.
const LAST_LINES: usize = 5;
