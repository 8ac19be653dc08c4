//! The ports a unit listens on.
//!
//! Owns: that names and numbers are unique within a unit.

use service_orchestration::spec::{PortNumber, PortSpec};

use super::Decoder;
use crate::keys::{CONTAINER_PORT, PORT, docker_port, port};
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::yaml::{Node, Scalar};

/// Ports and their places, and for containers the engine's short form of each.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) specs: Vec<PortSpec>,
    pub(super) spans: Vec<Span>,
    pub(super) published: Vec<String>,
}

impl Decoder<'_> {
    pub(super) fn ports(&mut self, node: Option<&Node>, is_container: bool) -> Ports {
        let mut ports = Ports::default();
        for item in node.map(Node::items).unwrap_or_default() {
            let read = if is_container { published } else { listened };
            let Some((spec, short)) = read(item) else {
                continue;
            };
            let twice = ports.specs.iter().position(|known| {
                (known.port == spec.port && spec.port != PortNumber::Auto && !is_container)
                    || (known.name.is_some() && known.name == spec.name)
            });
            if let Some(first) = twice {
                self.sink
                    .error(
                        Code::Twice,
                        item.span,
                        "this port, or its name, is given twice",
                    )
                    .also(ports.spans[first], "the other");
            }
            ports.specs.push(spec);
            ports.spans.push(item.span);
            ports.published.push(short);
        }
        ports
    }
}

fn listened(item: &Node) -> Option<(PortSpec, String)> {
    let (name, text) = match item.scalar() {
        Some(scalar) => (None, scalar.literal()?),
        None => {
            let fields = Fields::new(item, PORT.fields);
            (fields.owned("name"), fields.literal("port")?)
        }
    };
    let number = match text {
        "auto" => PortNumber::Auto,
        text => PortNumber::Fixed(port(text).ok()?),
    };
    Some((PortSpec { name, port: number }, text.to_owned()))
}

fn published(item: &Node) -> Option<(PortSpec, String)> {
    if let Some(text) = item.scalar().and_then(Scalar::literal) {
        let spec = PortSpec {
            name: None,
            port: PortNumber::Fixed(docker_port(text).ok()?),
        };
        return Some((spec, text.to_owned()));
    }
    let fields = Fields::new(item, CONTAINER_PORT.fields);
    let target: u16 = fields.number("target")?;
    let mut short = target.to_string();
    if let Some(published) = fields.literal("published") {
        short = format!("{published}:{short}");
    }
    if let Some(address) = fields.literal("host_ip") {
        let colon = if fields.literal("published").is_some() {
            ":"
        } else {
            "::"
        };
        short = format!("{address}{colon}{short}");
    }
    if let Some(protocol) = fields.word("protocol") {
        short = format!("{short}/{protocol}");
    }
    let spec = PortSpec {
        name: fields.owned("name"),
        port: PortNumber::Fixed(target),
    };
    Some((spec, short))
}
