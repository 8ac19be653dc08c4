//! The ports of a unit: which they are, and where its machine listens for them.
//!
//! Owns: what becomes of what the definition says once free ones were chosen, and once the engine has told of a container of
//! somebody else. Which ports are free is [`super::address`]'s.

use std::net::SocketAddr;

use super::units::UnitEntry;
use crate::spec::{PortNumber, PortSpec, TargetSpec};

impl UnitEntry {
    /// Its ports, those that were chosen included, by name.
    pub(crate) fn ports(&self) -> Vec<(Option<String>, u16)> {
        let ports = self.numbered_ports();
        ports
            .map(|(_, port, number)| (port.name.clone(), number))
            .collect()
    }

    /// The ports of this machine that are its.
    pub(crate) fn ports_of_machine(&self) -> Vec<u16> {
        let is_apart = match &self.described().target {
            TargetSpec::Docker(container) => !container.is_on_host(),
            TargetSpec::DockerAttach { .. } => !self.facts.is_on_host,
            _ => false,
        };
        let ports = self.numbered_ports();
        ports
            .filter_map(|(position, port, number)| match is_apart {
                true => self.published(position, port).map(|address| address.port()),
                false => Some(number),
            })
            .collect()
    }

    /// Its ports. Those of a container of somebody else are known once it was seen.
    fn port_specs(&self) -> &[PortSpec] {
        match self.facts.seen_ports.as_slice() {
            [] => &self.described().ports,
            seen => seen,
        }
    }

    /// Takes in what an engine tells of the ports of a container of somebody else. What its definition names is meant, and all
    /// of them where it names none.
    pub(crate) fn see_ports(&mut self, seen: Vec<PortSpec>) {
        let is_attached = matches!(self.described().target, TargetSpec::DockerAttach { .. });
        let declared = &self.described().ports;
        self.facts.seen_ports = match (is_attached, declared.is_empty()) {
            (false, _) => Vec::new(),
            (true, true) => seen,
            (true, false) => {
                let published = |port: &PortSpec| {
                    let mut seen = seen.iter();
                    let same =
                        |seen: &&PortSpec| seen.port == port.port && seen.protocol == port.protocol;
                    seen.find(same).and_then(|seen| seen.published)
                };
                let merged = declared.iter().map(|port| PortSpec {
                    published: published(port),
                    ..port.clone()
                });
                merged.collect()
            }
        };
    }

    /// Its ports that have a number, each with its place in the definition. Of a container: those inside.
    pub(crate) fn numbered_ports(&self) -> impl Iterator<Item = (usize, &PortSpec, u16)> {
        let ports = self.port_specs().iter().enumerate();
        ports.filter_map(|(position, port)| {
            Some((position, port, self.number(position, port.port)?))
        })
    }

    /// Where the machine listens for a container's port.
    pub(crate) fn published(&self, position: usize, port: &PortSpec) -> Option<SocketAddr> {
        let published = port.published?;
        let number = self.number(position, published.port)?;
        let address = published.address.unwrap_or(super::container::PUBLISHED_AT);
        Some(SocketAddr::new(address, number))
    }

    fn number(&self, position: usize, port: PortNumber) -> Option<u16> {
        match port {
            PortNumber::Fixed(number) => Some(number),
            PortNumber::Auto => {
                let position = u32::try_from(position).ok()?;
                self.facts.chosen_ports.get(&position).copied()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Index;
    use crate::spec::{ProcessTarget, Protocol, Published, UnitKind};
    use crate::spec::{ServiceSpec, StackName, UnitId, UnitName};

    fn entry(target: TargetSpec, ports: Vec<PortSpec>) -> UnitEntry {
        let name = UnitName::new("db").expect("a legal name");
        let stack = StackName::new("web").expect("a legal name");
        let mut spec = ServiceSpec::new(name.clone(), UnitKind::Service, target);
        spec.ports = ports;
        UnitEntry::new(
            UnitId::single(stack, name),
            Index(1),
            Arc::new(spec),
            String::new(),
        )
    }

    #[test]
    fn what_a_definition_names_of_an_attached_container_is_found_where_it_is_published() {
        let attached = || TargetSpec::DockerAttach {
            container: "pg".into(),
            host: None,
        };
        let inside = |number| PortSpec::new(PortNumber::Fixed(number));
        let seen = |number, outside| PortSpec {
            published: Some(Published {
                address: None,
                port: PortNumber::Fixed(outside),
            }),
            ..inside(number)
        };
        let told = vec![seen(80, 40_080), seen(5432, 45_432), inside(22)];
        let ports = |mut entry: UnitEntry| {
            entry.see_ports(told.clone());
            let ports = entry.numbered_ports();
            let each = ports.map(|(at, port, number)| {
                (
                    port.name.clone(),
                    number,
                    entry.published(at, port).map(|at| at.port()),
                )
            });
            each.collect::<Vec<_>>()
        };
        let all = [
            (None, 80, Some(40_080)),
            (None, 5432, Some(45_432)),
            (None, 22, None),
        ];
        assert_eq!(ports(entry(attached(), Vec::new())), all);
        let sql = PortSpec {
            name: Some("sql".into()),
            ..inside(5432)
        };
        let udp = PortSpec {
            protocol: Protocol::Udp,
            ..inside(80)
        };
        assert_eq!(
            ports(entry(attached(), vec![sql, udp])),
            [(Some("sql".into()), 5432, Some(45_432)), (None, 80, None)]
        );
        let process = TargetSpec::Process(ProcessTarget::default());
        assert_eq!(ports(entry(process, vec![inside(1)])), [(None, 1, None)]);
    }
}
