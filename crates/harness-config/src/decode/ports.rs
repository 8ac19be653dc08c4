//! The ports a unit listens on.
//!
//! Owns: that names and numbers are unique within a unit, and which of a container's ports are reached from outside.

use service_orchestration::spec::{PortNumber, PortSpec, Protocol};

use super::Decoder;
use crate::keys::{
    CONTAINER_PORT, EXPOSED_PORT, MOST_PORTS, PORT, expand, exposed_ports, port, published_ports,
    range, with_protocol,
};
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::yaml::Node;

/// Ports and their places.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) specs: Vec<PortSpec>,
    pub(super) spans: Vec<Span>,
}

impl Ports {
    fn push(&mut self, spec: PortSpec, span: Span) {
        self.specs.push(spec);
        self.spans.push(span);
    }
}

impl Decoder<'_> {
    /// Of a program: it listens on them itself.
    pub(super) fn ports(&mut self, node: Option<&Node>) -> Ports {
        let mut ports = Ports::default();
        for item in node.map(Node::items).unwrap_or_default() {
            let Some(spec) = listened(item) else {
                continue;
            };
            let twice = ports.specs.iter().position(|known| {
                (is_one(known, &spec) && spec.port != PortNumber::Auto)
                    || (known.name.is_some() && known.name == spec.name)
            });
            if let Some(first) = twice {
                self.port_twice(item.span, ports.spans[first]);
            }
            ports.push(spec, item.span);
        }
        ports
    }

    /// Of a container: those that are published, then those that only other containers reach.
    pub(super) fn container_ports(
        &mut self,
        published: Option<&Node>,
        exposed: Option<&Node>,
    ) -> Ports {
        let mut ports = Ports::default();
        for item in published.map(Node::items).unwrap_or_default() {
            match read(item, published_ports, long) {
                Some(Ok(specs)) => self.add_ports(&mut ports, specs, item.span),
                // A short form has been checked already.
                Some(Err(message)) if item.scalar().is_none() => {
                    self.sink.error(Code::Invalid, item.span, message);
                }
                Some(Err(_)) | None => {}
            }
        }
        for item in exposed.map(Node::items).unwrap_or_default() {
            if let Some(Ok(mut specs)) = read(item, exposed_ports, exposed_long) {
                // One that is published is exposed already; Compose files often say both.
                specs.retain(|spec| {
                    spec.name.is_some() || !ports.specs.iter().any(|known| is_one(known, spec))
                });
                self.add_ports(&mut ports, specs, item.span);
            }
        }
        ports
    }

    fn add_ports(&mut self, ports: &mut Ports, specs: Vec<PortSpec>, span: Span) {
        if ports.specs.len() + specs.len() > MOST_PORTS {
            let message = format!("a container has at most {MOST_PORTS} ports");
            self.sink.error(Code::Limit, span, message);
            return;
        }
        for spec in specs {
            let twice = ports.specs.iter().position(|known| {
                (known.name.is_some() && known.name == spec.name)
                    || (is_one(known, &spec)
                        && (known.published == spec.published
                            || known.published.is_none()
                            || spec.published.is_none()))
            });
            if let Some(first) = twice {
                self.port_twice(span, ports.spans[first]);
                return;
            }
            ports.push(spec, span);
        }
    }

    fn port_twice(&mut self, span: Span, first: Span) {
        self.sink
            .error(Code::Twice, span, "this port, or its name, is given twice")
            .also(first, "the other");
    }
}

/// Whether both are one port inside.
fn is_one(one: &PortSpec, two: &PortSpec) -> bool {
    one.port == two.port && one.protocol == two.protocol
}

type Read = Result<Vec<PortSpec>, String>;

/// The ports of an item in its short or its long form; nothing when it has been reported.
fn read(item: &Node, short: fn(&str) -> Read, long: fn(&Node) -> Option<Read>) -> Option<Read> {
    match item.scalar() {
        Some(scalar) => scalar.literal().map(short),
        None => long(item),
    }
}

fn listened(item: &Node) -> Option<PortSpec> {
    let (name, text, protocol) = match item.scalar() {
        Some(scalar) => {
            let (number, protocol) = with_protocol(scalar.literal()?).ok()?;
            (None, number, protocol)
        }
        None => {
            let fields = Fields::new(item, PORT.fields);
            let number = fields.literal("port")?;
            (fields.owned("name"), number, protocol(&fields))
        }
    };
    let number = match text {
        "auto" => PortNumber::Auto,
        text => PortNumber::Fixed(port(text).ok()?),
    };
    Some(PortSpec {
        name,
        protocol,
        ..PortSpec::new(number)
    })
}

/// The long form of a published port.
fn long(item: &Node) -> Option<Read> {
    let fields = Fields::new(item, CONTAINER_PORT.fields);
    let target: u16 = fields.number("target")?;
    let outside = match fields.literal("published") {
        None | Some("auto") => None,
        Some(text) => Some(range(text)?),
    };
    let address = match fields.literal("host_ip") {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    let ports = expand((target, 1), outside, address, protocol(&fields));
    Some(ports.map(|ports| named(ports, fields.owned("name"))))
}

/// The long form of one that is not published.
fn exposed_long(item: &Node) -> Option<Read> {
    let fields = Fields::new(item, EXPOSED_PORT.fields);
    let port = PortSpec {
        name: fields.owned("name"),
        protocol: protocol(&fields),
        ..PortSpec::new(PortNumber::Fixed(fields.number("target")?))
    };
    Some(Ok(vec![port]))
}

fn protocol(fields: &Fields<'_>) -> Protocol {
    match fields.word("protocol").as_deref() {
        Some("udp") => Protocol::Udp,
        Some(_) | None => Protocol::Tcp,
    }
}

fn named(mut ports: Vec<PortSpec>, name: Option<String>) -> Vec<PortSpec> {
    if let Some(port) = ports.first_mut() {
        port.name = name;
    }
    ports
}
