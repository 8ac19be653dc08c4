//! What cannot be run yet.
//!
//! Owns: the one list of reasons, for warnings of a load and for whoever is about to start a unit.

use service_orchestration::spec::{
    NetworkKind, Origin, ServiceSpec, StackSpec, TargetKind, TargetSpec, UnitKind, UnitName,
};

use crate::decode::Decoded;
use crate::input::Sources;
use crate::report::{Code, Sink};

/// A unit that cannot be run yet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The unit.
    pub unit: UnitName,
    /// Why, as a fragment: `targets of type docker cannot be run yet`.
    pub reason: String,
    /// Where the unit stands.
    pub origin: Origin,
}

/// The units of a stack that cannot be run yet, where processes can. A start that needs one of them is to be refused.
pub fn unsupported(stack: &StackSpec) -> Vec<Unsupported> {
    unsupported_with(stack, &Sources::new())
}

/// The same, with what is said of the machine that the stack is read on.
pub fn unsupported_with(stack: &StackSpec, sources: &Sources) -> Vec<Unsupported> {
    let of = |unit: &ServiceSpec| {
        let network = unit
            .network
            .as_ref()
            .and_then(|name| stack.networks.get(name));
        let reason = reason(unit, sources).or_else(|| {
            let kind = network.map(|network| network.kind)?;
            (kind == NetworkKind::Lan)
                .then(|| "it is on a network that cannot be made yet".to_owned())
        })?;
        Some(Unsupported {
            unit: unit.name.clone(),
            reason,
            origin: unit.origin.clone(),
        })
    };
    stack.units.values().filter_map(of).collect()
}

fn reason(unit: &ServiceSpec, sources: &Sources) -> Option<String> {
    let kind = unit.target.kind();
    match kind {
        kind if sources.runnable.contains(&kind) => None,
        TargetKind::Remote | TargetKind::Docker | TargetKind::DockerAttach => {
            unknown_host(unit, sources)
        }
        TargetKind::Process | TargetKind::ProcessAttach => None,
        TargetKind::Builtin => Some(match &unit.type_name {
            Some(name) => {
                format!("it has no target, and no implementation of `{name}` is registered here")
            }
            None => "it has no target".to_owned(),
        }),
        TargetKind::Package => Some(
            "`version` and `install_path` of a package cannot be followed: `package` names the archive, and `harness deploy` its version".to_owned(),
        ),
        _ => Some(format!("targets of type {kind} cannot be run yet")),
    }
}

/// What is in the way of what runs on another machine.
fn unknown_host(unit: &ServiceSpec, sources: &Sources) -> Option<String> {
    let host = match &unit.target {
        TargetSpec::Remote(remote) => &remote.host,
        TargetSpec::Docker(container) => container.host.as_ref()?,
        TargetSpec::DockerAttach { host, .. } => host.as_ref()?,
        _ => return None,
    };
    let is_unknown = sources
        .hosts
        .as_ref()
        .is_some_and(|known| !known.contains(host));
    is_unknown.then(|| {
        format!("there is no host `{host}`: `harness host add {host} --address ADDRESS` adds it")
    })
}

pub(super) fn check(decoded: &Decoded, sources: &Sources, sink: &mut Sink) {
    // What could not be run is worth saying of a file that is right; beside errors it is noise. With an error about a
    // target, `Builtin` also only stands in for it.
    if sink.has_errors() {
        return;
    }
    for unit in decoded.units.values() {
        let spec = &unit.spec;
        let registered = spec
            .type_name
            .as_ref()
            .is_some_and(|name| sources.implementations.contains(name));
        match spec.target {
            TargetSpec::Builtin if registered => continue,
            TargetSpec::Builtin => {
                let reason = reason(spec, sources).expect("nothing runs a unit without a target");
                let message = format!("`{}` cannot be run yet: {reason}", spec.name);
                sink.warning(
                    Code::NothingToRun,
                    unit.places.type_name.unwrap_or(unit.places.key),
                    message,
                );
                continue;
            }
            _ => {}
        }
        if let Some(reason) = reason(spec, sources) {
            let message = format!("`{}`: {reason}", spec.name);
            sink.warning(Code::NotRunnable, unit.places.target, message);
        }
        if let (Some(span), Some(name), false) =
            (unit.places.type_name, &spec.type_name, registered)
        {
            let key = match spec.kind {
                UnitKind::Service => "service_type",
                UnitKind::Task => "task_type",
            };
            let message = format!(
                "no implementation of {key} `{name}` is registered here; the target is run as it is"
            );
            sink.warning(Code::Unregistered, span, message);
        }
    }
}
