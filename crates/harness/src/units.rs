//! Names of units as users write them: `api`, or `api/2` for a replica.
//!
//! Owns: which units of a status a name means, and what was perhaps meant by one that means none.

use harness_core::report::{StackStatus, UnitStatus};
use harness_core::spec::{StackName, UnitName};

use crate::failure::Failure;

/// The service's or task's name in a unit's.
pub(crate) fn base(name: &str) -> &str {
    name.split_once('/').map_or(name, |(base, _replica)| base)
}

/// Whether a user who writes `wanted` means this unit.
pub(crate) fn means(wanted: &str, unit: &str) -> bool {
    wanted == unit || wanted == base(unit)
}

/// The units that are meant by these names; by none, all.
///
/// # Errors
/// [`Failure::UnknownUnit`] for a name that means no unit.
pub(crate) fn selected<'a>(
    status: &'a StackStatus,
    names: &[String],
) -> Result<Vec<&'a UnitStatus>, Failure> {
    for name in names {
        if !status.items.iter().any(|unit| means(name, &unit.name)) {
            let known = status.items.iter().map(|unit| unit.name.as_str());
            return Err(unknown(&status.stack, name, known));
        }
    }
    let is_meant =
        |unit: &&UnitStatus| names.is_empty() || names.iter().any(|name| means(name, &unit.name));
    Ok(status.items.iter().filter(is_meant).collect())
}

/// The names in the form that the daemon takes: replicas stand and fall together there.
///
/// # Errors
/// [`Failure::UnknownUnit`] for a text that can be no name.
pub(crate) fn unit_names(stack: &StackName, names: &[String]) -> Result<Vec<UnitName>, Failure> {
    let name = |text: &String| {
        UnitName::new(base(text)).map_err(|_| unknown(stack, text, std::iter::empty()))
    };
    names.iter().map(name).collect()
}

/// The failure that a name means nothing, with the name that was perhaps meant.
pub(crate) fn unknown<'a>(
    stack: &StackName,
    name: &str,
    known: impl Iterator<Item = &'a str>,
) -> Failure {
    Failure::UnknownUnit {
        stack: stack.to_string(),
        unit: name.to_owned(),
        similar: similar(name, known).map(str::to_owned),
    }
}

/// The known name that is most like this one, if any is.
pub(crate) fn similar<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rated = known.map(|candidate| (strsim::jaro_winkler(name, candidate), candidate));
    let best = rated
        .filter(|(likeness, _)| *likeness > LIKE)
        .max_by(|one, other| one.0.total_cmp(&other.0));
    best.map(|(_, candidate)| candidate)
}

/// As likely meant as clap deems a subcommand to be.
const LIKE: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_all_replicas_and_a_numbered_one_itself() {
        assert!(means("api", "api/2") && means("api/2", "api/2") && means("api", "api"));
        assert!(!means("api/1", "api/2") && !means("ap", "api"));
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let known = ["postgres", "redis"];
        assert_eq!(similar("postgrse", known.into_iter()), Some("postgres"));
        assert_eq!(similar("kafka", known.into_iter()), None);
    }
}
