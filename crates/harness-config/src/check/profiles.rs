//! Profiles: which units are left out.
//!
//! Owns: Compose's rule. A unit without profiles is always in; one with profiles is in when one of them is active, when it
//! was asked for by name, or when something that is in cannot do without it.

use std::collections::BTreeSet;

use service_orchestration::spec::{StackSpec, UnitName};

use crate::compose::Refused;
use crate::decode::Decoded;
use crate::input::Sources;
use crate::report::{Code, Sink};
use crate::text::ReferenceUse;

/// Sets the units of the stack apart that are in no active profile.
pub(crate) fn leave_out(
    stack: &mut StackSpec,
    decoded: &Decoded,
    references: &[ReferenceUse],
    sources: &Sources,
    sink: &mut Sink,
) {
    let kept = kept(decoded, sources);
    for used in references {
        let owner = used
            .owner
            .as_ref()
            .and_then(|owner| decoded.units.get_key_value(owner.as_str()));
        let to = &used.reference.unit;
        if let Some((owner, _)) =
            owner.filter(|(owner, _)| kept.contains(*owner) && !kept.contains(to))
        {
            let message = format!("`{owner}` refers to `{to}`, which is in no active profile");
            sink.error(Code::OutsideProfiles, used.span, message)
                .help(format!(
                    "activate one of its profiles, or make `{owner}` depend on it"
                ));
        }
    }
    let (active, inactive) = std::mem::take(&mut stack.units)
        .into_iter()
        .partition(|(name, _)| kept.contains(name));
    (stack.units, stack.inactive) = (active, inactive);
    for unit in stack.units.values_mut() {
        unit.dependencies
            .retain(|dependency| kept.contains(&dependency.unit));
    }
}

/// Says of what cannot be left out that it is an error, where its unit is taken in.
pub(super) fn refuse(
    decoded: &Decoded,
    kept: &BTreeSet<UnitName>,
    refused: &[Refused],
    sink: &mut Sink,
) {
    for found in refused {
        let unit = decoded.units.get_key_value(found.unit.as_str());
        let is_left_out = unit.is_some_and(|(name, _)| !kept.contains(name));
        let message = found.message.clone();
        match is_left_out {
            true => sink.warning(Code::ComposeLost, found.span, message),
            false => sink.error(Code::ComposeRefused, found.span, message),
        }
        .help(found.help);
    }
}

/// The units that are taken in.
pub(super) fn kept(decoded: &Decoded, sources: &Sources) -> BTreeSet<UnitName> {
    let is_active = |profile: &String| {
        sources
            .profiles
            .iter()
            .any(|active| active == "*" || active == profile)
    };
    let units = decoded.units.values().map(|unit| &unit.spec);
    let mut open: Vec<&UnitName> = units
        .filter(|unit| {
            unit.profiles.is_empty()
                || unit.profiles.iter().any(is_active)
                || sources.wanted.contains(unit.name.as_str())
        })
        .map(|unit| &unit.name)
        .collect();
    let mut kept = BTreeSet::new();
    while let Some(name) = open.pop() {
        let Some(unit) = decoded.units.get(name).filter(|_| !kept.contains(name)) else {
            continue;
        };
        kept.insert(name.clone());
        open.extend(
            unit.spec
                .dependencies
                .iter()
                .filter(|d| d.required)
                .map(|d| &d.unit),
        );
    }
    kept
}
