//! Turning the specification of a container into an order.
//!
//! Owns: what a container is told of its own ports, and of those that it needs: names, addresses, ways through the
//! gateway.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use service_registry::{Endpoint, Place, Reason, Resolved};

use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::{
    CheckOrder, ContainerOrder, Forward, GroundOrder, LaunchError, PortOrder, Progress,
};
use crate::model::Attempt;
use crate::spec::{
    ContainerTarget, Probe, ProbeAction, Protocol, ServiceSpec, StackSpec, TargetKind, TargetSpec,
    Template, UnitKind,
};

impl Supervisor {
    /// What an executor must know to make the ground of an attempt.
    pub(super) fn ground_order(
        &self,
        entry: &UnitEntry,
        attempt: Attempt,
    ) -> Result<GroundOrder, LaunchError> {
        let stack = self.units.stack(&entry.id.stack);
        let stack = stack.expect("a unit is forgotten before its stack");
        let image = match &entry.described().target {
            TargetSpec::Docker(target) => self.maybe(entry, target.image.as_ref())?,
            _ => None,
        };
        Ok(GroundOrder {
            unit: entry.id.clone(),
            attempt: attempt.0,
            target: entry.described().target.clone(),
            image,
            directory: stack.directory.clone(),
            since: entry.image_since,
            progress: Progress::default(),
        })
    }

    pub(super) fn container(
        &self,
        entry: &UnitEntry,
        stack: &StackSpec,
        target: &ContainerTarget,
    ) -> Result<ContainerOrder, LaunchError> {
        let (hosts, forwards) = self.neighbours(entry);
        Ok(ContainerOrder {
            image: self.maybe(entry, target.image.as_ref())?,
            command: self.words(entry, target.command.as_deref())?,
            entrypoint: self.words(entry, target.entrypoint.as_deref())?,
            working_dir: self.maybe(entry, target.working_dir.as_ref())?,
            ports: entry
                .numbered_ports()
                .map(|(position, port, inside)| PortOrder {
                    inside,
                    protocol: port.protocol,
                    published: entry.published(position, port),
                })
                .collect(),
            hosts,
            forwards,
            files: stack.files.clone(),
            volumes: stack.volumes.clone(),
            labels: entry.described().labels.clone(),
            hash: entry.hash.clone(),
            told: self.only_told(entry),
            keep: entry.described().keeps_container(),
            check: check_order(entry.described(), target),
        })
    }

    /// The names of the variables that a container has only because it is told them.
    fn only_told(&self, entry: &UnitEntry) -> BTreeSet<String> {
        let said = &entry.described().env;
        let told = self.told_to(entry).into_keys();
        told.filter(|name| !said.contains_key(name)).collect()
    }

    /// The names of what a container needs that its own network does not resolve, and what of it may listen on this
    /// machine's loopback only.
    fn neighbours(&self, asker: &UnitEntry) -> (Vec<(String, IpAddr)>, Vec<Forward>) {
        let (mut hosts, mut forwards) = (Vec::new(), Vec::new());
        let from = self.place_of(asker);
        for dependency in &asker.described().dependencies {
            let instances = self.units.instances(&asker.id.stack, &dependency.unit);
            let Some(other) = instances.first().map(|index| self.units.get(*index)) else {
                continue;
            };
            if other.spec.kind != UnitKind::Service {
                continue;
            }
            let Some(resolved) = self.locate(asker, other) else {
                continue;
            };
            let ways = ways(&from, other, &resolved);
            forwards.extend(ways.forwards.into_iter().flatten());
            hosts.extend(ways.host.map(|ip| (dependency.unit.to_string(), ip)));
        }
        (hosts, forwards)
    }

    fn maybe(
        &self,
        entry: &UnitEntry,
        template: Option<&Template>,
    ) -> Result<Option<String>, LaunchError> {
        template.map(|text| self.text(entry, text)).transpose()
    }

    fn words(
        &self,
        entry: &UnitEntry,
        words: Option<&[Template]>,
    ) -> Result<Option<Vec<String>>, LaunchError> {
        let all = |words: &[Template]| words.iter().map(|word| self.text(entry, word)).collect();
        words.map(all).transpose()
    }
}

/// What becomes of the check of its image: it runs where its word counts, or where nobody says anything of it.
fn check_order(spec: &ServiceSpec, target: &ContainerTarget) -> CheckOrder {
    let asks = |probe: &Option<Probe>| {
        let probe = probe.as_ref();
        probe.is_some_and(|probe| matches!(probe.action, ProbeAction::Container))
    };
    let gates = [&spec.startup, &spec.readiness];
    match spec.kind {
        _ if gates.into_iter().any(asks) => CheckOrder::Needed,
        _ if asks(&spec.liveness) => CheckOrder::IfAny,
        _ if target.no_check => CheckOrder::Off,
        UnitKind::Service if !spec.is_judged_by_image() => CheckOrder::Replaced,
        UnitKind::Service | UnitKind::Task => CheckOrder::IfAny,
    }
}

/// What a container needs besides an address to reach a unit.
#[derive(Debug)]
pub(super) struct Ways {
    /// What stands for the unit's name in the container's hosts file, when nothing else resolves it.
    pub(super) host: Option<IpAddr>,
    /// For each port, how connections to it are carried, when the unit may listen on this machine's loopback only.
    pub(super) forwards: Vec<Option<Forward>>,
}

/// What a container needs to reach this unit where it was resolved.
pub(super) fn ways(from: &Place, other: &UnitEntry, resolved: &Resolved) -> Ways {
    let entry = &resolved.entry;
    // On this machine's own network its loopback is the container's, too.
    let is_apart = !matches!(from, Place::Host(_));
    let is_behind_loopback = is_apart && entry.place == Place::local() && entry.ip.is_loopback();
    // What SSH carries listens on loopback, too.
    let is_carried_on = is_apart && resolved.route.reason == Reason::Forward;
    let protocols = other.numbered_ports().map(|(_, port, _)| port.protocol);
    let forward = |((endpoint, listen), protocol): ((&Endpoint, SocketAddr), Protocol)| {
        let to = match is_carried_on {
            true => Some((Ipv4Addr::LOCALHOST.into(), listen.port())),
            false => is_behind_loopback.then_some((entry.ip, endpoint.port)),
        };
        let to = to.filter(|_| protocol == Protocol::Tcp);
        to.map(|to| Forward {
            listen,
            to: to.into(),
        })
    };
    // Our own containers on its networks are resolved by the engine, which follows them when they move.
    let has_alias = resolved.route.reason == Reason::SharedNetwork
        && other.described().target.kind() == TargetKind::Docker;
    Ways {
        host: (!has_alias).then(|| resolved.ip()),
        forwards: resolved.endpoints().zip(protocols).map(forward).collect(),
    }
}

/// Where a published port is listened for when the file names no address.
pub(super) const PUBLISHED_AT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
