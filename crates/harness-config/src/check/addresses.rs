//! Networks, ports and names that are addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use service_orchestration::spec::{
    Gate, NetworkKind, NetworkSpec, PortNumber, PortSpec, ProbeAction, Protocol, TargetSpec,
    Template, UnitKind, UnitName,
};

use crate::decode::{Decoded, Unit};
use crate::report::{Code, Sink};
use crate::source::Span;

/// The network that is there without being declared.
const LOCAL: &str = "local";

pub(super) fn check(decoded: &Decoded, sink: &mut Sink) {
    for (name, (network, span)) in &decoded.networks {
        match network.kind {
            NetworkKind::Local => {}
            NetworkKind::Lan => {
                let message = format!("`{name}` is a network of a type that cannot be made yet");
                sink.warning(Code::NetworkNotBuilt, *span, message);
            }
            NetworkKind::Wireguard => mesh(name, network, *span, sink),
        }
    }
    for unit in decoded.units.values() {
        network(decoded, unit, sink);
        bare_names(decoded, unit, sink);
        unreached(decoded, unit, sink);
    }
    port_clashes(decoded, sink);
}

/// What is said of a mesh has to be made so.
fn mesh(name: &str, network: &NetworkSpec, span: Span, sink: &mut Sink) {
    if let Err(error) = network.addresses() {
        sink.error(Code::Invalid, span, error.to_string());
    }
    if network.details.get("config_path").is_some() {
        let message = format!(
            "`config_path` of `{name}` has no effect: each host keeps its own key, and the rest is told to it when it changes"
        );
        sink.warning(Code::NetworkNotBuilt, span, message);
    }
    let nodes = network
        .details
        .get("nodes")
        .and_then(|nodes| nodes.as_array());
    let is_brought = |node: &serde_json::Value| node.get("package_deploy").is_some();
    if nodes.is_some_and(|nodes| nodes.iter().any(is_brought)) {
        let message = format!(
            "`package_deploy` in `{name}` has no effect: `harness deploy` brings packages to hosts"
        );
        sink.warning(Code::NetworkNotBuilt, span, message);
    }
}

fn network(decoded: &Decoded, unit: &Unit, sink: &mut Sink) {
    let Some(name) = unit.spec.network.as_deref() else {
        return;
    };
    if name == LOCAL || decoded.networks.contains_key(name) {
        return;
    }
    let span = unit.places.network.unwrap_or(unit.places.key);
    let known = decoded.networks.keys().map(String::as_str).chain([LOCAL]);
    let near = sink.suggest(name, known);
    sink.error(
        Code::UnknownNetwork,
        span,
        format!("there is no network `{name}`"),
    )
    .meant(near)
    .help("declare it under `networks`, or leave `network` out");
}

/// A process without ports that listens, as its probes or the words of a container say, and that this container needs: it
/// is there to be reached, and may not be. One that only has to be there is not meant.
fn unreached(decoded: &Decoded, unit: &Unit, sink: &mut Sink) {
    let is_apart = match &unit.spec.target {
        TargetSpec::Docker(container) => container.network.is_none(),
        _ => false,
    };
    for dependency in unit.spec.dependencies.iter().filter(|_| is_apart) {
        let Some(other) = decoded.units.get(&dependency.unit) else {
            continue;
        };
        let is_reached = listens(other) || speaks_of(unit, &dependency.unit);
        let is_silent = is_reached
            && matches!(other.spec.target, TargetSpec::Process(_))
            && other.spec.kind == UnitKind::Service
            && other.spec.ports.is_empty();
        if dependency.gate != Some(Gate::Started) {
            uncarried(unit, other, sink);
        }
        if !is_silent || dependency.gate == Some(Gate::Started) {
            continue;
        }
        let (asker, name) = (&unit.spec.name, &dependency.unit);
        let message = format!(
            "the container of `{asker}` needs `{name}`, a process that declares no `ports`: where it listens on loopback only, it is not reached"
        );
        let help = format!(
            "name the port that `{name}` listens on: `ports: [8080]`; a forwarder carries it then"
        );
        sink.warning(Code::NoForwarder, other.places.key, message)
            .help(help);
    }
}

/// A port that a forwarder would not carry, should the process listen on loopback only.
fn uncarried(unit: &Unit, other: &Unit, sink: &mut Sink) {
    let is_process = matches!(other.spec.target, TargetSpec::Process(_));
    let ports = other.spec.ports.iter().zip(&other.places.ports);
    let mut udp = ports.filter(|(port, _)| is_process && port.protocol == Protocol::Udp);
    let Some((_, span)) = udp.next() else {
        return;
    };
    let (asker, name) = (&unit.spec.name, &other.spec.name);
    let message = format!(
        "the container of `{asker}` needs `{name}`, a process with a port of UDP: where it listens on loopback only, it is not reached"
    );
    sink.warning(Code::NoForwarder, *span, message)
        .help("forwarders carry TCP only: have the process listen on every address");
}

/// Whether it is connected to, to see whether it is well.
fn listens(unit: &Unit) -> bool {
    let spec = &unit.spec;
    let probes = [&spec.readiness, &spec.liveness, &spec.startup];
    let mut actions = probes.into_iter().flatten().map(|probe| &probe.action);
    actions.any(|action| matches!(action, ProbeAction::Http { .. } | ProbeAction::Tcp { .. }))
}

/// Whether a container names the address of this unit in its environment or its command.
fn speaks_of(unit: &Unit, name: &UnitName) -> bool {
    let TargetSpec::Docker(container) = &unit.spec.target else {
        return false;
    };
    let words = container.command.iter().chain(&container.entrypoint);
    let words = words.flatten().map(|word| (word, false));
    let env = unit.spec.env.iter();
    let env = env.map(|(key, value)| (value, key.to_ascii_uppercase().contains("HOST")));
    let refers = |text: &Template| {
        let mut references = text.references();
        references.any(|reference| reference.unit == *name)
    };
    env.chain(words).any(|(text, is_host)| {
        let literal = text.as_literal().unwrap_or_default();
        refers(text) || hosts(literal, is_host).contains(&name.as_str())
    })
}

/// Two units on one port of one machine.
fn port_clashes(decoded: &Decoded, sink: &mut Sink) {
    let mut taken: BTreeMap<(Option<&str>, u16, bool), Vec<Taken<'_>>> = BTreeMap::new();
    for unit in decoded.units.values() {
        for (port, span) in unit.spec.ports.iter().zip(&unit.places.ports) {
            let Some((address, number)) = outside(decoded, unit, port) else {
                continue;
            };
            let is_udp = port.protocol == Protocol::Udp;
            let others = taken.entry((host(unit), number, is_udp)).or_default();
            let clash = others.iter().find(|other| meet(other.address, address));
            if let Some(other) = clash.filter(|other| other.span != *span) {
                clash_of(other, unit, number, *span, sink);
            } else {
                others.push(Taken {
                    unit,
                    span: *span,
                    address,
                });
            }
        }
    }
}

/// A port of a machine that a unit has.
struct Taken<'a> {
    unit: &'a Unit,
    span: Span,
    address: IpAddr,
}

/// Within a unit it can only be a mistake; two units may never run at one time.
fn clash_of(other: &Taken<'_>, unit: &Unit, number: u16, span: Span, sink: &mut Sink) {
    let (one, two) = (&other.unit.spec.name, &unit.spec.name);
    let machine = host(unit).unwrap_or("this machine");
    let is_container = |unit: &Unit| matches!(unit.spec.target, TargetSpec::Docker(_));
    if one == two {
        if !is_container(unit) {
            // Of a process that has been said where its ports are read.
            return;
        }
        let message = format!("`{one}` has port {number} of {machine} twice");
        sink.error(Code::Twice, span, message)
            .also(other.span, "the other");
        return;
    }
    let verb = match is_container(other.unit) || is_container(unit) {
        true => "both have",
        false => "both listen on",
    };
    let message = format!("`{one}` and `{two}` {verb} port {number} of {machine}");
    let help = match is_container(unit) {
        true => "without a port outside a free one is chosen, and others are told",
        false => "`port: auto` picks a free one and tells the service",
    };
    sink.warning(Code::PortClash, span, message)
        .also(other.span, format!("`{one}`"))
        .help(help);
}

/// The host of a container; none on this machine.
fn host(unit: &Unit) -> Option<&str> {
    match &unit.spec.target {
        TargetSpec::Docker(container) => container.host.as_deref(),
        _ => None,
    }
}

/// The address and port of its machine that a port of a unit is known to be. A local network with a subnet gives each
/// process an address of its own.
fn outside(decoded: &Decoded, unit: &Unit, port: &PortSpec) -> Option<(IpAddr, u16)> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let (address, number) = match (&unit.spec.target, port.published) {
        (TargetSpec::Process(_), _) => {
            let network = unit.spec.network.as_deref().unwrap_or(LOCAL);
            let network = decoded.networks.get(network);
            if network.is_some_and(|(network, _)| network.subnet.is_some()) {
                return None;
            }
            (loopback, port.port)
        }
        (TargetSpec::Docker(_), Some(published)) => {
            (published.address.unwrap_or(loopback), published.port)
        }
        (TargetSpec::Docker(container), None) if container.network.as_deref() == Some("host") => {
            (everywhere, port.port)
        }
        _ => return None,
    };
    match number {
        PortNumber::Fixed(number) => Some((address, number)),
        PortNumber::Auto => None,
    }
}

/// Whether one port at both addresses is one port. The unspecified address is every one, also that of IPv6 on Linux.
fn meet(one: IpAddr, two: IpAddr) -> bool {
    one == two || one.is_unspecified() || two.is_unspecified()
}

/// Names of services where only containers could resolve them.
fn bare_names(decoded: &Decoded, unit: &Unit, sink: &mut Sink) {
    let args: &[Template] = match &unit.spec.target {
        TargetSpec::Process(process) => &process.args,
        TargetSpec::Remote(remote) => match &remote.run {
            service_orchestration::spec::RemoteRun::Program(program) => &program.args,
            service_orchestration::spec::RemoteRun::Package(_) => &[],
        },
        TargetSpec::Package(_) => &[],
        _ => return,
    };
    let env = unit.spec.env.iter().filter_map(|(key, value)| {
        let span = unit.places.env.get(key)?;
        Some((value, *span, key.to_ascii_uppercase().contains("HOST")))
    });
    let args = args
        .iter()
        .zip(&unit.places.args)
        .map(|(value, span)| (value, *span, false));
    for (value, span, is_host) in env.chain(args) {
        let Some(text) = value.as_literal() else {
            continue;
        };
        let named = hosts(text, is_host)
            .into_iter()
            .find(|host| decoded.units.contains_key(*host));
        if let Some(host) = named.filter(|host| *host != "localhost") {
            let owner = &unit.spec.name;
            sink.warning(
                Code::BareName,
                span,
                format!(
                    "`{host}` is a service's name, and nothing resolves it where `{owner}` runs"
                ),
            )
            .help(format!(
                "write `${{{host}.host}}` or `${{{host}.addr}}`, or read the injected `{}_HOST`",
                host.to_ascii_uppercase().replace('-', "_")
            ));
        }
    }
}

/// What may be a host in a text: of URLs, of `host:port`, or the whole text when it is called a host.
fn hosts(text: &str, is_host: bool) -> Vec<&str> {
    let mut hosts = Vec::new();
    if is_host {
        hosts.push(text);
    }
    if let Some((host, port)) = text.split_once(':')
        && !port.is_empty()
        && port.chars().all(|c| c.is_ascii_digit())
    {
        hosts.push(host);
    }
    for (at, _) in text.match_indices("://") {
        let authority = text[at + 3..]
            .split(['/', '?', '#', ',', ' '])
            .next()
            .unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or(authority);
        hosts.push(host.split(':').next().unwrap_or(host));
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn hosts_are_found_where_they_are_meant() {
        assert_eq!(hosts("postgres", false), Vec::<&str>::new());
        assert_eq!(hosts("postgres", true), ["postgres"]);
        assert_eq!(hosts("ipfs:5001", false), ["ipfs"]);
        assert_eq!(hosts("mainnet:http://anvil:8545", false), ["anvil"]);
        assert_eq!(hosts("postgres://u:p@db/x", false), ["db"]);
    }
}
