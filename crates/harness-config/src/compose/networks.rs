//! Networks.
//!
//! Owns: that all containers of a stack are on one network, but for those that Compose puts on one of somebody else and on no
//! other, and what is said where Compose kept them apart.

use std::collections::BTreeSet;

use super::convert::Converter;
use super::inner;
use super::nodes::{entry, get, list, map, one_or_more, text, written};
use super::service::Draft;
use crate::source::Span;
use crate::yaml::{Entry, Node, Value, shorten};

/// `networks` of the top level.
pub(super) fn declared(converter: &mut Converter<'_>, top: &Entry) {
    let services = converter.root.entry("services");
    let services = services.map(|entry| entry.value.entries());
    let services = services.unwrap_or_default().iter();
    let services = services.filter(|service| get(&service.value, "network_mode").is_none());
    let (elsewhere, here): (Vec<_>, Vec<_>) = services
        .map(|service| joined(&service.value))
        .partition(|names| is_elsewhere(converter, top, names));
    let sets: BTreeSet<Vec<&str>> = here.into_iter().collect();
    if sets.len() > 1 {
        let but = match elsewhere.is_empty() {
            true => "",
            false => ", but for those on external networks alone",
        };
        let message = format!(
            "the networks are one here: every container of the stack reaches every other{but}"
        );
        converter.changed(
            top.key_span,
            message,
            "what must not be reached goes into a stack of its own",
        );
    }
    for network in top.value.entries() {
        let name = shorten(&network.key);
        let is_said = is_only_external(converter, network);
        let of = format!("the network `{name}`");
        converter.misspelt_within(&network.value, inner::NETWORK, &of);
        for part in network
            .value
            .entries()
            .iter()
            .filter(|part| !part.value.is_null())
        {
            let said = converter.value(&part.value);
            let (means, instead) = match (part.key.as_str(), said.as_deref()) {
                ("external" | "name", _) if is_said => continue,
                ("driver", Some("bridge" | "default"))
                | ("external" | "internal" | "attachable" | "enable_ipv6", Some("false"))
                | ("enable_ipv4" | "attachable", Some("true")) => continue,
                ("external", _) => (
                    "containers of other stacks are not reached by their names",
                    "publish a port of theirs, or attach to them: `type: docker-attach`",
                ),
                ("internal", _) => (
                    "its containers reach the world outside",
                    "keep them from it with a firewall",
                ),
                ("ipam", _) => (
                    "addresses are chosen by the engine",
                    "use names instead of addresses",
                ),
                ("driver" | "driver_opts", _) => (
                    "the network is the engine's usual bridge",
                    "set the engine's defaults",
                ),
                ("enable_ipv6", _) => ("addresses are IPv4", "use names instead of addresses"),
                ("name", _) => (
                    "the network is called after the stack",
                    "nothing is to be done unless a tool looks for it",
                ),
                (key, _) if !inner::NETWORK.contains(&key) => continue,
                _ => (
                    "the stack file cannot say it",
                    "nothing is to be done unless a tool looks for it",
                ),
            };
            let what = format!("`{}` of the network `{name}`", shorten(&part.key));
            converter.lost(part.key_span, &what, means, instead);
        }
    }
}

/// The names of the networks that a service is on.
fn joined(service: &Node) -> Vec<&str> {
    let Some(node) = get(service, "networks") else {
        return vec!["default"];
    };
    let mut names: Vec<&str> = match &node.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        Value::List(_) | Value::Scalar(_) => {
            one_or_more(node).into_iter().filter_map(written).collect()
        }
    };
    names.sort_unstable();
    names
}

/// The name at the engine of a network that somebody else made.
fn external(converter: &Converter<'_>, network: &Entry) -> Option<Node> {
    let own = get(&network.value, "external")?;
    let name = match &own.value {
        // As it was written once.
        Value::Map(_) => get(own, "name"),
        _ if converter.value(own).as_deref() == Some("true") => get(&network.value, "name"),
        _ => return None,
    };
    let key = || text(network.key_span, &network.key);
    Some(name.cloned().unwrap_or_else(key))
}

/// Whether a service with these networks is on one of somebody else's alone.
fn is_elsewhere(converter: &Converter<'_>, networks: &Entry, names: &[&str]) -> bool {
    let [name] = names else {
        return false;
    };
    let network = networks.value.entry(name);
    network.is_some_and(|network| external(converter, network).is_some())
}

/// Whether a network is somebody else's, and whoever is on it is on no other: then that can be said of each.
fn is_only_external(converter: &mut Converter<'_>, network: &Entry) -> bool {
    if external(converter, network).is_none() {
        return false;
    }
    let services = converter
        .root
        .entry("services")
        .map(|entry| entry.value.entries());
    let mut members = services
        .unwrap_or_default()
        .iter()
        .filter(|service| get(&service.value, "network_mode").is_none())
        .map(|service| joined(&service.value))
        .filter(|names| names.contains(&network.key.as_str()))
        .peekable();
    members.peek().is_some() && members.all(|names| names.len() == 1)
}

/// Once all of a service is known: the network of somebody else that it is on, or its other names on the stack's.
pub(super) fn settle(converter: &mut Converter<'_>, draft: &mut Draft<'_>) {
    if draft.engine_network.is_some() || get(draft.source, "network_mode").is_some() {
        return;
    }
    let names = joined(draft.source);
    let network = match (names.as_slice(), converter.root.entry("networks")) {
        ([name], Some(top)) => top.value.entry(name),
        _ => None,
    };
    let engine = network.and_then(|network| external(converter, network));
    let found: Vec<(Span, Node)> = aliases_of(draft.source, draft.name);
    let Some((span, _)) = found.first() else {
        draft.engine_network = engine;
        return;
    };
    let span = *span;
    if engine.is_none() {
        let names = list(span, found.into_iter().map(|(_, alias)| alias).collect());
        let member = map(span, vec![entry("aliases", span, names)]);
        draft.put_in("networks", "default", span, member);
        return;
    }
    for (_, alias) in found {
        let name = shorten(written(&alias).unwrap_or_default()).to_string();
        let service = shorten(draft.name);
        let what = format!("the name `{name}` for `{service}`");
        let instead = format!("use the name `{service}`");
        converter.lost(alias.span, &what, "it does not resolve", &instead);
    }
    draft.engine_network = engine;
}

/// The names of a service beside its own, on whatever network, each once.
fn aliases_of(service: &Node, own: &str) -> Vec<(Span, Node)> {
    let networks = get(service, "networks").map(Node::entries);
    let mut found: Vec<(Span, Node)> = Vec::new();
    for network in networks.unwrap_or_default() {
        let Some(aliases) = network.value.entry("aliases") else {
            continue;
        };
        for alias in one_or_more(&aliases.value) {
            let is_known = |(_, known): &(Span, Node)| written(known) == written(alias);
            if written(alias) != Some(own) && !found.iter().any(is_known) {
                found.push((aliases.key_span, alias.clone()));
            }
        }
    }
    found
}

/// `networks` of a service: on which it is was said for all of them.
pub(super) fn turn(converter: &mut Converter<'_>, draft: &Draft<'_>, own: &Entry) {
    for network in own.value.entries() {
        for part in network
            .value
            .entries()
            .iter()
            .filter(|part| !part.value.is_null())
        {
            let key = part.key.as_str();
            let of = format!("`networks` of `{}`", shorten(draft.name));
            let is_taken = matches!(key, "aliases" | "priority" | "gw_priority");
            if is_taken
                || key.starts_with("x-")
                || converter.is_misspelt(part, inner::MEMBERSHIP, &of)
            {
                continue;
            }
            let what = format!("`{}` of `{}`", shorten(&part.key), shorten(draft.name));
            converter.lost(
                part.key_span,
                &what,
                "addresses are chosen by the engine",
                "use names instead of addresses",
            );
        }
    }
}

/// `network_mode`.
pub(super) fn mode(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let mode = converter.value(&own.value).unwrap_or_default();
    match mode.as_str() {
        "bridge" | "default" => {}
        "host" | "none" => draft.engine_network = Some(text(own.value.span, mode)),
        other => {
            let what = format!(
                "`network_mode: {}` of `{}`",
                shorten(other),
                shorten(draft.name)
            );
            converter.lost(
                own.key_span,
                &what,
                "it has an address of its own, and `localhost` is itself",
                "use the other's name, and publish the ports where they are served",
            );
            super::depends::turn(converter, draft, own);
        }
    }
}
