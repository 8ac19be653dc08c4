//! Probes.
//!
//! Owns: that a probe asks exactly one thing, and what "the service itself" means in it.

use std::collections::BTreeMap;

use service_orchestration::spec::{
    Attribute, OnUnhealthy, Part, PortSpec, Probe, ProbeAction, Protocol, Reference, Template,
    UnitName,
};

use super::{Decoder, command};
use crate::keys::{HTTP, PROBE, TCP};
use crate::report::Code;
use crate::source::Span;
use crate::table::{Fields, text};
use crate::yaml::{Entry, Node, Scalar, Value};

/// Whose probe it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) name: &'a UnitName,
    pub(super) ports: &'a [PortSpec],
    pub(super) is_container: bool,
}

/// The keys of which a probe has exactly one.
const ACTIONS: [&str; 7] = [
    "command",
    "test",
    "http",
    "tcp",
    "log",
    "notify",
    "container",
];

/// Whether an entry says that there is no probe.
pub(super) fn says_none(entry: &Entry) -> bool {
    let fields = Fields::new(&entry.value, PROBE.fields);
    let test = fields.node("test").and_then(|test| test.items().first());
    let first = test.and_then(|first| first.scalar()?.literal());
    fields.flag("disable") == Some(true) || first == Some("NONE")
}

impl Decoder<'_> {
    /// The probe that an entry says; nothing when it says that there is none, or has been reported.
    pub(super) fn probe(&mut self, entry: Option<&Entry>, asked: Asked<'_>) -> Option<Probe> {
        let entry = entry?;
        let fields = Fields::new(&entry.value, PROBE.fields);
        if fields.flag("disable") == Some(true) {
            return None;
        }
        let action = self.action(entry, &fields, asked)?;
        let mut probe = Probe::new(action);
        let tcp_timeout = fields
            .node("tcp")
            .and_then(|node| Fields::new(node, TCP.fields).entry("timeout"));
        let timeouts = [fields.entry("timeout"), tcp_timeout].into_iter().flatten();
        let timeouts: Vec<(Span, &Entry)> = timeouts.map(|entry| (entry.key_span, entry)).collect();
        let timeout = self.one_of(timeouts, "the timeout");
        let timeout = timeout.and_then(|entry| entry.value.scalar()?.literal());
        if let Some(timeout) = timeout.and_then(|text| crate::table::duration(text).ok()) {
            probe.timeout = timeout;
        }
        let interval = fields.duration("interval").or(self.settings.interval);
        probe.interval = interval.unwrap_or(probe.interval);
        probe.retries = fields.number("retries").unwrap_or(probe.retries);
        probe.start_period = fields
            .duration("start_period")
            .unwrap_or(probe.start_period);
        probe.start_interval = fields
            .duration("start_interval")
            .unwrap_or(probe.start_interval);
        probe.success_threshold = fields
            .number("success_threshold")
            .unwrap_or(probe.success_threshold);
        Some(probe)
    }

    /// As [`Decoder::probe`], of a probe that must be able to fail: what was once seen or said stays so for the attempt.
    pub(super) fn liveness(&mut self, entry: Option<&Entry>, asked: Asked<'_>) -> Option<Probe> {
        let probe = self.probe(entry, asked)?;
        if matches!(probe.action, ProbeAction::Log { .. } | ProbeAction::Notify) {
            let fields = Fields::new(&entry?.value, PROBE.fields);
            let asking = fields.entry("log").or_else(|| fields.entry("notify"))?;
            let message = format!("a `liveness` probe by `{}` can never fail", asking.key);
            self.sink
                .warning(Code::NeverFails, asking.key_span, message)
                .help("ask by `command`, `http` or `tcp`, or make it the `startup` probe");
        }
        Some(probe)
    }

    /// What `on_unhealthy` says, beside the health check or in it.
    pub(super) fn on_unhealthy(&mut self, service: &Fields<'_>) -> OnUnhealthy {
        let inner = |key: &str| {
            let node = service.node(key)?;
            Fields::new(node, PROBE.fields).entry("on_unhealthy")
        };
        for key in ["liveness", "startup"] {
            if let Some(entry) = inner(key) {
                let message = format!("`on_unhealthy` belongs to the health check, not to `{key}`");
                self.sink.error(Code::WrongPlace, entry.key_span, message);
            }
        }
        let entries = [service.entry("on_unhealthy"), inner("health_check")]
            .into_iter()
            .flatten();
        let entries: Vec<(Span, &Entry)> = entries.map(|entry| (entry.key_span, entry)).collect();
        let chosen = self.one_of(entries, "`on_unhealthy`");
        let Some(chosen) = chosen else {
            return OnUnhealthy::None;
        };
        if service.entry("health_check").is_none() {
            let message = "`on_unhealthy` needs a `health_check` that can tell";
            self.sink.error(Code::Missing, chosen.key_span, message);
        }
        match chosen.value.scalar().and_then(Scalar::literal) {
            Some(word) if word.eq_ignore_ascii_case("restart") => OnUnhealthy::Restart,
            _ => OnUnhealthy::None,
        }
    }

    fn action(
        &mut self,
        probe: &Entry,
        fields: &Fields<'_>,
        asked: Asked<'_>,
    ) -> Option<ProbeAction> {
        let given: Vec<&Entry> = ACTIONS.iter().filter_map(|key| fields.entry(key)).collect();
        let entry = match given.as_slice() {
            [] => {
                // A misspelt or unbuilt question has been reported already.
                let entries = probe.value.entries();
                let is_known = |e: &Entry| {
                    e.key != "mqtt" && crate::table::find(&[PROBE.fields], &e.key).is_some()
                };
                if matches!(probe.value.value, Value::Map(_)) && entries.iter().all(is_known) {
                    let message = format!("`{}` asks nothing", probe.key);
                    self.sink
                        .error(Code::Missing, probe.key_span, message)
                        .help(format!("give one of {}", crate::report::listed(&ACTIONS)));
                }
                return None;
            }
            [one] => *one,
            [first, second, ..] => {
                let message = format!(
                    "a probe asks one thing, but here stand `{}` and `{}`",
                    first.key, second.key
                );
                self.sink
                    .error(Code::Twice, second.key_span, message)
                    .also(first.key_span, "the other");
                return None;
            }
        };
        if let Some(args) = fields.entry("args").filter(|_| entry.key != "command") {
            self.sink.error(
                Code::WrongPlace,
                args.key_span,
                "`args` belongs to `command`",
            );
        }
        match entry.key.as_str() {
            "command" => {
                let args = fields.node("args").map(|_| fields.texts("args"));
                let line = command::command(&entry.value, args);
                self.asked_command(line.map(|line| line.words), entry.value.span)
            }
            "test" => self.test(&entry.value),
            "http" => self.http(&entry.value, asked),
            "tcp" => self.tcp(&entry.value, asked),
            "log" => fields
                .owned("log")
                .map(|pattern| ProbeAction::Log { pattern }),
            "notify" => {
                let is_true = self.only_true(entry);
                if is_true && asked.is_container {
                    let message = "a container cannot say that it is ready: the socket that `notify` needs is not there inside";
                    self.sink
                        .error(Code::WrongPlace, entry.key_span, message)
                        .help("ask by `command`, `http`, `tcp` or `log`, or use the image's own check: `container: true`");
                }
                is_true.then_some(ProbeAction::Notify)
            }
            _ => {
                let is_true = self.only_true(entry);
                if is_true && !asked.is_container {
                    let message = "only containers have a check of their engine's";
                    self.sink.error(Code::WrongPlace, entry.key_span, message);
                }
                is_true.then_some(ProbeAction::Container)
            }
        }
    }

    fn only_true(&mut self, entry: &Entry) -> bool {
        let is_true = entry
            .value
            .scalar()
            .and_then(Scalar::literal)
            .is_some_and(|word| word.eq_ignore_ascii_case("true"));
        if !is_true
            && entry
                .value
                .scalar()
                .is_some_and(|s| s.literal().is_some_and(|w| w.eq_ignore_ascii_case("false")))
        {
            let message = format!("`{}` is `true` or left out", entry.key);
            self.sink.error(Code::Invalid, entry.value.span, message);
        }
        is_true
    }

    fn asked_command(&mut self, words: Option<Vec<Template>>, span: Span) -> Option<ProbeAction> {
        let words = words.filter(|words| words[0].as_literal() != Some(""));
        if words.is_none() {
            self.sink
                .error(Code::Missing, span, "this command is empty");
        }
        words.map(|command| ProbeAction::Command { command })
    }

    /// Compose's `test`.
    fn test(&mut self, node: &Node) -> Option<ProbeAction> {
        if let Some(scalar) = node.scalar() {
            let words = command::shell(scalar.template()?).words;
            return self.asked_command(Some(words), node.span);
        }
        let items = node.items();
        let first = items.first().and_then(|item| item.scalar()?.literal());
        let mut rest = items.iter().skip(1).filter_map(text);
        match first {
            Some("NONE") => None,
            Some("CMD") => {
                let words: Vec<Template> = rest.collect();
                self.asked_command((!words.is_empty()).then_some(words), node.span)
            }
            Some("CMD-SHELL") => {
                let words = rest.next().map(|text| command::shell(text).words);
                self.asked_command(words, node.span)
            }
            _ => {
                let span = items.first().map_or(node.span, |item| item.span);
                self.sink
                    .error(
                        Code::Invalid,
                        span,
                        "the first item of `test` is `CMD`, `CMD-SHELL` or `NONE`",
                    )
                    .help("for a program and its arguments, `command` takes a list");
                None
            }
        }
    }

    fn http(&mut self, node: &Node, asked: Asked<'_>) -> Option<ProbeAction> {
        if let Some(scalar) = node.scalar() {
            let url = scalar.template()?;
            self.only_http(&url, node.span);
            return Some(ProbeAction::Http {
                url,
                status: Vec::new(),
                headers: BTreeMap::new(),
            });
        }
        let fields = Fields::new(node, HTTP.fields);
        let url = match fields.entry("url") {
            Some(entry) => {
                for key in ["path", "host", "port", "scheme"] {
                    if let Some(other) = fields.entry(key) {
                        self.sink
                            .error(
                                Code::Twice,
                                other.key_span,
                                format!("`url` says the {key} already"),
                            )
                            .also(entry.key_span, "the URL");
                    }
                }
                let url = text(&entry.value)?;
                self.only_http(&url, entry.value.span);
                url
            }
            None => self.own_url(&fields, node.span, asked)?,
        };
        let headers = fields
            .node("headers")
            .map(Node::entries)
            .unwrap_or_default();
        Some(ProbeAction::Http {
            url,
            status: fields
                .literals("status")
                .iter()
                .filter_map(|code| code.parse().ok())
                .collect(),
            headers: headers
                .iter()
                .filter_map(|e| Some((e.key.clone(), text(&e.value)?)))
                .collect(),
        })
    }

    fn own_url(&mut self, fields: &Fields<'_>, span: Span, asked: Asked<'_>) -> Option<Template> {
        let host = fields
            .text("host")
            .unwrap_or_else(|| own(asked.name, Attribute::Ip));
        let port = self.own_port(fields.node("port"), span, asked)?;
        let path = fields.text("path").unwrap_or_else(|| "/".into());
        let slash = if path.as_literal().is_some_and(|path| !path.starts_with('/')) {
            "/"
        } else {
            ""
        };
        Some(join([
            Template::literal("http://"),
            host,
            Template::literal(":"),
            port,
            Template::literal(slash),
            path,
        ]))
    }

    fn only_http(&mut self, url: &Template, span: Span) {
        let begins = match url.parts().first() {
            Some(Part::Literal(text)) => text.as_str(),
            Some(Part::Reference(reference)) if reference.attribute == Attribute::Url => return,
            _ => "",
        };
        if !begins.to_ascii_lowercase().starts_with("http://") {
            self.sink
                .error(
                    Code::Invalid,
                    span,
                    "the URL of a probe begins with `http://`",
                )
                .help("for HTTPS use a `command` such as `curl --fail`");
        }
    }

    fn tcp(&mut self, node: &Node, asked: Asked<'_>) -> Option<ProbeAction> {
        if let Some(scalar) = node.scalar() {
            let whole = scalar.template()?;
            if let Some((host, port)) = whole.as_literal().and_then(|text| text.rsplit_once(':')) {
                let is_port = crate::keys::port(port).is_ok();
                if !is_port || host.is_empty() {
                    self.sink
                        .error(Code::Invalid, node.span, "expected a port, or `host:port`");
                }
                return Some(ProbeAction::Tcp {
                    host: Some(host.into()),
                    port: port.into(),
                });
            }
            let port = self.own_port(Some(node), node.span, asked)?;
            return Some(ProbeAction::Tcp { host: None, port });
        }
        let fields = Fields::new(node, TCP.fields);
        let port = self.own_port(fields.node("port"), node.span, asked)?;
        Some(ProbeAction::Tcp {
            host: fields.text("host"),
            port,
        })
    }

    /// A number, a reference, the name of one of the unit's ports, or its first port.
    fn own_port(&mut self, node: Option<&Node>, span: Span, asked: Asked<'_>) -> Option<Template> {
        let Some(node) = node else {
            let first = asked.ports.first();
            if first.is_none_or(|port| port.protocol == Protocol::Udp) {
                let has = match first {
                    None => "has no `ports`",
                    Some(_) => "has a UDP port first, which cannot be asked",
                };
                let message = format!("`{}` {has}, so the probe must name one", asked.name);
                let span = Span {
                    end: span.start,
                    ..span
                };
                self.sink.error(Code::Missing, span, message);
                return None;
            }
            return Some(own(asked.name, Attribute::Port));
        };
        let port = text(node)?;
        let Some(literal) = port.as_literal() else {
            return Some(port);
        };
        if crate::keys::port(literal).is_ok() {
            return Some(port);
        }
        let named = |port: &&PortSpec| port.name.as_deref() == Some(literal);
        if let Some(port) = asked.ports.iter().find(named) {
            if port.protocol == Protocol::Udp {
                let message =
                    format!("`{literal}` is a UDP port, which no probe of this kind can ask");
                self.sink
                    .error(Code::Invalid, node.span, message)
                    .help("ask by `command`, or by a line of its `log`");
            }
            return Some(own(asked.name, Attribute::NamedPort(literal.to_owned())));
        }
        let message = format!(
            "{} is neither a port nor the name of one of `{}`",
            node.describe(),
            asked.name
        );
        self.sink.error(Code::Invalid, node.span, message);
        None
    }
}

fn own(name: &UnitName, attribute: Attribute) -> Template {
    Template::from_parts([Part::Reference(Reference {
        unit: name.clone(),
        attribute,
    })])
}

fn join(templates: impl IntoIterator<Item = Template>) -> Template {
    Template::from_parts(templates.into_iter().flat_map(|t| t.parts().to_vec()))
}
