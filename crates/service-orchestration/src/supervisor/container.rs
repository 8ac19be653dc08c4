//! Turning the specification of a container into an order.
//!
//! Owns: what a container is told of its own ports, and of those that it needs: names, addresses, ways through the
//! gateway.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use service_registry::Place;

use super::turn::Supervisor;
use super::units::UnitEntry;
use crate::executors::{ContainerOrder, Forward, GroundOrder, LaunchError, PortOrder};
use crate::model::Attempt;
use crate::spec::{ContainerTarget, Protocol, StackSpec, TargetSpec, Template, UnitKind};

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
            volumes: stack.volumes.clone(),
            labels: entry.described().labels.clone(),
            hash: entry.hash.clone(),
        })
    }

    /// The names of what a container needs that its own network does not resolve, and what of it may listen on this
    /// machine's loopback only.
    fn neighbours(&self, asker: &UnitEntry) -> (Vec<(String, IpAddr)>, Vec<Forward>) {
        let (mut hosts, mut forwards) = (Vec::new(), Vec::new());
        let from = self.place_of(asker);
        if matches!(from, Place::Host(_)) {
            return (hosts, forwards);
        }
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
            let is_local = resolved.entry.place == Place::local();
            if is_local && resolved.entry.ip.is_loopback() {
                let udp = other
                    .numbered_ports()
                    .map(|(_, port, _)| port.protocol == Protocol::Udp);
                let ways = resolved.endpoints().zip(udp).filter(|(_, is_udp)| !is_udp);
                forwards.extend(ways.map(|((endpoint, listen), _)| Forward {
                    listen,
                    to: SocketAddr::new(resolved.entry.ip, endpoint.port),
                }));
            }
            // Neighbours on its own networks are resolved by the engine, which follows them when they move.
            if resolved.route.reason != service_registry::Reason::SharedNetwork {
                hosts.push((dependency.unit.to_string(), resolved.ip()));
            }
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

/// Where a published port is listened for when the file names no address.
pub(super) const PUBLISHED_AT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
