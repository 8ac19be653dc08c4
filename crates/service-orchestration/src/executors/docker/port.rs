//! Published ports that are taken.
//!
//! Owns: who has such a port, as far as the engine and the kernel tell it. Frees none.

use std::net::SocketAddr;

use command_executor::blocking;
use container_engine::{ContainerSummary, Engine, Filters};

use super::Shared;
use super::identity::{COMPOSE_PROJECT, HOME, STACK, unit_of};
use super::site::Site;
use crate::listening::{self, Program};

/// In whose hands a port of this machine is, and what can be done.
pub(super) async fn taken(shared: &Shared, home: &str, port: u16, own: &str) -> String {
    let found = match shared.engine() {
        Ok(engine) => container(engine, port, own).await,
        Err(_) => None,
    };
    let by = match (found, &shared.site) {
        (Some(container), _) => described(&container, home),
        (None, Site::There(_)) => "another program".to_owned(),
        (None, Site::Here) => {
            let found = blocking::unblock(move || listening::program_at(port)).await;
            found.map_or_else(|| "another program".to_owned(), |found| process(&found))
        }
    };
    let machine = shared.site.name();
    format!("port {port} of {machine} is taken by {by}: stop that, or publish another port")
}

/// The port that could not be had, where the engine does not say: the first that is listened on.
pub(super) fn suspect(published: impl Iterator<Item = SocketAddr>) -> Option<u16> {
    let published: Vec<SocketAddr> = published.collect();
    let listening = published.iter().find(|at| listening::is_listened(**at));
    listening.or(published.first()).map(SocketAddr::port)
}

async fn container(engine: &Engine, port: u16, own: &str) -> Option<ContainerSummary> {
    let publishing = Filters::all()
        .by("publish", &port.to_string())
        .by("status", "running");
    // An engine that does not know the question has no answer.
    let found = engine.list(&publishing).await.unwrap_or_default();
    found.into_iter().find(|other| other.id.as_str() != own)
}

fn described(container: &ContainerSummary, home: &str) -> String {
    let label = |label: &str| container.labels.get(label);
    let name = &container.name;
    let is_ours = label(HOME).is_some_and(|label| label == home);
    match (
        is_ours,
        unit_of(&container.labels),
        label(STACK),
        label(COMPOSE_PROJECT),
    ) {
        (true, Some(unit), _, _) => format!(
            "container `{name}`, which is `{}` of stack `{}` here",
            unit.local_name(),
            unit.stack
        ),
        (_, _, Some(stack), _) => {
            format!("container `{name}` of stack `{stack}` of another installation")
        }
        (_, _, None, Some(project)) => format!("container `{name}` of Compose project `{project}`"),
        (_, _, None, None) => format!("container `{name}`, which somebody else made"),
    }
}

fn process(program: &Program) -> String {
    let Program { pid, name, unit } = program;
    match unit {
        Some((stack, unit)) => {
            format!("process {pid} (`{name}`), which is `{unit}` of stack `{stack}`")
        }
        None => format!("process {pid} (`{name}`)"),
    }
}
