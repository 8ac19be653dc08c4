//! Which network a unit is on.
//!
//! Owns: the difference between the stack's networks and those of a container engine. `network` and `networks` name the
//! stack's; a container's target, or `network_mode` anywhere, names the engine's; `network: host` is the machine's own in
//! either place.

use service_orchestration::spec::{PortNumber, TargetSpec};

use super::Decoder;
use super::ports::Ports;
use crate::keys::{Form, MEMBER};
use crate::report::Code;
use crate::source::Span;
use crate::table::Fields;
use crate::yaml::{Entry, Node, Scalar};

/// The stack's own network in the words of Compose.
const DEFAULT: &str = "default";

/// The machine's own network.
const HOST: &str = "host";

/// What a unit says about networks.
#[derive(Debug, Default)]
pub(super) struct Attachment {
    /// The stack's network; its own when absent.
    pub(super) network: Option<String>,
    /// The engine's network.
    pub(super) of_engine: Option<String>,
    /// Other names of a container there.
    pub(super) aliases: Vec<String>,
}

impl Decoder<'_> {
    /// What `network`, `networks` and `network_mode` say. `container` is the form of a container.
    pub(super) fn attachment(
        &mut self,
        common: &Fields<'_>,
        container: Option<Form<'_>>,
    ) -> Attachment {
        let of_engine = container.and_then(|form| self.of_engine(form));
        let members = members(common.node("networks"));
        if let Some(second) = members.get(1) {
            self.sink
                .error(
                    Code::NotBuilt,
                    second.span,
                    "a unit on more than one network is not built yet",
                )
                .help("name the one network that the others reach it on");
        }
        let first = members.into_iter().next();
        if let (Some(member), Some(_)) = (&first, &of_engine) {
            self.sink.error(
                Code::Twice,
                member.span,
                "a container is on a network of the stack or on one of the engine, not on both",
            );
        }
        let aliases = first.as_ref().map(|member| self.aliases(member, container));
        let single = common
            .entry("network")
            .and_then(|entry| Some((entry.key_span, literal(entry)?)));
        let single = single.filter(|(_, name)| container.is_none() || *name != HOST);
        let listed = first.map(|member| (member.span, member.name));
        let network = self.one_of(single.into_iter().chain(listed).collect(), "the network");
        Attachment {
            network: network.filter(|name| *name != DEFAULT).map(str::to_owned),
            of_engine,
            aliases: aliases.unwrap_or_default(),
        }
    }

    fn of_engine(&mut self, form: Form<'_>) -> Option<String> {
        let nested = !std::ptr::eq(form.unit, form.target);
        let in_target = ["network", "network_mode"]
            .into_iter()
            .filter(|_| nested)
            .find_map(|key| form.target.entry(key));
        let named = in_target.or_else(|| form.unit.entry("network_mode"));
        let host = form.unit.entry("network");
        let host = host.filter(|entry| literal(entry) == Some(HOST));
        // On one level the check of the keys has said already that both are there.
        let host = host.filter(|_| nested || named.is_none());
        let given: Vec<(Span, &Entry)> = [named, host]
            .into_iter()
            .flatten()
            .filter(|entry| !entry.value.is_null())
            .map(|entry| (entry.key_span, entry))
            .collect();
        let entry = self.one_of(given, "the engine's network")?;
        let name = literal(entry)?;
        if name.contains(':') {
            self.sink
                .error(
                    Code::NotBuilt,
                    entry.value.span,
                    "the network of another container cannot be shared yet",
                )
                .help("containers of a stack reach each other by their names");
            return None;
        }
        Some(name.to_owned())
    }

    fn aliases(&mut self, member: &Member<'_>, container: Option<Form<'_>>) -> Vec<String> {
        let Some(settings) = member.settings else {
            return Vec::new();
        };
        let fields = Fields::new(settings, MEMBER.fields);
        if let Some(entry) = fields.entry("aliases").filter(|_| container.is_none()) {
            self.sink.error(
                Code::WrongPlace,
                entry.key_span,
                "only containers have names that a network resolves",
            );
        }
        fields.literals("aliases")
    }

    /// On the machine's own network nothing is mapped, and on none nothing is reached.
    pub(super) fn map_ports(&mut self, target: &TargetSpec, ports: &mut Ports) {
        let TargetSpec::Docker(container) = target else {
            return;
        };
        let is_host = match container.network.as_deref() {
            Some(HOST) => true,
            Some("none") => false,
            Some(_) | None => return,
        };
        let message = match is_host {
            true => {
                "on the machine's own network a port is what it is inside: there is nothing to map"
            }
            false => "without a network no port is reached",
        };
        for (spec, span) in ports.specs.iter_mut().zip(&ports.spans) {
            let Some(published) = spec.published.take() else {
                continue;
            };
            let is_itself = published.port == PortNumber::Auto || published.port == spec.port;
            if !is_host || !is_itself || published.address.is_some() {
                self.sink.error(Code::WrongPlace, *span, message);
                // Once says it of a whole range.
                return;
            }
        }
    }
}

/// An item of `networks`.
struct Member<'a> {
    name: &'a str,
    span: Span,
    settings: Option<&'a Node>,
}

/// A list, or a mapping with settings.
fn members(node: Option<&Node>) -> Vec<Member<'_>> {
    let Some(node) = node else {
        return Vec::new();
    };
    let listed = node.items().iter().filter_map(|item| {
        Some(Member {
            name: item.scalar()?.literal()?,
            span: item.span,
            settings: None,
        })
    });
    let mapped = node.entries().iter().map(|entry| Member {
        name: &entry.key,
        span: entry.key_span,
        settings: Some(&entry.value),
    });
    listed.chain(mapped).collect()
}

fn literal(entry: &Entry) -> Option<&str> {
    entry.value.scalar().and_then(Scalar::literal)
}
