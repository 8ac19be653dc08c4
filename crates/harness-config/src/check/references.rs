//! References between units.
//!
//! Owns: that a named port exists, and the warning about a reference that is no dependency.

use std::collections::{BTreeMap, BTreeSet};

use service_orchestration::spec::{Attribute, TargetSpec, UnitName};

use crate::decode::Decoded;
use crate::report::{Code, Sink};
use crate::text::ReferenceUse;

pub(super) fn check(decoded: &Decoded, references: &[ReferenceUse], sink: &mut Sink) {
    let mut reach = Reach::default();
    for reference in references {
        ports(decoded, reference, sink);
        dependency(decoded, reference, &mut reach, sink);
    }
}

fn ports(decoded: &Decoded, used: &ReferenceUse, sink: &mut Sink) {
    let Some(unit) = decoded.units.get(&used.reference.unit) else {
        return;
    };
    let name = &used.reference.unit;
    let ports = &unit.spec.ports;
    match &used.reference.attribute {
        Attribute::NamedPort(port) => {
            let names: Vec<&str> = ports
                .iter()
                .filter_map(|port| port.name.as_deref())
                .collect();
            if names.contains(&port.as_str()) {
                return;
            }
            let near = sink.suggest(port, names.iter().copied());
            let message = format!("`{name}` has no port named `{port}`");
            sink.error(Code::UnknownAttribute, used.span, message)
                .meant(near);
        }
        Attribute::Port | Attribute::Addr | Attribute::Url if ports.is_empty() => {
            // Where the target itself is wrong, so may be its ports.
            if matches!(unit.spec.target, TargetSpec::Builtin) {
                return;
            }
            let message = format!(
                "`{name}` has no `ports`, so `${{{name}.{}}}` has no value",
                used.reference.attribute
            );
            sink.error(Code::UnknownAttribute, used.span, message)
                .help(format!(
                    "name the port that `{name}` listens on: `ports: [8080]`"
                ));
        }
        _ => {}
    }
}

fn dependency(decoded: &Decoded, used: &ReferenceUse, reach: &mut Reach, sink: &mut Sink) {
    let to = &used.reference.unit;
    let Some((owner, unit)) = used
        .owner
        .as_ref()
        .and_then(|owner| decoded.units.get_key_value(owner.as_str()))
    else {
        return;
    };
    if owner == to || reach.of(decoded, owner).contains(to) {
        return;
    }
    sink.warning(
        Code::ReferenceOnly,
        used.span,
        format!(
            "`{owner}` refers to `{to}`, but does not depend on it: it may have no address yet"
        ),
    )
    .help(format!("add `{to}` to the `dependencies` of `{owner}`"))
    .also(unit.places.key, format!("`{owner}`"));
}

/// What each unit needs, directly or through others; computed once for each that asks.
#[derive(Debug, Default)]
struct Reach {
    known: BTreeMap<UnitName, BTreeSet<UnitName>>,
}

impl Reach {
    fn of(&mut self, decoded: &Decoded, name: &UnitName) -> &BTreeSet<UnitName> {
        self.known.entry(name.clone()).or_insert_with(|| {
            let mut reached = BTreeSet::new();
            let mut open = vec![name.clone()];
            while let Some(name) = open.pop() {
                for edge in decoded
                    .units
                    .get(&name)
                    .map(|unit| unit.edges.as_slice())
                    .unwrap_or_default()
                {
                    if reached.insert(edge.dependency.unit.clone()) {
                        open.push(edge.dependency.unit.clone());
                    }
                }
            }
            reached
        })
    }
}
