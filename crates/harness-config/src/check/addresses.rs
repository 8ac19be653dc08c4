//! Networks, ports and names that are addresses.

use std::collections::BTreeMap;

use service_orchestration::spec::{NetworkKind, PortNumber, TargetSpec, Template};

use crate::decode::{Decoded, Unit};
use crate::report::{Code, Sink};
use crate::source::Span;

/// The network that is there without being declared.
const LOCAL: &str = "local";

pub(super) fn check(decoded: &Decoded, sink: &mut Sink) {
    for (name, (network, span)) in &decoded.networks {
        if network.kind != NetworkKind::Local {
            let message = format!("`{name}` is a network of a type that cannot be made yet");
            sink.warning(Code::NetworkNotBuilt, *span, message);
        }
    }
    for unit in decoded.units.values() {
        network(decoded, unit, sink);
        bare_names(decoded, unit, sink);
    }
    port_clashes(decoded, sink);
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

/// Two local processes on one address. A local network with a subnet gives each an address of its own.
fn port_clashes(decoded: &Decoded, sink: &mut Sink) {
    let mut taken: BTreeMap<u16, (&Unit, Span)> = BTreeMap::new();
    for unit in decoded.units.values() {
        let network = unit.spec.network.as_deref().unwrap_or(LOCAL);
        let has_own_address = decoded
            .networks
            .get(network)
            .is_some_and(|(n, _)| n.subnet.is_some());
        if has_own_address || !matches!(unit.spec.target, TargetSpec::Process(_)) {
            continue;
        }
        for (port, span) in unit.spec.ports.iter().zip(&unit.places.ports) {
            let PortNumber::Fixed(number) = port.port else {
                continue;
            };
            match taken.get(&number) {
                Some((other, first)) if other.spec.name != unit.spec.name => {
                    let (one, two) = (&other.spec.name, &unit.spec.name);
                    let message =
                        format!("`{one}` and `{two}` both listen on port {number} of this machine");
                    sink.warning(Code::PortClash, *span, message)
                        .also(*first, format!("`{one}`"))
                        .help("`port: auto` picks a free one and tells the service");
                }
                Some(_) => {}
                None => {
                    taken.insert(number, (unit, *span));
                }
            }
        }
    }
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
