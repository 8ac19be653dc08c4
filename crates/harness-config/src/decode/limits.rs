//! What a container may use and what it may do.

use std::collections::BTreeMap;

use service_orchestration::spec::{Limits, Security, Ulimit};

use super::Decoder;
use super::target::{flag, literals};
use super::unit::labels;
use crate::keys::{DEPLOY, DEPLOY_LIMITS, DEVICE, Form, LIMITS, RESOURCES, ULIMIT, cpus};
use crate::report::Code;
use crate::source::Span;
use crate::table::{Fields, size};
use crate::yaml::{Entry, Node, Scalar};

impl Decoder<'_> {
    /// What `limits` and Compose's spellings of it say.
    pub(super) fn limits(&mut self, form: Form<'_>) -> Limits {
        let own = form
            .node("limits")
            .map(|node| Fields::new(node, LIMITS.fields));
        let deployed = form
            .node("deploy")
            .and_then(|node| Fields::new(node, DEPLOY.fields).node("resources"))
            .and_then(|node| Fields::new(node, RESOURCES.fields).node("limits"))
            .map(|node| Fields::new(node, DEPLOY_LIMITS.fields));
        let mut limit = |key: &str, compose: &str, what: &str| {
            let entries = [
                own.and_then(|fields| fields.entry(key)),
                form.entry(compose),
                deployed.and_then(|fields| fields.entry(key)),
            ];
            let present = entries.into_iter().flatten();
            let given = present.filter_map(|entry| Some((entry.key_span, literal(entry)?)));
            self.one_of(given.collect(), what)
        };
        let memory = limit("memory", "mem_limit", "the limit of memory");
        let processors = limit("cpus", "cpus", "the limit of processors");
        let pids = limit("pids", "pids_limit", "the limit of processes");
        let ulimits = [
            own.and_then(|fields| fields.entry("ulimits")),
            form.entry("ulimits"),
        ];
        let ulimits = ulimits.into_iter().flatten();
        let ulimits: Vec<(Span, &Entry)> = ulimits.map(|entry| (entry.key_span, entry)).collect();
        let ulimits = self.one_of(ulimits, "`ulimits`");
        Limits {
            memory: memory.and_then(|text| size(text).ok()),
            millicpus: processors.and_then(|text| cpus(text).ok()),
            pids: pids.and_then(|text| text.parse().ok()),
            ulimits: ulimits
                .map(|entry| self.ulimits(&entry.value))
                .unwrap_or_default(),
        }
    }

    fn ulimits(&mut self, node: &Node) -> BTreeMap<String, Ulimit> {
        let mut ulimits = BTreeMap::new();
        for entry in node.entries() {
            if !ULIMITS.contains(&entry.key.as_str()) {
                let near = self.sink.suggest(&entry.key, ULIMITS.iter().copied());
                let message = format!(
                    "there is no limit `{}` of a process",
                    crate::yaml::shorten(&entry.key)
                );
                self.sink
                    .error(Code::UnknownField, entry.key_span, message)
                    .meant(near);
            }
            let Some((soft, hard)) = soft_and_hard(&entry.value) else {
                continue;
            };
            // None is more than any.
            let reach = |limit: i64| if limit < 0 { i64::MAX } else { limit };
            if reach(soft) > reach(hard) {
                self.sink.error(
                    Code::Invalid,
                    entry.value.span,
                    "what it has (`soft`) is beyond how far it may raise it (`hard`)",
                );
            }
            ulimits.insert(entry.key.clone(), Ulimit { soft, hard });
        }
        ulimits
    }
}

/// What a container may do.
pub(super) fn security(form: Form<'_>) -> Security {
    Security {
        privileged: flag(form, "privileged"),
        cap_add: literals(form, "cap_add"),
        cap_drop: literals(form, "cap_drop"),
        options: literals(form, "security_opt"),
        read_only: flag(form, "read_only"),
        sysctls: labels(form.node("sysctls")),
        devices: form
            .node("devices")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .filter_map(device)
            .collect(),
        groups: literals(form, "group_add"),
    }
}

/// The short form of a device.
fn device(node: &Node) -> Option<String> {
    if let Some(scalar) = node.scalar() {
        return scalar.literal().map(str::to_owned);
    }
    let fields = Fields::new(node, DEVICE.fields);
    let source = fields.literal("source")?;
    let target = fields.literal("target").unwrap_or(source);
    Some(match fields.literal("permissions") {
        Some(rights) => format!("{source}:{target}:{rights}"),
        None => format!("{source}:{target}"),
    })
}

fn soft_and_hard(node: &Node) -> Option<(i64, i64)> {
    if let Some(scalar) = node.scalar() {
        let both = scalar.literal()?.parse().ok()?;
        return Some((both, both));
    }
    let fields = Fields::new(node, ULIMIT.fields);
    Some((fields.number("soft")?, fields.number("hard")?))
}

fn literal(entry: &Entry) -> Option<&str> {
    entry.value.scalar().and_then(Scalar::literal)
}

/// Those that engines take.
const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];
