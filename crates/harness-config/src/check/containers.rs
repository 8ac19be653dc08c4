//! Containers: what their engine would refuse once it is asked.
//!
//! Owns: that two containers of a stack have two names, and that what an image is built from is there. Files are looked for
//! only where the stack runs on the machine that it is read on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use service_orchestration::spec::{Build, ContainerTarget, Pull, TargetSpec, UnitKind, UnitName};

use super::index::Index;
use crate::decode::{Decoded, Unit};
use crate::report::{Code, Sink};

/// Two names of containers that are one.
pub(super) fn names(decoded: &Decoded, sink: &mut Sink) {
    let mut taken: BTreeMap<(Option<&str>, &str), Vec<&Unit>> = BTreeMap::new();
    for unit in decoded.units.values() {
        let (Some(container), Some(span)) = (container(unit), unit.places.container_name) else {
            continue;
        };
        let Some(name) = container.container_name.as_deref() else {
            continue;
        };
        // Of one engine.
        let host = container.host.as_deref();
        let others = taken.entry((host, name)).or_default();
        if let Some(other) = others.iter().find(|other| may_meet(other, unit)) {
            let message = format!(
                "`{}` and `{}` have one container name, `{name}`",
                other.spec.name, unit.spec.name
            );
            sink.error(Code::Twice, span, message)
                .also(
                    other.places.container_name.unwrap_or(other.places.key),
                    format!("`{}`", other.spec.name),
                )
                .help("leave `container_name` out: one is made from stack and service");
        }
        others.push(unit);
    }
}

/// Whether no choice of profiles keeps them apart by itself.
fn may_meet(one: &Unit, two: &Unit) -> bool {
    let (one, two) = (&one.spec.profiles, &two.spec.profiles);
    one.is_empty() || two.is_empty() || one.iter().any(|profile| two.contains(profile))
}

/// What images of these units are built from and is not there.
pub(super) fn builds(
    decoded: &Decoded,
    kept: &BTreeSet<UnitName>,
    index: &Index<'_>,
    directory: &Path,
    sink: &mut Sink,
) {
    let units = decoded.units.values();
    for unit in units.filter(|unit| kept.contains(&unit.spec.name)) {
        let Some(container) = container(unit) else {
            continue;
        };
        // One that is there already need not be built.
        let is_built = container.image.is_none() || container.pull == Pull::Build;
        if let Some(recipe) = container.build.as_ref().filter(|_| is_built)
            && !needs_a_task(decoded, index, &unit.spec.name)
        {
            missing(unit, recipe, directory, sink);
        }
    }
}

fn missing(unit: &Unit, recipe: &Build, directory: &Path, sink: &mut Sink) {
    let name = &unit.spec.name;
    // Without what only repeats the directory: `./app`.
    let context: PathBuf = directory.join(&recipe.context).components().collect();
    let place = unit.places.build.unwrap_or(unit.places.key);
    if !context.is_dir() {
        let message = format!(
            "the image of `{name}` cannot be built: there is no directory `{}`",
            context.display()
        );
        sink.error(Code::NothingToBuild, place, message);
        return;
    }
    let (file, span) = match &recipe.dockerfile {
        Some(file) => (file.as_str(), unit.places.dockerfile.unwrap_or(place)),
        // The other name is podman's.
        None if context.join("Containerfile").is_file() => return,
        None => ("Dockerfile", place),
    };
    let file = context.join(file);
    if !file.is_file() {
        let message = format!(
            "the image of `{name}` cannot be built: there is no `{}`",
            file.display()
        );
        sink.error(Code::NothingToBuild, span, message);
    }
}

/// Whether a task runs before it, which may make what it is built from.
fn needs_a_task(decoded: &Decoded, index: &Index<'_>, name: &UnitName) -> bool {
    let tasks = decoded.units.values();
    let tasks = tasks.filter(|unit| unit.spec.kind == UnitKind::Task);
    let tasks: BTreeSet<usize> = tasks
        .filter_map(|task| index.number(task.spec.name.as_str()))
        .collect();
    let own = index.number(name.as_str());
    own.is_some_and(|own| {
        let reached = index.reached_from(own);
        tasks.iter().any(|task| *task != own && reached[*task])
    })
}

fn container(unit: &Unit) -> Option<&ContainerTarget> {
    match &unit.spec.target {
        TargetSpec::Docker(container) => Some(container),
        _ => None,
    }
}
