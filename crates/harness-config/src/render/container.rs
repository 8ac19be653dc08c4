//! What only containers have.

use service_orchestration::spec::{
    Build, ContainerTarget, Limits, Mount, MountKind, PortNumber, PortSpec, Protocol, Pull,
    Security, Template, VolumeSpec,
};

use super::literal;
use super::secrets::{Secrets, shown};
use super::value::{Map, Yaml};

/// What engines do with a container beyond running a program.
pub(super) fn settings(map: &mut Map, container: &ContainerTarget) {
    let pull = match container.pull {
        Pull::Missing => None,
        Pull::Always => Some("always"),
        Pull::Never => Some("never"),
        Pull::Build => Some("build"),
    };
    map.maybe("pull", pull);
    let name = container.container_name.as_deref();
    map.maybe("container_name", name.map(literal));
    map.maybe("hostname", container.hostname.as_deref().map(literal));
    let hosts = container.extra_hosts.iter();
    let hosts = hosts.map(|(name, address)| literal(&format!("{name}={address}")));
    map.list("extra_hosts", hosts.collect());
    super::policies::put_some(map, "limits", limits(&container.limits));
    security(map, &container.security);
    flag(map, "init", container.init);
    flag(map, "tty", container.tty);
    map.maybe("shm_size", container.shm_size);
}

fn limits(limits: &Limits) -> Map {
    let mut map = Map::default();
    map.maybe("memory", limits.memory);
    let cpus = limits.millicpus;
    map.maybe(
        "cpus",
        cpus.map(|n| format!("{}.{:03}", n / 1000, n % 1000)),
    );
    map.maybe("pids", limits.pids.map(u64::from));
    let ulimits = limits.ulimits.iter().map(|(name, limit)| {
        let mut pair = Map::default();
        pair.put("soft", limit.soft.to_string());
        pair.put("hard", limit.hard.to_string());
        (name.clone(), Yaml::Map(pair))
    });
    map.map("ulimits", ulimits.collect());
    map
}

fn security(map: &mut Map, security: &Security) {
    let list = |texts: &[String]| texts.iter().map(|text| literal(text)).collect();
    flag(map, "privileged", security.privileged);
    map.list("cap_add", list(&security.cap_add));
    map.list("cap_drop", list(&security.cap_drop));
    map.list("security_opt", list(&security.options));
    flag(map, "read_only", security.read_only);
    map.map("sysctls", texts(&security.sysctls, Secrets::Show));
    map.list("devices", list(&security.devices));
    map.list("group_add", list(&security.groups));
}

fn flag(map: &mut Map, key: &str, is_set: bool) {
    if is_set {
        map.put(key, true);
    }
}

/// The stack's network that a unit is on, with its other names there.
pub(super) fn network(map: &mut Map, network: Option<&str>, aliases: &[String]) {
    if aliases.is_empty() {
        map.maybe("network", network.map(literal));
        return;
    }
    let mut member = Map::default();
    let aliases = aliases.iter().map(|alias| literal(alias));
    member.list("aliases", aliases.collect());
    let name = network.unwrap_or("default").to_owned();
    map.map("networks", vec![(name, Yaml::Map(member))]);
}

/// The ports of a container: those that are published, and the others.
pub(super) fn ports(map: &mut Map, ports: &[PortSpec]) {
    let published = |port: &&PortSpec| port.published.is_some();
    let listed = |is_published| {
        let ports = ports
            .iter()
            .filter(move |port| published(port) == is_published);
        ports.map(port).collect()
    };
    map.list("ports", listed(true));
    map.list("expose", listed(false));
}

/// The short form where that says it all.
fn port(port: &PortSpec) -> Yaml {
    let PortNumber::Fixed(inside) = port.port else {
        // No container has such a port: what it listens on inside is its own choice.
        return "auto".into();
    };
    let outside = port.published.and_then(|published| match published.port {
        PortNumber::Fixed(outside) => Some(outside),
        PortNumber::Auto => None,
    });
    let address = port.published.and_then(|published| published.address);
    if port.name.is_none() && address.is_none() {
        let mut text = inside.to_string();
        if let Some(outside) = outside {
            text = format!("{outside}:{text}");
        }
        if port.protocol != Protocol::Tcp {
            text = format!("{text}/{}", port.protocol.as_str());
        }
        return text.into();
    }
    let mut map = Map::default();
    map.maybe("name", port.name.as_deref().map(literal));
    map.put("target", u64::from(inside));
    map.maybe("published", outside.map(u64::from));
    map.maybe("host_ip", address.map(|address| address.to_string()));
    if port.protocol != Protocol::Tcp {
        map.put("protocol", port.protocol.as_str());
    }
    Yaml::Map(map)
}

/// The short form where that says it all.
pub(super) fn mount(mount: &Mount) -> Yaml {
    let is_plain = |text: &str| !text.contains(':');
    let short = match &mount.kind {
        MountKind::Bind {
            source,
            create: true,
            propagation: None,
        } if source.starts_with(['/', '.']) => Some(Some(source)),
        MountKind::Volume { name } => Some(Some(name)),
        MountKind::Anonymous if !mount.read_only => Some(None),
        MountKind::Bind { .. } | MountKind::Anonymous | MountKind::Tmpfs { .. } => None,
    };
    if let Some(source) = short
        && is_plain(&mount.target)
        && source.is_none_or(|source| is_plain(source))
    {
        let source = source
            .map(|source| format!("{source}:"))
            .unwrap_or_default();
        let option = if mount.read_only { ":ro" } else { "" };
        return literal(&format!("{source}{}{option}", mount.target));
    }
    let mut map = Map::default();
    let mut more = Map::default();
    match &mount.kind {
        MountKind::Bind {
            source,
            create,
            propagation,
        } => {
            map.put("type", "bind");
            map.put("source", literal(source));
            if !create {
                more.put("create_host_path", false);
            }
            more.maybe("propagation", propagation.as_deref());
        }
        MountKind::Volume { name } => {
            map.put("type", "volume");
            map.put("source", literal(name));
        }
        MountKind::Anonymous => map.put("type", "volume"),
        MountKind::Tmpfs {
            size,
            mode,
            options,
        } => {
            map.put("type", "tmpfs");
            more.maybe("size", *size);
            more.maybe("mode", mode.map(|mode| format!("{mode:o}")));
            more.list(
                "options",
                options.iter().map(|option| literal(option)).collect(),
            );
        }
    }
    map.put("target", literal(&mount.target));
    if mount.read_only {
        map.put("read_only", true);
    }
    let key = match mount.kind {
        MountKind::Tmpfs { .. } => "tmpfs",
        MountKind::Bind { .. } | MountKind::Volume { .. } | MountKind::Anonymous => "bind",
    };
    super::policies::put_some(&mut map, key, more);
    Yaml::Map(map)
}

/// How an image is built.
pub(super) fn build(build: &Build, secrets: Secrets) -> Yaml {
    let mut map = Map::default();
    map.put("context", literal(&build.context));
    map.maybe("dockerfile", build.dockerfile.as_deref().map(literal));
    map.map("args", texts(&build.args, secrets));
    map.maybe("target", build.target.as_deref().map(literal));
    Yaml::Map(map)
}

/// A volume of the top level.
pub(super) fn volume(volume: &VolumeSpec, secrets: Secrets) -> Yaml {
    let mut map = Map::default();
    map.maybe("name", volume.engine_name.as_deref().map(literal));
    if volume.external {
        map.put("external", true);
    }
    map.maybe("driver", volume.driver.as_deref().map(literal));
    map.map("driver_opts", texts(&volume.driver_opts, secrets));
    map.map("labels", texts(&volume.labels, Secrets::Show));
    Yaml::Map(map)
}

/// Texts by name, masked where the name says that they are secret.
fn texts(
    entries: &std::collections::BTreeMap<String, String>,
    secrets: Secrets,
) -> Vec<(String, Yaml)> {
    let entries = entries.iter();
    let texts = entries.map(|(name, text)| {
        let shown = shown(name, &Template::literal(text.as_str()), secrets);
        (name.clone(), shown.into())
    });
    texts.collect()
}
