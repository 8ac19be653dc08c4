//! References between units.
//!
//! Owns: that a named port exists, and the warning about a reference that is no dependency.

use service_orchestration::spec::{Attribute, TargetSpec, UnitName};

use super::index::Index;
use crate::decode::Decoded;
use crate::report::{Code, Sink};
use crate::text::ReferenceUse;

pub(super) fn check(
    decoded: &Decoded,
    index: &Index<'_>,
    references: &[ReferenceUse],
    sink: &mut Sink,
) {
    // References come unit by unit, so one walk at a time is worth keeping.
    let mut walked: Option<(usize, Vec<bool>)> = None;
    for used in references {
        ports(decoded, used, sink);
        let owner = used.owner.as_ref().and_then(|owner| index.number(owner));
        let to = index.number(used.reference.unit.as_str());
        let (Some(owner), Some(to)) = (owner, to) else {
            continue;
        };
        if owner == to {
            continue;
        }
        let reached = match walked.take().filter(|(walker, _)| *walker == owner) {
            Some((_, reached)) => reached,
            None => index.reached_from(owner),
        };
        if !reached[to] {
            no_dependency(decoded, index.names[owner], used, sink);
        }
        walked = Some((owner, reached));
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
            // Those of a container of somebody else are known once it is seen.
            if matches!(
                unit.spec.target,
                TargetSpec::Builtin | TargetSpec::DockerAttach { .. }
            ) {
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

fn no_dependency(decoded: &Decoded, owner: &UnitName, used: &ReferenceUse, sink: &mut Sink) {
    let to = &used.reference.unit;
    sink.warning(
        Code::ReferenceOnly,
        used.span,
        format!(
            "`{owner}` refers to `{to}`, but does not depend on it: it may have no address yet"
        ),
    )
    .help(format!("add `{to}` to the `dependencies` of `{owner}`"))
    .also(decoded.units[owner].places.key, format!("`{owner}`"));
}
