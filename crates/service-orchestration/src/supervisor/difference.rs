//! In what a definition differs from the one before it, in the words of the stack file.
//!
//! Owns: the names. Never a value: some of them are secret, and who reads the names has the file.

use std::path::Path;

use serde_json::{Map, Value};

use crate::spec::ServiceSpec;

/// A definition, and the directory that its paths start from.
pub(super) type Defined<'a> = (&'a Path, &'a ServiceSpec);

/// What differs, in order; with nothing else to say, it is what the definition refers to.
pub(super) fn differences(before: Defined<'_>, after: Defined<'_>) -> Vec<String> {
    let mut names = Vec::new();
    compare(&fields(before.1), &fields(after.1), "", &mut names);
    if before.0 != after.0 {
        names.push("the directory of its stack".to_owned());
    }
    if names.is_empty() {
        names.push("the value of a secret".to_owned());
    }
    names
}

fn fields(spec: &ServiceSpec) -> Map<String, Value> {
    match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}

fn compare(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    within: &str,
    names: &mut Vec<String>,
) {
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let (one, other) = (before.get(key), after.get(key));
        if one == other || (within.is_empty() && NO_BEHAVIOUR.contains(&key.as_str())) {
            continue;
        }
        match (key.as_str(), within, one, other) {
            ("env" | "labels", "", Some(Value::Object(one)), Some(Value::Object(other))) => {
                compare(one, other, &format!("{key}."), names);
            }
            // What a target says stands beside everything else in the stack file.
            ("target", "", Some(Value::Object(one)), Some(Value::Object(other))) => {
                compare(one, other, OF_TARGET, names);
            }
            (_, OF_TARGET, ..) => names.push(key.clone()),
            _ => names.push(format!("{within}{key}")),
        }
    }
}

/// What stands within a target.
const OF_TARGET: &str = "target.";

/// What does not say how a unit behaves.
const NO_BEHAVIOUR: [&str; 3] = ["origin", "display_name", "description"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ProcessTarget, TargetSpec, Template, UnitKind, UnitName};

    #[test]
    fn what_differs_is_named_and_no_value_is() {
        let name = UnitName::new("api").expect("a legal name");
        let target = TargetSpec::Process(ProcessTarget::default());
        let mut before = ServiceSpec::new(name, UnitKind::Service, target);
        let text = |text: &str| Template::literal(text);
        before.env.insert("SAME".into(), text("1"));
        before.env.insert("GONE".into(), text("1"));
        let mut after = before.clone();
        after.description = Some("other".into());
        after.env.remove("GONE");
        after.env.insert("NEW".into(), text("hidden"));
        after.replicas += 1;
        after.target = TargetSpec::Process(ProcessTarget {
            args: vec![text("-v")],
            ..ProcessTarget::default()
        });
        let here = Path::new("/here");
        assert_eq!(
            differences((here, &before), (here, &after)),
            ["env.GONE", "env.NEW", "replicas", "args"]
        );
        let there = Path::new("/there");
        assert_eq!(
            differences((here, &before), (there, &before)),
            ["the directory of its stack"]
        );
        assert_eq!(
            differences((here, &before), (here, &before)),
            ["the value of a secret"]
        );
    }
}
