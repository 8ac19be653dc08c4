//! Published ports.
//!
//! Owns: ranges. The long form with a range becomes the short one; a range outside for one port inside becomes any free
//! port. Everything else is spelt alike.

use super::convert::Converter;
use super::nodes::{get, list, one_or_more, split, text, written};
use super::service::Draft;
use crate::yaml::{Entry, Node, Value, shorten};

pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let mut ports = Vec::new();
    for port in one_or_more(&own.value) {
        if !converter.has_told_of_ports && !has_address(port) {
            converter.has_told_of_ports = true;
            let message = format!(
                "a port of `{}`, like every other without an address, is reached from this machine only; in Compose from others too",
                shorten(draft.name)
            );
            let instead = "write `0.0.0.0:8080:80` where other machines are to reach it";
            converter.changed(port.span, message, instead);
        }
        let port = match &port.value {
            Value::Map(_) => long(converter, draft, port),
            Value::Scalar(_) | Value::List(_) => port.clone(),
        };
        ports.extend(possible(converter, draft, port));
    }
    if !ports.is_empty() {
        draft.put("ports", own.key_span, list(own.value.span, ports));
    }
}

fn has_address(port: &Node) -> bool {
    match written(port) {
        Some(said) => split(said).len() > 2,
        None => get(port, "host_ip").is_some(),
    }
}

/// A port in the short form as a stack file takes it; nothing for a protocol that it does not know.
fn possible(converter: &mut Converter<'_>, draft: &Draft<'_>, port: Node) -> Option<Node> {
    let Some(said) = written(&port) else {
        return Some(port);
    };
    let owner = shorten(draft.name);
    if said.ends_with("/sctp") {
        let what = format!("the port `{}` of `{owner}`", shorten(said));
        let means = "only TCP and UDP are published";
        converter.lost(
            port.span,
            &what,
            means,
            "reach it by the container's address",
        );
        return None;
    }
    let mut parts = split(said);
    let (inside, outside) = match parts.as_slice() {
        [.., outside, inside] => (inside.split('/').next().unwrap_or_default(), outside),
        _ => return Some(port),
    };
    if !is_range(outside) || is_range(inside) {
        return Some(port);
    }
    let message = format!(
        "the port `{}` of `{owner}` is any free one, not one of these",
        shorten(said)
    );
    converter.changed(port.span, message, "name one port outside");
    let at = parts.len() - 2;
    if at == 0 {
        parts.remove(0);
    } else {
        parts[at].clear();
    }
    Some(text(port.span, parts.join(":")))
}

fn long(converter: &mut Converter<'_>, draft: &Draft<'_>, port: &Node) -> Node {
    const TAKEN: [&str; 5] = ["name", "target", "published", "host_ip", "protocol"];
    let of = format!("a port of `{}`", shorten(draft.name));
    let published = get(port, "published").and_then(written).unwrap_or_default();
    let mut taken = TAKEN.to_vec();
    // Where no port is published by a swarm, the modes are one.
    taken.push("mode");
    converter.rest_is_lost(
        port,
        (&taken, super::inner::PORT),
        &of,
        ("it only tells what speaks there", "nothing is to be done"),
    );
    if is_range(published) {
        return text(port.span, short(port, published));
    }
    let mut kept = port.clone();
    if let Value::Map(entries) = &mut kept.value {
        let is_free = |part: &Entry| {
            part.key == "published" && matches!(written(&part.value), Some("" | "0"))
        };
        entries.retain(|part| TAKEN.contains(&part.key.as_str()) && !is_free(part));
    }
    kept
}

fn is_range(published: &str) -> bool {
    let mut ends = published.split('-');
    let is_number = |end: Option<&str>| {
        end.is_some_and(|end| !end.is_empty() && end.chars().all(|c| c.is_ascii_digit()))
    };
    is_number(ends.next()) && is_number(ends.next()) && ends.next().is_none()
}

fn short(port: &Node, published: &str) -> String {
    let said = |key: &str| get(port, key).and_then(written).map(str::to_owned);
    let address = said("host_ip").map(|address| match address.contains(':') {
        true => format!("[{address}]:"),
        false => format!("{address}:"),
    });
    let protocol = said("protocol").map(|protocol| format!("/{protocol}"));
    format!(
        "{}{published}:{}{}",
        address.unwrap_or_default(),
        said("target").unwrap_or_default(),
        protocol.unwrap_or_default()
    )
}
