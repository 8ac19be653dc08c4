//! The stack of a file, for verbs that start something of it.
//!
//! Owns: that everything which can be refused is refused before the daemon is asked.

use std::collections::BTreeSet;

use harness_config::{Loaded, Sources, unsupported_with};
use harness_core::spec::{SecretValues, StackSpec, UnitName};

use crate::context::Context;
use crate::failure::Failure;
use crate::select::OfCompose;
use crate::units::{base, unit_names, unknown};
use crate::{secrets, select};

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish<'a> {
    /// As the user named them; none means all.
    pub(super) units: &'a [String],
    pub(super) profiles: &'a [String],
    /// Whatever they need.
    pub(super) no_deps: bool,
}

/// A stack, and the units of it that are wanted by name.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) stack: StackSpec,
    /// None means all.
    pub(super) units: Vec<UnitName>,
    /// The values of the secrets that what is wanted needs.
    pub(super) secrets: SecretValues,
}

/// Reads the stack that is meant, and says what is wrong with it.
///
/// # Errors
/// When there is none, it is wrong, a name means nothing in it, or what is wanted needs what cannot be run here.
pub(super) async fn read(context: &Context, wish: Wish<'_>) -> Result<Definition, Failure> {
    let read = load(context, wish, OfCompose::Told).await?;
    refuse_unsupported(&read, wish.no_deps)?;
    let wanted = needed(&read.stack, &read.units, wish.no_deps);
    let secrets = secrets::read(context, &read.sources, &read.loaded, &read.stack, &wanted).await?;
    Ok(Definition {
        stack: read.stack,
        units: read.units,
        secrets,
    })
}

/// The same for a verb that starts nothing.
///
/// # Errors
/// When there is none, it is wrong, or a name means nothing in it.
pub(super) async fn look(context: &Context, wish: Wish<'_>) -> Result<Definition, Failure> {
    let Read { stack, units, .. } = load(context, wish, OfCompose::Untold).await?;
    Ok(Definition {
        stack,
        units,
        secrets: SecretValues::default(),
    })
}

/// A stack with what it was read from.
struct Read {
    sources: Sources,
    loaded: Loaded,
    stack: StackSpec,
    units: Vec<UnitName>,
}

async fn load(context: &Context, wish: Wish<'_>, told: OfCompose) -> Result<Read, Failure> {
    let mut sources = select::meant(context).await?;
    for profile in wish.profiles {
        sources = sources.profile(profile);
    }
    for unit in wish.units {
        sources = sources.wanted(base(unit));
    }
    let (stack, loaded) = select::stack(context, &sources, told)?;
    let units = named(&stack, wish.units)?;
    Ok(Read {
        sources,
        loaded,
        stack,
        units,
    })
}

/// The units of these names.
///
/// # Errors
/// When one is not in the stack.
pub(super) fn named(stack: &StackSpec, names: &[String]) -> Result<Vec<UnitName>, Failure> {
    let units = unit_names(&stack.name, names)?;
    match units.iter().find(|unit| !stack.units.contains_key(*unit)) {
        Some(missing) => {
            let known = stack.units.keys().map(UnitName::as_str);
            Err(unknown(&stack.name, missing.as_str(), known))
        }
        None => Ok(units),
    }
}

/// Refuses a start that needs what cannot be run here.
fn refuse_unsupported(read: &Read, no_deps: bool) -> Result<(), Failure> {
    let needed = needed(&read.stack, &read.units, no_deps);
    let mut cannot = unsupported_with(&read.stack, &read.sources);
    cannot.retain(|one| needed.contains(&one.unit));
    match cannot.is_empty() {
        true => Ok(()),
        false => Err(Failure::Unsupported { units: cannot }),
    }
}

/// These units (all, when there are none) and what they need, unless that is to be left alone.
pub(super) fn with_needs(stack: &StackSpec, units: &[UnitName], no_deps: bool) -> Vec<UnitName> {
    needed(stack, units, no_deps).into_iter().cloned().collect()
}

/// These units (all, when there are none) and what they need.
fn needed<'a>(
    stack: &'a StackSpec,
    units: &'a [UnitName],
    no_deps: bool,
) -> BTreeSet<&'a UnitName> {
    let mut open: Vec<&UnitName> = match units {
        [] => stack.units.keys().collect(),
        named => named.iter().collect(),
    };
    let mut needed = BTreeSet::new();
    while let Some(unit) = open.pop() {
        if needed.insert(unit) && !no_deps {
            let needs = stack
                .units
                .get(unit)
                .map(|unit| unit.dependencies.as_slice());
            open.extend(
                needs
                    .unwrap_or_default()
                    .iter()
                    .map(|dependency| &dependency.unit),
            );
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use harness_config::{Sources, load};

    use super::*;

    #[test]
    fn only_what_is_needed_must_be_there() {
        let text = "services:\n  a: {type: process, binary: a, depends_on: [b]}\n  b: {type: remote, host: elsewhere, binary: b}\n  \
                    c: {type: process, binary: c}\n";
        let sources = Sources::new().text("s.yaml", text).hosts([]);
        let unit = |name: &str| vec![UnitName::new(name).expect("a legal name")];
        let refuse = |units: Vec<UnitName>, no_deps| {
            let loaded = load(&sources);
            let stack = loaded.stack.clone().expect("a stack");
            let read = Read {
                sources: sources.clone(),
                loaded,
                stack,
                units,
            };
            refuse_unsupported(&read, no_deps)
        };
        assert!(refuse(unit("c"), false).is_ok());
        assert!(refuse(unit("a"), true).is_ok());
        for units in [unit("a"), unit("b"), Vec::new()] {
            let refused = refuse(units, false).expect_err("b is in the way");
            assert_eq!(refused.exit_code(), 69);
        }
    }
}
