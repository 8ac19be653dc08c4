//! Published ports.
//!
//! Owns: nothing but the long form with a range, which a stack file says in the short form. Everything else is spelt alike.

use super::convert::Converter;
use super::nodes::{get, list, one_or_more, text, written};
use super::service::Draft;
use crate::yaml::{Entry, Node, Value, shorten};

pub(super) fn turn(converter: &mut Converter<'_>, draft: &mut Draft<'_>, own: &Entry) {
    let ports = one_or_more(&own.value)
        .into_iter()
        .map(|port| match &port.value {
            Value::Map(_) => long(converter, draft, port),
            Value::Scalar(_) | Value::List(_) => port.clone(),
        })
        .collect();
    draft.put("ports", own.key_span, list(own.value.span, ports));
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
        &taken,
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
