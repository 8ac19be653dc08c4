//! Networks.
//!
//! Owns: that all containers of a stack are on one network, and what is said where Compose kept them apart.

use std::collections::BTreeSet;

use super::convert::{Converter, stack_field};
use super::nodes::{get, list, one_or_more, text, written};
use super::service::Draft;
use crate::yaml::{Entry, Node, Value, shorten};

/// `networks` of the top level.
pub(super) fn declared(converter: &mut Converter<'_>, top: &Entry) {
    let services = converter
        .root
        .entry("services")
        .map(|entry| entry.value.entries());
    let sets: BTreeSet<Vec<&str>> = services
        .unwrap_or_default()
        .iter()
        .filter(|service| get(&service.value, "network_mode").is_none())
        .map(|service| joined(&service.value))
        .collect();
    if sets.len() > 1 {
        let message = "the networks are one here: every container of the stack reaches every other"
            .to_owned();
        converter.changed(
            top.key_span,
            message,
            "what must not be reached goes into a stack of its own",
        );
    }
    for network in top.value.entries() {
        let name = shorten(&network.key);
        for part in network
            .value
            .entries()
            .iter()
            .filter(|part| !part.value.is_null())
        {
            let said = converter.value(&part.value);
            let (means, instead) = match (part.key.as_str(), said.as_deref()) {
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
                (key, _) if key.starts_with("x-") => continue,
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

/// `networks` of a service: on which it is was said for all of them.
pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    for network in own.value.entries() {
        for part in network
            .value
            .entries()
            .iter()
            .filter(|part| !part.value.is_null())
        {
            if part.key == "aliases" {
                aliases(converter, draft, part);
                continue;
            }
            if part.key.starts_with("x-") || matches!(part.key.as_str(), "priority" | "gw_priority")
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

/// Names beside the service's own.
fn aliases(converter: &mut Converter<'_>, draft: &mut Draft<'_>, part: &Entry) {
    let service = shorten(draft.name);
    for alias in one_or_more(&part.value) {
        let name = written(alias).unwrap_or_default();
        if name == draft.name {
            continue;
        }
        if stack_field("aliases", draft.is_task).is_some() {
            let names = list(part.value.span, vec![alias.clone()]);
            draft.put("aliases", part.key_span, names);
            continue;
        }
        let what = format!("the name `{}` for `{service}`", shorten(name));
        let instead = format!("use the name `{service}`");
        converter.lost(alias.span, &what, "it does not resolve", &instead);
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
