//! Targets, written nested.

use service_orchestration::spec::{ProcessTarget, RemoteRun, TargetSpec, Template};

use super::literal;
use super::secrets::{Secrets, shown_text};
use super::value::{Map, Yaml};

/// The mapping of a target; nothing for a task without one.
pub(super) fn target(target: &TargetSpec, secrets: Secrets) -> Option<Map> {
    let mut map = Map::default();
    match target {
        TargetSpec::Process(process) => {
            map.put("type", "process");
            program(&mut map, process, secrets);
            map.maybe("user", process.user.as_deref().map(literal));
            map.maybe("group", process.group.as_deref().map(literal));
        }
        TargetSpec::ProcessAttach { pid, process_name } => {
            map.put("type", "process-attach");
            map.maybe("pid", pid.map(u64::from));
            map.maybe("process_name", process_name.as_deref().map(literal));
        }
        TargetSpec::Docker(container) => {
            map.put("type", "docker");
            map.maybe("host", container.host.as_deref().map(literal));
            map.maybe("image", container.image.as_ref());
            map.maybe(
                "build",
                container
                    .build
                    .as_ref()
                    .map(|build| super::container::build(build, secrets)),
            );
            map.maybe(
                "command",
                container
                    .command
                    .as_deref()
                    .map(|words| texts(words, secrets)),
            );
            map.maybe(
                "entrypoint",
                container
                    .entrypoint
                    .as_deref()
                    .map(|words| texts(words, secrets)),
            );
            map.list(
                "volumes",
                container
                    .mounts
                    .iter()
                    .map(super::container::mount)
                    .collect(),
            );
            map.maybe("user", container.user.as_deref().map(literal));
            map.maybe("network", container.network.as_deref().map(literal));
            map.maybe("working_dir", container.working_dir.as_ref());
            super::container::settings(&mut map, container);
        }
        TargetSpec::DockerAttach { container, host } => {
            map.put("type", "docker-attach");
            map.maybe("host", host.as_deref().map(literal));
            map.put("container", literal(container));
        }
        TargetSpec::Remote(remote) => {
            map.put("type", "remote");
            map.put("host", literal(&remote.host));
            map.maybe("user", remote.user.as_deref().map(literal));
            map.maybe("port", remote.port.map(u64::from));
            map.maybe(
                "ssh_key",
                remote
                    .ssh_key
                    .as_ref()
                    .map(|path| literal(&path.to_string_lossy())),
            );
            match &remote.run {
                RemoteRun::Program(process) => program(&mut map, process, secrets),
                RemoteRun::Package(package) => map.put("package", literal(package)),
            }
        }
        TargetSpec::Package(package) => {
            map.put(
                "type",
                if package.wireguard {
                    "wireguard"
                } else {
                    "package"
                },
            );
            map.put("host", literal(&package.host));
            map.maybe("user", package.user.as_deref().map(literal));
            map.put("package", literal(&package.package));
            map.maybe("version", package.version.as_deref().map(literal));
            map.maybe(
                "install_path",
                package
                    .install_path
                    .as_ref()
                    .map(|path| literal(&path.to_string_lossy())),
            );
        }
        // A type added to the specification later has no spelling yet.
        _ => return None,
    }
    Some(map)
}

/// A list of texts.
pub(super) fn texts(words: &[Template], secrets: Secrets) -> Yaml {
    Yaml::List(
        words
            .iter()
            .map(|word| Yaml::Text(shown_text(word, secrets)))
            .collect(),
    )
}

fn program(map: &mut Map, process: &ProcessTarget, secrets: Secrets) {
    map.put("binary", &process.program);
    if !process.args.is_empty() {
        map.put("args", texts(&process.args, secrets));
    }
    map.maybe("working_dir", process.working_dir.as_ref());
}
