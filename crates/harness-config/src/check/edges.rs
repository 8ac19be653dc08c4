//! Whether what is needed is there, and of the kind that was said.

use service_orchestration::spec::UnitKind;

use crate::decode::{Decoded, Edge};
use crate::report::{Code, Sink};

pub(super) fn check(decoded: &Decoded, sink: &mut Sink) {
    for unit in decoded.units.values() {
        for edge in &unit.edges {
            one(decoded, edge, sink);
        }
    }
}

fn one(decoded: &Decoded, edge: &Edge, sink: &mut Sink) {
    let name = &edge.dependency.unit;
    let Some(other) = decoded.units.get(name) else {
        let what = match edge.claimed {
            Some(UnitKind::Service) => "service",
            Some(UnitKind::Task) => "task",
            None => "service or task",
        };
        let near = sink.suggest(
            name.as_str(),
            decoded.units.keys().map(|name| name.as_str()),
        );
        let message = format!("there is no {what} `{name}`");
        sink.error(Code::UnknownUnit, edge.span, message)
            .meant(near);
        return;
    };
    let message = match (edge.claimed, other.spec.kind) {
        (Some(UnitKind::Service), UnitKind::Task) => {
            format!("`{name}` is a task; write `- task: {name}`")
        }
        (Some(UnitKind::Task), UnitKind::Service) => {
            format!("`{name}` is a service; write `- service: {name}`")
        }
        (None, _)
        | (Some(UnitKind::Service), UnitKind::Service)
        | (Some(UnitKind::Task), UnitKind::Task) => return,
    };
    sink.error(Code::WrongKind, edge.span, message)
        .also(other.places.key, "it stands here");
}
