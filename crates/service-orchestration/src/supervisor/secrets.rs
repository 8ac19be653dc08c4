//! The values of secrets: which are kept, and who is told them.
//!
//! Owns: what becomes of values when a definition changes, and the hash of a definition, which says nothing about them.
//! A value leaves the supervisor in two ways only: into the environment of a program, and into the sealed record of its
//! stack.

use std::collections::BTreeSet;

use super::request::ApplyError;
use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::LaunchError;
use crate::spec::{
    Origin, Placeholder, SecretName, SecretValues, ServiceSpec, StackName, StackSpec,
};
use crate::store::DefinitionKey;

impl Supervisor {
    /// Takes over values that came with a definition. Those that did not come stay as they were; those that no unit uses
    /// any more are forgotten.
    ///
    /// Answers whether anything changed.
    pub(super) fn take_secrets(
        &mut self,
        stack: &StackName,
        sent: SecretValues,
        used: &BTreeSet<SecretName>,
    ) -> bool {
        let mut values = self.units.secrets(stack).clone();
        values.extend(sent);
        values.retain(|name| used.contains(name));
        let changed = values != *self.units.secrets(stack);
        self.units.set_secrets(stack.clone(), values);
        changed
    }

    /// What stands for a placeholder, as seen from the unit that asks.
    pub(super) fn fill(
        &self,
        asker: &UnitEntry,
        placeholder: Placeholder<'_>,
    ) -> Result<String, LaunchError> {
        match placeholder {
            Placeholder::Reference(reference) => self.value_of(asker, reference),
            Placeholder::Secret(name) => {
                let value = self.units.secrets(&asker.id.stack).get(name);
                let value = value.ok_or_else(|| LaunchError::NoSecret {
                    secret: name.to_string(),
                })?;
                Ok(value.expose().clone())
            }
        }
    }

    /// The hash of a definition, with the values of its secrets.
    pub(super) fn definition_hash(&self, stack: &StackSpec, spec: &ServiceSpec) -> String {
        hash(
            &self.definition_key,
            stack,
            spec,
            self.units.secrets(&stack.name),
        )
    }
}

/// Every secret that these units are given.
pub(super) fn used<'a>(units: impl Iterator<Item = &'a ServiceSpec>) -> BTreeSet<SecretName> {
    units.flat_map(ServiceSpec::secrets).cloned().collect()
}

/// Whether every secret stands where only the unit itself can see it.
pub(super) fn check(stack: &StackSpec) -> Result<(), ApplyError> {
    for (name, unit) in &stack.units {
        for (place, text) in unit.seen_texts() {
            if let Some(secret) = text.secrets().next() {
                return Err(ApplyError::SecretSeen {
                    unit: name.to_string(),
                    secret: secret.to_string(),
                    place,
                });
            }
        }
    }
    Ok(())
}

/// The hash of a definition: the same for the same behaviour, wherever it stands in its file. Values of secrets and other
/// values take part in it, some of them short: without the key, it tells nothing about them.
fn hash(
    key: &DefinitionKey,
    stack: &StackSpec,
    spec: &ServiceSpec,
    values: &SecretValues,
) -> String {
    let mut parts = vec![bare(stack, spec)];
    for name in spec.secrets() {
        parts.push(name.as_str().as_bytes().to_vec());
        let value = values.get(name);
        parts.push(value.map_or_else(Vec::new, |value| value.expose().as_bytes().to_vec()));
    }
    key.hash(&parts)
}

/// What of a definition says how a unit behaves.
fn bare(stack: &StackSpec, spec: &ServiceSpec) -> Vec<u8> {
    let mut bare = spec.clone();
    bare.origin = Origin::default();
    bare.display_name = None;
    bare.description = None;
    for dependency in &mut bare.dependencies {
        dependency.origin = Origin::default();
    }
    serde_json::to_vec(&(&stack.directory, &bare))
        .expect("the journal's types have string keys and no failing serializer")
}

/// Whether this is the hash that version 1 of the state gave this definition: no key took part in it then.
pub(super) fn is_first_hash(hash: &str, stack: &StackSpec, spec: &ServiceSpec) -> bool {
    DefinitionKey::without_key(&bare(stack, spec)) == hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{ProcessTarget, Secret, TargetSpec, Template, UnitKind, UnitName};

    fn unit(secret: &SecretName) -> (StackSpec, ServiceSpec) {
        let name = UnitName::new("api").expect("a legal name");
        let target = TargetSpec::Process(ProcessTarget::default());
        let mut spec = ServiceSpec::new(name, UnitKind::Service, target);
        let value = Template::secret(secret.clone());
        spec.env.insert("TOKEN".into(), value);
        let stack = StackSpec {
            name: StackName::new("s").expect("a legal name"),
            description: None,
            directory: "/".into(),
            files: Vec::new(),
            sources: Default::default(),
            environment: Default::default(),
            networks: Default::default(),
            units: [(spec.name.clone(), spec.clone())].into(),
            inactive: Default::default(),
            log_total: None,
            volumes: Default::default(),
            secrets: Default::default(),
        };
        (stack, spec)
    }

    #[test]
    fn a_hash_tells_that_a_secret_changed_and_cannot_be_guessed_without_the_key() {
        let name = SecretName::declared("token").expect("a legal name");
        let (stack, spec) = unit(&name);
        let with = |key: &DefinitionKey, value: &str| {
            let mut values = SecretValues::default();
            values.insert(name.clone(), Secret::new(value.into()));
            hash(key, &stack, &spec, &values)
        };
        let (key, other) = (DefinitionKey::default(), DefinitionKey::default());
        assert_eq!(with(&key, "1234"), with(&key, "1234"));
        assert_ne!(with(&key, "1234"), with(&key, "1235"));
        // Whoever tries all four digits without the key meets the hash of none of them.
        let seen = with(&key, "1234");
        assert!((0..10_000).all(|pin| with(&other, &format!("{pin:04}")) != seen));
    }

    #[test]
    fn secrets_may_not_stand_in_arguments() {
        let name = SecretName::declared("token").expect("a legal name");
        let (mut stack, mut spec) = unit(&name);
        assert!(check(&stack).is_ok());
        spec.target = TargetSpec::Process(ProcessTarget {
            args: vec![Template::secret(name)],
            ..ProcessTarget::default()
        });
        stack.units.insert(spec.name.clone(), spec);
        let refused = check(&stack).expect_err("everybody reads arguments");
        assert!(refused.to_string().contains("`args`"), "{refused}");
    }
}
