//! Where units are reached, and why there: a page about two of them, a table of all.
//!
//! Owns: what stands in them and in which order. The reasons are the daemon's.

use std::net::SocketAddr;

use harness_core::report::{
    Carriage, NetEndpoint, NetForwarder, NetName, NetNameBy, NetPlace, NetUnit, NetView, PlaceKind,
};
use harness_core::spec::{Protocol, UnitKind};

use super::escape::escaped;
use super::look::{Look, Span};
use super::table::{Cell, Column, NOTHING, column, table};

/// How the one who asks reaches this unit.
pub(crate) fn net_page(look: &Look, view: &NetView, unit: &NetUnit) -> String {
    let from = view.asker.as_deref().unwrap_or(HERE);
    let (span, found) = match (unit.address, unit.ip) {
        (Some(address), _) => (Span::Good, address.to_string()),
        (None, Some(ip)) => (Span::Good, ip.to_string()),
        (None, None) => no_address(unit),
    };
    let mut text = format!(
        "{} {} {}: {}\n",
        look.paint(Span::Strong, from),
        look.glyph("→", "->"),
        look.paint(Span::Strong, &unit.name),
        look.paint(span, &found)
    );
    for (title, value) in facts(look, view, unit) {
        text += &format!("{title:>9}: {}\n", escaped(value.as_bytes()));
    }
    text
}

/// What is said in place of an address: the name that will lead there, where it only does not run yet.
fn no_address(unit: &NetUnit) -> (Span, String) {
    if !is_to_come(unit) {
        return (Span::Bad, NO_WAY.to_owned());
    }
    let name = unit.names.first().map(|name| name.name.as_str());
    let found = match (name, unit.endpoints.first()) {
        (Some(name), Some(first)) => format!("{name}:{}, {TO_COME}", first.port),
        (Some(name), None) => format!("{name}, {TO_COME}"),
        (None, _) => TO_COME.to_owned(),
    };
    (Span::Busy, found)
}

fn is_to_come(unit: &NetUnit) -> bool {
    unit.refusal
        .as_ref()
        .is_some_and(|refusal| refusal.code == "not-started")
}

/// A port as the unit itself knows it.
fn port_words(endpoint: &NetEndpoint) -> String {
    let mark = match endpoint.protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
    };
    match &endpoint.name {
        Some(name) => format!("{name} {}{mark}", endpoint.port),
        None => format!("{}{mark}", endpoint.port),
    }
}

fn facts(look: &Look, view: &NetView, unit: &NetUnit) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(reason) = &unit.reason {
        facts.push(("Reason", format!("{} ({})", reason.text, reason.code)));
    }
    if let Some(refusal) = &unit.refusal {
        facts.push(("Reason", format!("{} ({})", refusal.text, refusal.code)));
    }
    facts.push(("From", place(Some(&view.from))));
    facts.push((
        "To",
        format!("{}, {}", place(unit.place.as_ref()), state(unit)),
    ));
    let listens = |endpoint: &NetEndpoint| endpoint_words(look, unit, endpoint);
    facts.extend(
        unit.endpoints
            .iter()
            .map(|endpoint| ("Port", listens(endpoint))),
    );
    if is_without_forwarder(view, unit) {
        facts.push(("Forwarder", NO_FORWARDER.to_owned()));
    }
    let carried = unit
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.forwarder);
    facts.extend(carried.map(|forwarder| ("Forwarder", forwarder_words(forwarder))));
    facts.extend(uncarried(view, unit).map(|endpoint| ("Forwarder", not_carried(endpoint))));
    facts.extend(unit.names.iter().map(|name| ("Name", name_words(name))));
    if unit.needed {
        let told = unit
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        facts.extend(told.map(|told| ("Told", told)));
    }
    facts
}

/// A process without ports, seen from a container.
fn is_without_forwarder(view: &NetView, unit: &NetUnit) -> bool {
    view.from.kind == PlaceKind::Container
        && unit.kind == UnitKind::Service
        && unit.target == "process"
        && unit.endpoints.is_empty()
}

/// The ports of a process that nothing carries a container's packets to.
fn uncarried<'a>(
    view: &NetView,
    unit: &'a NetUnit,
) -> impl Iterator<Item = &'a NetEndpoint> + use<'a> {
    let is_apart = view.from.kind == PlaceKind::Container && unit.target == "process";
    let endpoints = unit.endpoints.iter().filter(move |_| is_apart);
    endpoints.filter(|endpoint| endpoint.protocol == Protocol::Udp && endpoint.forwarder.is_none())
}

fn not_carried(endpoint: &NetEndpoint) -> String {
    format!(
        "none for {}: UDP is not carried, so it is reached only where it listens on every address",
        port_words(endpoint)
    )
}

/// What can be done about it stands there, too.
const NO_FORWARDER: &str =
    "none: it declares no `ports`, so it is reached only where it listens on every address";

fn state(unit: &NetUnit) -> &'static str {
    match unit.published {
        // Of others, not of its ports: those say themselves where they are published.
        true => "ready",
        false => "not ready: this is what it would be",
    }
}

fn endpoint_words(look: &Look, unit: &NetUnit, endpoint: &NetEndpoint) -> String {
    let mut text = port_words(endpoint);
    if let Some(ip) = unit.listens {
        text += &format!(" at {ip}");
    }
    if let Some(published) = endpoint.published {
        text += &format!(", published at {published}");
    }
    let arrow = look.glyph("→", "->");
    // Whoever goes by where it is published comes to the container in the end.
    let address = match (endpoint.address, own_address(unit, endpoint)) {
        (address, Some(own)) if address.is_some() && address == endpoint.published => Some(own),
        (address, _) => address,
    };
    match (address, &endpoint.refusal) {
        (Some(address), _) => text += &format!(" {arrow} {address}"),
        (None, Some(_)) if is_to_come(unit) => text += &format!(" {arrow} {TO_COME}"),
        (None, Some(refusal)) => text += &format!(" {arrow} {NO_WAY} ({})", refusal.code),
        (None, None) => {}
    }
    text
}

/// Of a container: the address and the port that it has on a network of its own.
fn own_address(unit: &NetUnit, endpoint: &NetEndpoint) -> Option<SocketAddr> {
    let place = unit.place.as_ref()?;
    let ip = place.networks.values().find_map(|end| end.ip)?;
    let is_container = place.kind == PlaceKind::Container;
    is_container.then(|| SocketAddr::new(ip, endpoint.port))
}

fn forwarder_words(
    NetForwarder {
        listen,
        to,
        carriage,
    }: NetForwarder,
) -> String {
    match carriage {
        Some(Carriage::Direct) => {
            format!("not needed: the program listens on all addresses, {listen} among them")
        }
        Some(Carriage::Forwarder) => format!("carries {listen} to {to}"),
        Some(Carriage::Ssh) => format!("SSH carries {listen} there to {to}"),
        Some(Carriage::Planned) => format!(
            "nothing listens at {listen} yet: one is started with the container, and carries it to {to}"
        ),
        Some(Carriage::Other) | None => {
            format!("carries {listen} to {to}, if the program listens on loopback only")
        }
    }
}

fn name_words(NetName { name, by, ip }: &NetName) -> String {
    let by = match by {
        NetNameBy::HostsFile => "hosts file",
        NetNameBy::NetworkAlias => "alias on the network",
        NetNameBy::Other => "other",
    };
    match ip {
        Some(ip) => format!("{name} ({by}: {ip})"),
        None => format!("{name} ({by})"),
    }
}

fn place(place: Option<&NetPlace>) -> String {
    let Some(NetPlace {
        kind,
        host,
        networks,
    }) = place
    else {
        return "elsewhere".to_owned();
    };
    let (here, on_host) = match host.as_str() {
        "local" => (HERE.to_owned(), String::new()),
        host => (format!("host {host}"), format!(" of host {host}")),
    };
    match kind {
        PlaceKind::Host => here,
        PlaceKind::Container if networks.is_empty() => format!("a container{on_host}"),
        PlaceKind::Container => {
            let each = networks.iter().map(|(name, end)| match end.ip {
                Some(ip) => format!("{name} ({ip})"),
                None => name.clone(),
            });
            let each: Vec<String> = each.collect();
            format!("a container on {}{on_host}", each.join(", "))
        }
        PlaceKind::Other => "elsewhere".to_owned(),
    }
}

/// The same in a table: of a container, its networks.
fn short_place(given: Option<&NetPlace>) -> String {
    match given {
        Some(NetPlace {
            kind,
            host,
            networks,
        }) if *kind == PlaceKind::Container && host == "local" && !networks.is_empty() => {
            let each = networks.iter().map(|(name, end)| match end.ip {
                Some(ip) => format!("{name} {ip}"),
                None => name.clone(),
            });
            each.collect::<Vec<_>>().join(", ")
        }
        given => place(given),
    }
}

/// Every unit, a line for each.
pub(crate) fn net_map(look: &Look, view: &NetView) -> String {
    let rows: Vec<Vec<Cell>> = view.items.iter().map(row).collect();
    let lines = table(look, &COLUMNS, &rows);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn row(unit: &NetUnit) -> Vec<Cell> {
    let joined = |each: Vec<String>| match each.is_empty() {
        true => NOTHING.to_owned(),
        false => each.join(", "),
    };
    let addresses = unit
        .endpoints
        .iter()
        .filter_map(|endpoint| endpoint.address);
    // Where this machine reaches it is where it is published, mostly: once is enough.
    let published = unit
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.address != endpoint.published)
        .filter_map(|endpoint| endpoint.published);
    let ports = unit.endpoints.iter().map(port_words);
    let is_asked_for = unit.kind == UnitKind::Service || !unit.endpoints.is_empty();
    let refusal = unit.refusal.as_ref().filter(|_| is_asked_for);
    let (address, why) = match (refusal, &unit.reason) {
        (Some(refusal), _) => {
            let (span, found) = no_address(unit);
            (Cell::painted(found, span), refusal.code.clone())
        }
        (None, reason) => {
            let span = if unit.published {
                Span::Good
            } else {
                Span::Dim
            };
            let reason = reason.as_ref().filter(|_| !unit.endpoints.is_empty());
            let address = joined(addresses.map(|at| at.to_string()).collect());
            (
                Cell::painted(address, span),
                reason.map_or_else(|| NOTHING.to_owned(), |reason| reason.code.clone()),
            )
        }
    };
    vec![
        Cell::new(unit.name.as_str()),
        Cell::new(unit.target.as_str()),
        Cell::new(escaped(short_place(unit.place.as_ref()).as_bytes())),
        Cell::new(joined(ports.collect())),
        Cell::new(joined(published.map(|at| at.to_string()).collect())),
        address,
        Cell::new(why),
    ]
}

const COLUMNS: [Column; 7] = [
    column("NAME", 0),
    column("TARGET", 4),
    column("PLACE", 2),
    column("PORTS", 3),
    column("PUBLISHED", 5),
    column("ADDRESS", 0),
    column("WHY", 1),
];

/// The daemon's own machine.
const HERE: &str = "this machine";
const NO_WAY: &str = "no way";
const TO_COME: &str = "once it runs";

#[cfg(test)]
mod tests {
    use harness_core::report::NetView;

    use super::*;

    /// A worker in a container that needs a database in another, and a program of the machine.
    const WORKER: &str = r#"{"schema_version":1,"stack":"web","asker":"worker",
        "from":{"kind":"container","host":"local","networks":{"web_default":{"ip":"172.18.0.3","gateway":"172.18.0.1"}}},
        "items":[
        {"name":"api","kind":"service","target":"process","place":{"kind":"host","host":"local","networks":{}},
         "published":true,"told":true,"needed":true,"listens":"127.0.0.1","address":"172.18.0.1:8080","ip":"172.18.0.1",
         "reason":{"code":"gateway","text":"container to host: gateway of the container's network"},"refusal":null,
         "endpoints":[{"name":"http","port":8080,"protocol":"tcp","published":null,"address":"172.18.0.1:8080",
            "url":"http://172.18.0.1:8080","reason":{"code":"gateway","text":"container to host"},"refusal":null,
            "forwarder":{"listen":"172.18.0.1:8080","to":"127.0.0.1:8080","carriage":"forwarder"}}],
         "names":[{"name":"api","by":"hosts-file","ip":"172.18.0.1"}],
         "variables":{"API_ADDR":"172.18.0.1:8080","API_HOST":"172.18.0.1"}},
        {"name":"db","kind":"service","target":"docker",
         "place":{"kind":"container","host":"local","networks":{"web_default":{"ip":null,"gateway":"172.18.0.1"}}},
         "published":false,"told":true,"needed":false,"listens":null,"address":null,"ip":null,"reason":null,
         "refusal":{"code":"unpublished","text":"it publishes no port","hint":"start `db`"},
         "endpoints":[{"name":null,"port":5432,"protocol":"tcp","published":"127.0.0.1:40001","address":null,"url":null,
            "reason":null,"refusal":{"code":"unpublished","text":"it publishes no port","hint":"start `db`"},"forwarder":null}],
         "names":[],"variables":{}},
        {"name":"seed","kind":"task","target":"process","place":{"kind":"host","host":"local","networks":{}},
         "published":false,"told":true,"needed":false,"listens":"127.0.0.1","address":null,"ip":"172.18.0.1",
         "reason":{"code":"gateway","text":"container to host"},"refusal":null,"endpoints":[],"names":[],"variables":{}}]}"#;

    fn view() -> NetView {
        serde_json::from_str(WORKER).expect("a view")
    }

    #[test]
    fn a_page_says_where_and_why_and_what_carries_it() {
        let view = view();
        let pages = view
            .items
            .iter()
            .map(|unit| net_page(&Look::plain(), &view, unit));
        insta::assert_snapshot!(pages.collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn a_container_is_shown_with_the_address_and_port_of_its_own() {
        let seen = |published: &str, address: &str| {
            let text = WORKER
                .replace(r#""ip":null,"gateway""#, r#""ip":"172.18.0.2","gateway""#)
                .replace(
                    r#""published":"127.0.0.1:40001","address":null"#,
                    &format!(r#""published":{published},"address":"{address}""#),
                );
            let view: NetView = serde_json::from_str(&text).expect("a view");
            net_page(&Look::plain(), &view, &view.items[1])
        };
        let own = "172.18.0.2:5432";
        let published = "\"127.0.0.1:40001\"";
        for (published, address, port) in [
            (
                published,
                "127.0.0.1:40001",
                "5432, published at 127.0.0.1:40001 → 172.18.0.2:5432",
            ),
            (
                published,
                own,
                "5432, published at 127.0.0.1:40001 → 172.18.0.2:5432",
            ),
            ("null", own, "5432 → 172.18.0.2:5432"),
        ] {
            let page = seen(published, address);
            assert!(page.contains(&format!("Port: {port}\n")), "{page}");
        }
    }

    #[test]
    fn a_map_has_a_line_for_each() {
        insta::assert_snapshot!(net_map(&Look::plain(), &view()));
    }

    #[test]
    fn a_port_of_udp_is_said_not_to_be_carried() {
        let udp = WORKER
            .replacen("\"protocol\":\"tcp\"", "\"protocol\":\"udp\"", 1)
            .replacen(
                r#"{"listen":"172.18.0.1:8080","to":"127.0.0.1:8080","carriage":"forwarder"}"#,
                "null",
                1,
            );
        let view: NetView = serde_json::from_str(&udp).expect("a view");
        let page = net_page(&Look::plain(), &view, &view.items[0]);
        assert!(page.contains("UDP is not carried"), "{page}");
    }

    #[test]
    fn what_a_newer_daemon_says_is_shown_all_the_same() {
        let newer = WORKER
            .replace("\"kind\":\"container\"", "\"kind\":\"peer\"")
            .replace("hosts-file", "dns")
            .replace("\"carriage\":\"forwarder\"", "\"carriage\":\"tunnel\"");
        let view: NetView = serde_json::from_str(&newer).expect("a view");
        let page = net_page(&Look::plain(), &view, &view.items[0]);
        assert!(
            page.contains("elsewhere") && page.contains("api (other: "),
            "{page}"
        );
    }
}
