//! `build` and `pull`: the images of a stack's containers, made or fetched before anything is started.
//!
//! Owns: which images those are, and what the engine's own command line is told of each. It is run here, with the rights and
//! credentials of whoever calls us, and shows its progress itself.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::{Command, ExitStatus};

use clap::Args;
use container_engine::{ContainerId, Discovery, Engine, EngineError};
use harness_core::protocol::{StartResult, StopParams};
use harness_core::spec::{
    Build, BuildHow, BuildLine, StackSpec, TargetSpec, UnitName, built_image_name,
};
use harness_core::{AutoStart, HarnessClient};

use super::definition::{self, Definition, Wish};
use super::image_failure::{ELSEWHERE, ImageFailure};
use super::stop::stop;
use crate::context::Context;
use crate::failure::Failure;
use crate::units::base;

/// Build the images of services that have `build`, whether they are there or not
///
/// What runs goes on with the image that it has; `start --build` builds, and restarts what runs with another one.
#[derive(Args, Debug)]
#[command(after_help = BUILD_EXAMPLES)]
pub(crate) struct BuildArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC", add = crate::complete::units())]
    units: Vec<String>,
    #[command(flatten)]
    how: How,
    /// With the units of this profile too; may be repeated
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
}

/// How images are built.
#[derive(Args, Debug)]
struct How {
    /// Use nothing of earlier builds
    #[arg(long)]
    no_cache: bool,
    /// Fetch what they are made from, also when it is there
    #[arg(long)]
    pull: bool,
    /// Set an `ARG`; `NAME` alone takes its value from here. May be repeated
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = assignment)]
    build_arg: Vec<(String, Option<String>)>,
}

impl From<How> for BuildHow {
    fn from(how: How) -> Self {
        Self {
            no_cache: how.no_cache,
            pull: how.pull,
            args: how.build_arg,
        }
    }
}

const BUILD_EXAMPLES: &str = "\
Examples:
  harness build                       every image that is built
  harness build api --no-cache
  harness build --build-arg VERSION=2
  harness start --build               and restart what ran with an older image";

/// Fetch the images of services, also those that are there
///
/// What is built is left alone, and what runs goes on with the image that it has.
#[derive(Args, Debug)]
#[command(after_help = PULL_EXAMPLES)]
pub(crate) struct PullArgs {
    /// Services and tasks; none means all
    #[arg(value_name = "SVC", add = crate::complete::units())]
    units: Vec<String>,
    /// With the units of this profile too; may be repeated
    #[arg(long, value_name = "PROFILE")]
    profile: Vec<String>,
}

const PULL_EXAMPLES: &str = "\
Examples:
  harness pull                   every image that is fetched
  harness pull db && harness restart db";

pub(crate) async fn build(args: BuildArgs, context: &Context) -> Result<(), Failure> {
    context.dirs_here("build")?;
    let stack = look(context, &args.units, &args.profile).await?;
    elsewhere(context, &stack.0, &stack.1, !args.units.is_empty())?;
    let engine = engine()?;
    let built = build_all(context, &engine, &stack.0, &stack.1, &args.how.into())?;
    if built == 0 {
        context.tell("nothing to build: no service that is meant has `build`");
    }
    Ok(())
}

pub(crate) async fn pull(args: PullArgs, context: &Context) -> Result<(), Failure> {
    context.dirs_here("pull")?;
    let (stack, units) = look(context, &args.units, &args.profile).await?;
    elsewhere(context, &stack, &units, !args.units.is_empty())?;
    let engine = engine()?;
    let mut images = images(&stack, &units);
    images.retain(|_, image| image.recipe.is_none());
    for name in images.keys() {
        context.tell(&format!("pulling {name}"));
        run(&engine, "pull", name, &[name.into()], &[])?;
    }
    if images.is_empty() {
        context.tell("nothing to pull: no service that is meant has an image that is not built");
    }
    Ok(())
}

/// Before a start: builds what these units (all, when there are none) are made of, and stops what runs with another image,
/// so that the start brings it up with the new one.
pub(super) async fn renew(
    context: &Context,
    stack: &StackSpec,
    units: &[UnitName],
) -> Result<(), Failure> {
    context.dirs_here("--build")?;
    elsewhere(context, stack, units, false)?;
    let engine = engine()?;
    build_all(context, &engine, stack, units, &BuildHow::default())?;
    let client = context.client(AutoStart::Always).await?;
    let outdated = outdated(&engine, &client, stack, units, Kind::Built).await?;
    if outdated.is_empty() {
        return Ok(());
    }
    let params = StopParams {
        units: outdated,
        force: true,
        ..StopParams::all(stack.name.clone())
    };
    stop(context, &client, &stack.name, &params).await?;
    Ok(())
}

/// Which images are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Built,
    All,
}

/// After a start: names the units that it left as they are, although their image stands for another one now.
pub(super) async fn tell_moved(
    context: &Context,
    client: &HarnessClient,
    stack: &StackSpec,
    started: &StartResult,
) {
    let left = |unit: &&UnitName| {
        let is_of = |name: &String| base(name) == unit.as_str();
        started.ordered.units.iter().any(is_of) && !started.ordered.moved.iter().any(is_of)
    };
    let left: Vec<UnitName> = stack.units.keys().filter(left).cloned().collect();
    if left.is_empty() || images(stack, &left).is_empty() || context.dirs_here("start").is_err() {
        return;
    }
    let Ok(engine) = engine() else { return };
    let moved = outdated(&engine, client, stack, &left, Kind::All).await;
    for unit in moved.unwrap_or_default() {
        context.tell(&format!(
            "{unit}: the name of its image stands for another one now: `harness restart {unit}` takes that"
        ));
    }
}

/// The units whose container runs with another image than the one that has its name now.
async fn outdated(
    engine: &Engine,
    client: &HarnessClient,
    stack: &StackSpec,
    units: &[UnitName],
    kind: Kind,
) -> Result<Vec<UnitName>, Failure> {
    let known = client.stacks().await?;
    if !known.iter().any(|known| known.name == stack.name) {
        return Ok(Vec::new());
    }
    let status = client.status(&stack.name).await?;
    let mut outdated = Vec::new();
    for (image, of) in images(stack, units) {
        if of.recipe.is_none() && kind == Kind::Built {
            continue;
        }
        let now = match engine.image(&image).await {
            // What runs has it still.
            Err(EngineError::NoSuchImage { .. }) if kind == Kind::All => continue,
            now => now.map_err(ImageFailure::from)?,
        };
        for unit in of.units {
            let running = status.items.iter().find(|item| item.name == unit.as_str());
            let id = running.and_then(|running| running.container_id.as_deref());
            let Some(id) = id else { continue };
            let seen = match engine.inspect(&ContainerId::new(id)).await {
                Ok(seen) => seen,
                Err(EngineError::NotFound { .. }) => continue,
                Err(error) => return Err(ImageFailure::from(error).into()),
            };
            if seen.state.status.is_alive() && seen.image_id != now.id {
                outdated.push(unit.clone());
            }
        }
    }
    Ok(outdated)
}

async fn look(
    context: &Context,
    units: &[String],
    profiles: &[String],
) -> Result<(StackSpec, Vec<UnitName>), Failure> {
    let wish = Wish {
        units,
        profiles,
        no_deps: true,
    };
    let Definition { stack, units, .. } = definition::look(context, wish).await?;
    Ok((stack, units))
}

fn engine() -> Result<Engine, ImageFailure> {
    Ok(Engine::discover(&Discovery::from_env())?)
}

/// Says whose images are on other hosts; that is an error where they were named.
fn elsewhere(
    context: &Context,
    stack: &StackSpec,
    units: &[UnitName],
    is_named: bool,
) -> Result<(), ImageFailure> {
    for (unit, spec) in &stack.units {
        let host = match &spec.target {
            TargetSpec::Docker(target) => target.host.as_ref(),
            _ => None,
        };
        let is_meant = units.is_empty() || units.contains(unit);
        let Some(host) = host.filter(|_| is_meant) else {
            continue;
        };
        if is_named {
            let (unit, host) = (unit.to_string(), host.clone());
            return Err(ImageFailure::Elsewhere { unit, host });
        }
        context.tell(&format!(
            "{unit}: its image is on {host}, where {ELSEWHERE}"
        ));
    }
    Ok(())
}

/// Builds what has a recipe, each image once; answers how many there were.
fn build_all(
    context: &Context,
    engine: &Engine,
    stack: &StackSpec,
    units: &[UnitName],
    how: &BuildHow,
) -> Result<usize, Failure> {
    let mut built = 0;
    for (name, image) in images(stack, units) {
        let Some(recipe) = image.recipe else { continue };
        context.tell(&format!("building {name}"));
        let line = BuildLine::new(&stack.directory, &name, recipe, how);
        run(engine, "build", &name, &line.words, &line.variables)?;
        built += 1;
    }
    Ok(built)
}

/// An image, and who runs it.
#[derive(Debug)]
struct Image<'a> {
    recipe: Option<&'a Build>,
    units: Vec<&'a UnitName>,
}

/// The images of these units (all, when there are none) on this machine, by name.
fn images<'a>(stack: &'a StackSpec, units: &[UnitName]) -> BTreeMap<String, Image<'a>> {
    let mut images: BTreeMap<String, Image<'a>> = BTreeMap::new();
    for (unit, spec) in &stack.units {
        let TargetSpec::Docker(target) = &spec.target else {
            continue;
        };
        let is_meant = units.is_empty() || units.contains(unit);
        if !is_meant || target.host.is_some() {
            continue;
        }
        let name = match &target.image {
            None => Some(built_image_name(&stack.name, unit)),
            // One that depends on where others are is known only when it is launched.
            Some(image) => image.as_literal().map(str::to_owned),
        };
        let Some(name) = name else { continue };
        let image = images.entry(name).or_insert(Image {
            recipe: None,
            units: Vec::new(),
        });
        image.recipe = image.recipe.or(target.build.as_ref());
        image.units.push(unit);
    }
    images
}

fn run(
    engine: &Engine,
    verb: &'static str,
    image: &str,
    words: &[OsString],
    variables: &[(String, String)],
) -> Result<(), ImageFailure> {
    let cli = engine.cli();
    let (program, before) = cli.split_first().expect("a command line has a program");
    let mut command = Command::new(program);
    command.args(before).arg(verb).args(words);
    // What it tells is progress, and no data.
    command.stdout(std::io::stderr());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let status = command.status().map_err(|source| ImageFailure::Tool {
        program: program.to_string_lossy().into_owned(),
        source,
    })?;
    ended(verb, image, status)
}

fn ended(verb: &'static str, image: &str, status: ExitStatus) -> Result<(), ImageFailure> {
    if status.success() {
        return Ok(());
    }
    Err(ImageFailure::Ended {
        verb,
        image: image.to_owned(),
        status,
    })
}

fn assignment(text: &str) -> Result<(String, Option<String>), &'static str> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    match name.is_empty() {
        true => Err("expected NAME or NAME=VALUE"),
        false => Ok((name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::assignment;

    #[test]
    fn an_argument_has_a_name() {
        let given = |text| assignment(text).map(|(name, value)| (name, value.unwrap_or_default()));
        assert_eq!(given("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(assignment("A"), Ok(("A".to_owned(), None)));
        assert!(assignment("=x").is_err());
    }
}
