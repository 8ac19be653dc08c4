//! What is mounted into a container.
//!
//! Owns: both forms of an item of `volumes`, and `tmpfs`; that a volume is declared and nothing is mounted over another.

use service_orchestration::spec::{Mount, MountKind};

use super::Decoder;
use crate::keys::{Form, MOUNT, MOUNT_BIND, MOUNT_TMPFS, octal, tmpfs};
use crate::report::Code;
use crate::source::Span;
use crate::table::{Fields, size};
use crate::yaml::{Node, Scalar};

impl Decoder<'_> {
    /// What `volumes` and `tmpfs` say together.
    pub(super) fn mounts(&mut self, form: Form<'_>, host: Option<&str>) -> Vec<Mount> {
        let mut mounts: Vec<(Mount, Span)> = Vec::new();
        for item in form.node("volumes").map(Node::items).unwrap_or_default() {
            let mount = match item.scalar() {
                // What is no mount has been reported.
                Some(scalar) => scalar.literal().and_then(|text| Mount::parse(text).ok()),
                None => self.long_mount(item),
            };
            let mount = mount.and_then(|mount| self.source(mount, host, item.span));
            self.add_mount(&mut mounts, mount, item.span);
        }
        let node = form.node("tmpfs");
        let items = match node {
            Some(node) if node.scalar().is_some() => std::slice::from_ref(node),
            Some(node) => node.items(),
            None => &[],
        };
        for item in items {
            let text = item.scalar().and_then(Scalar::literal);
            let mount = text.and_then(|text| tmpfs(text).ok());
            self.add_mount(&mut mounts, mount, item.span);
        }
        mounts.into_iter().map(|(mount, _)| mount).collect()
    }

    fn add_mount(&mut self, mounts: &mut Vec<(Mount, Span)>, mount: Option<Mount>, span: Span) {
        let Some(mount) = mount else {
            return;
        };
        let place = |mount: &Mount| mount.target.trim_end_matches('/').to_owned();
        let mut known = mounts.iter();
        match known.find(|(known, _)| place(known) == place(&mount)) {
            Some((_, first)) => {
                let message = format!("`{}` is mounted twice", mount.target);
                self.sink
                    .error(Code::Twice, span, message)
                    .label("one would hide the other")
                    .also(*first, "the other");
            }
            None => mounts.push((mount, span)),
        }
    }

    /// Finds the home directory and the volume that a source means.
    fn source(&mut self, mut mount: Mount, host: Option<&str>, span: Span) -> Option<Mount> {
        match &mut mount.kind {
            MountKind::Bind { source, .. } if host.is_some() && !source.starts_with('/') => {
                let host = host.unwrap_or_default();
                let message = format!(
                    "`{source}` is a path of this machine, and the container runs on `{host}`"
                );
                self.sink
                    .error(Code::Invalid, span, message)
                    .help("write the path there, from `/` on, or mount a volume; what the image needs of this machine is copied in when it is built");
                return None;
            }
            MountKind::Bind { source, .. } => {
                if let Some(rest) = source.strip_prefix('~') {
                    let home = self.variables.get("HOME").filter(|home| !home.is_empty());
                    match home.filter(|_| rest.is_empty() || rest.starts_with('/')) {
                        Some(home) => *source = format!("{home}{rest}"),
                        None => {
                            let message = format!("`{source}`: no home directory is known for it");
                            self.sink
                                .error(Code::Invalid, span, message)
                                .help("`~` is the HOME of whoever reads the file; write the path");
                            return None;
                        }
                    }
                }
            }
            MountKind::Volume { name } => {
                if !self.volumes.contains_key(name.as_str()) {
                    let name = name.clone();
                    self.unknown_volume(&name, span);
                    return None;
                }
            }
            MountKind::Anonymous | MountKind::Tmpfs { .. } => {}
        }
        Some(mount)
    }

    fn unknown_volume(&mut self, name: &str, span: Span) {
        let near = self
            .sink
            .suggest(name, self.volumes.keys().map(String::as_str));
        self.sink
            .error(
                Code::UnknownVolume,
                span,
                format!("no volume `{name}` is declared"),
            )
            .meant(near)
            .help(format!(
                "declare it under `volumes:` on the top level, or write `./{name}` for a directory"
            ));
    }

    fn long_mount(&mut self, item: &Node) -> Option<Mount> {
        let fields = Fields::new(item, MOUNT.fields);
        let kind = fields.word("type")?;
        let target = fields.owned("target")?;
        let source = fields.owned("source").filter(|source| !source.is_empty());
        self.only_for(&fields, "bind", &kind);
        self.only_for(&fields, "tmpfs", &kind);
        let kind = match (kind.as_str(), source) {
            ("bind", Some(source)) => {
                let bind = fields.node("bind");
                let bind = bind.map(|node| Fields::new(node, MOUNT_BIND.fields));
                let create = bind.and_then(|fields| fields.flag("create_host_path"));
                MountKind::Bind {
                    source,
                    create: create.unwrap_or(true),
                    propagation: bind.and_then(|fields| fields.word("propagation")),
                }
            }
            ("bind", None) => {
                let message = "a mount of type bind needs `source`";
                self.sink.error(Code::Missing, start(item), message);
                return None;
            }
            ("volume", Some(name)) => MountKind::Volume { name },
            ("volume", None) => MountKind::Anonymous,
            ("tmpfs", None) => {
                let tmpfs = fields
                    .node("tmpfs")
                    .map(|node| Fields::new(node, MOUNT_TMPFS.fields));
                let literal = |key| tmpfs.and_then(|fields| fields.literal(key));
                MountKind::Tmpfs {
                    size: literal("size").and_then(|text| size(text).ok()),
                    mode: literal("mode").and_then(|text| octal(text).ok()),
                    options: tmpfs
                        .map(|fields| fields.literals("options"))
                        .unwrap_or_default(),
                }
            }
            ("tmpfs", Some(_)) => {
                let entry = fields.entry("source")?;
                let message = "memory has no `source`";
                self.sink.error(Code::WrongPlace, entry.key_span, message);
                return None;
            }
            _ => return None,
        };
        Some(Mount {
            kind,
            target,
            read_only: fields.flag("read_only").unwrap_or(false),
        })
    }

    /// Reports settings of another kind of mount.
    fn only_for(&mut self, fields: &Fields<'_>, key: &str, kind: &str) {
        if let Some(entry) = fields.entry(key).filter(|_| key != kind) {
            let message = format!("`{key}` belongs to mounts of type {key}, not {kind}");
            self.sink.error(Code::WrongPlace, entry.key_span, message);
        }
    }
}

/// The place itself, without the lines below it.
fn start(node: &Node) -> Span {
    Span {
        end: node.span.start,
        ..node.span
    }
}
