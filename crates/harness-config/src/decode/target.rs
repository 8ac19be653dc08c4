//! Targets.

use std::path::PathBuf;

use service_orchestration::spec::{
    PackageTarget, ProcessTarget, RemoteRun, RemoteTarget, TargetSpec, Template,
};

use super::Decoder;
use super::command::{self, CommandLine};
use crate::keys::{Form, TargetType};
use crate::report::Code;
use crate::table::text;
use crate::yaml::{Node, Scalar};

impl Decoder<'_> {
    /// Where a unit runs, and whether its main process is a shell; nothing when what it needs has been reported.
    pub(super) fn target(&mut self, form: Form<'_>) -> Option<(TargetSpec, bool)> {
        let target = match form.kind {
            TargetType::Process => {
                let (process, is_shell) = self.process(form)?;
                return Some((TargetSpec::Process(process), is_shell));
            }
            TargetType::ProcessAttach => TargetSpec::ProcessAttach {
                pid: literal(form, "pid").and_then(|text| text.parse().ok()),
                process_name: owned(form, "process_name"),
            },
            TargetType::Docker => TargetSpec::Docker(Box::new(self.container(form))),
            TargetType::DockerAttach => TargetSpec::DockerAttach {
                container: owned(form, "container")?,
                host: super::container::host(form),
            },
            TargetType::Remote => TargetSpec::Remote(self.remote(form)?),
            TargetType::Package | TargetType::Wireguard => package(form)?,
        };
        Some((target, false))
    }

    fn process(&mut self, form: Form<'_>) -> Option<(ProcessTarget, bool)> {
        let args = form.node("args").map(texts);
        let line = match (form.node("binary"), form.node("command")) {
            (Some(binary), _) => {
                let words = text(binary).into_iter().chain(args.into_iter().flatten());
                CommandLine {
                    words: words.collect(),
                    is_shell: false,
                }
            }
            (None, Some(node)) => command::command(node, args)?,
            (None, None) => return None,
        };
        let mut words = line.words.into_iter();
        let program = words.next()?;
        if program.as_literal().is_some_and(str::is_empty) {
            let entry = form.entry("binary").or_else(|| form.entry("command"))?;
            self.sink.error(
                Code::Missing,
                entry.value.span,
                "the program's name is empty",
            );
        }
        let process = ProcessTarget {
            program,
            args: words.collect(),
            working_dir: form.node("working_dir").and_then(text),
            user: owned(form, "user"),
            group: owned(form, "group"),
        };
        Some((process, line.is_shell))
    }

    pub(super) fn words(&mut self, node: Option<&Node>) -> Option<Vec<Template>> {
        let node = node?;
        match command::words(node) {
            Ok(words) => Some(words),
            Err(message) => {
                self.sink.error(Code::Invalid, node.span, message);
                None
            }
        }
    }

    fn remote(&mut self, form: Form<'_>) -> Option<RemoteTarget> {
        let run = match form.node("package") {
            Some(_) => {
                for key in ["args", "working_dir"] {
                    if let Some(entry) = form.entry(key) {
                        let message = format!("`{key}` belongs to `binary`, not to `package`");
                        self.sink.error(Code::WrongPlace, entry.key_span, message);
                    }
                }
                RemoteRun::Package(owned(form, "package")?)
            }
            None => RemoteRun::Program(ProcessTarget {
                program: form.node("binary").and_then(text)?,
                args: form.node("args").map(texts).unwrap_or_default(),
                working_dir: form.node("working_dir").and_then(text),
                user: None,
                group: None,
            }),
        };
        Some(RemoteTarget {
            host: owned(form, "host")?,
            user: owned(form, "user"),
            port: literal(form, "port").and_then(|text| text.parse().ok()),
            ssh_key: owned(form, "ssh_key").map(PathBuf::from),
            run,
        })
    }
}

/// A package on a host is what `remote` with `package` is, unless it says what cannot be followed.
fn package(form: Form<'_>) -> Option<TargetSpec> {
    let (host, user) = (owned(form, "host")?, owned(form, "user"));
    let package = owned(form, "package")?;
    let version = owned(form, "version");
    let install_path = owned(form, "install_path").map(PathBuf::from);
    if version.is_none() && install_path.is_none() {
        return Some(TargetSpec::Remote(RemoteTarget {
            host,
            user,
            port: None,
            ssh_key: None,
            run: RemoteRun::Package(package),
        }));
    }
    Some(TargetSpec::Package(PackageTarget {
        host,
        user,
        package,
        version,
        install_path,
        wireguard: form.kind == TargetType::Wireguard,
    }))
}

fn texts(node: &Node) -> Vec<Template> {
    node.items().iter().filter_map(text).collect()
}

pub(super) fn literal<'a>(form: Form<'a>, key: &str) -> Option<&'a str> {
    form.node(key)
        .and_then(|node| node.scalar())
        .and_then(Scalar::literal)
}

pub(super) fn owned(form: Form<'_>, key: &str) -> Option<String> {
    literal(form, key).map(str::to_owned)
}

pub(super) fn flag(form: Form<'_>, key: &str) -> bool {
    literal(form, key).is_some_and(|word| word.eq_ignore_ascii_case("true"))
}

/// The known texts of a list.
pub(super) fn literals(form: Form<'_>, key: &str) -> Vec<String> {
    let items = form.node(key).map(Node::items).unwrap_or_default().iter();
    let texts = items.filter_map(|item| item.scalar().and_then(Scalar::literal));
    texts.map(str::to_owned).collect()
}
