//! What a container is made of.
//!
//! Owns: what of an order becomes what of a container, field by field. Asks nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Component;

use container_engine::{
    ContainerConfig, ContainerPort, Device, Environment, LogConfig, Mount, MountSource,
    NetworkAttachment, NetworkMode, PublishedPort, Resources, Ulimit,
};

use super::identity::network_name;
use super::{Failure, image};
use crate::executors::{ContainerOrder, LaunchOrder};
use crate::spec::{ContainerTarget, MountKind, Protocol};

pub(super) fn config(
    order: &LaunchOrder,
    target: &ContainerTarget,
    own: &ContainerOrder,
    labels: BTreeMap<String, String>,
    said: &Environment,
) -> Result<ContainerConfig, Failure> {
    elsewhere(target)?;
    let (hosts, extra) = (own.hosts.iter(), target.extra_hosts.iter());
    let mut extra_hosts: Vec<(String, Option<IpAddr>)> =
        hosts.map(|(name, ip)| (name.clone(), Some(*ip))).collect();
    for (name, address) in extra {
        let ip = match address.as_str() {
            "host-gateway" => None,
            address => Some(address.parse()?),
        };
        extra_hosts.push((name.clone(), ip));
    }
    let mount = |mount: &crate::spec::Mount| Mount {
        source: source(order, own, &mount.kind),
        target: mount.target.clone(),
        read_only: mount.read_only,
    };
    let security = &target.security;
    let devices: Result<Vec<Device>, Failure> =
        security.devices.iter().map(|text| device(text)).collect();
    Ok(ContainerConfig {
        image: image::name(own.image.as_deref(), &order.unit),
        command: own.command.clone(),
        entrypoint: own.entrypoint.clone(),
        environment: environment(order, own, said),
        labels,
        user: target.user.clone(),
        group_add: security.groups.clone(),
        working_dir: own.working_dir.clone(),
        hostname: target.hostname.clone(),
        exposed_ports: own.ports.iter().map(port).collect(),
        published_ports: own.ports.iter().filter_map(published).collect(),
        mounts: target.mounts.iter().map(mount).collect(),
        network: network(order, target),
        extra_hosts,
        // The engine takes that of the image for itself.
        stop_signal: (!target.image_signal).then(|| order.stop.signal.to_string()),
        stop_timeout: Some(order.stop.grace),
        resources: resources(target),
        cap_add: security.cap_add.clone(),
        cap_drop: security.cap_drop.clone(),
        privileged: security.privileged,
        security_opt: security.options.clone(),
        sysctls: security.sysctls.clone(),
        devices: devices?,
        init: target.init,
        read_only: security.read_only,
        shm_size_bytes: target.shm_size,
        log: Some(log(order)),
        tty: target.tty,
        ..ContainerConfig::default()
    })
}

/// What its file says, and what it is told beside that where the image does not say it itself.
fn environment(order: &LaunchOrder, own: &ContainerOrder, said: &Environment) -> Environment {
    let by_image: BTreeSet<&str> = said.iter().map(|(name, _)| name).collect();
    let env = order.env.iter();
    let env =
        env.filter(|(name, _)| !own.told.contains(*name) || !by_image.contains(name.as_str()));
    env.collect()
}

fn source(order: &LaunchOrder, own: &ContainerOrder, kind: &MountKind) -> MountSource {
    match kind {
        MountKind::Bind {
            source,
            create,
            propagation,
        } => MountSource::Bind {
            path: path(order, source),
            create: *create,
            relabel: None,
            propagation: propagation.clone(),
        },
        MountKind::Volume { name } => {
            let volume = own.volumes.get(name).cloned().unwrap_or_default();
            MountSource::volume(volume.name_with_engine(&order.unit.stack, name))
        }
        MountKind::Anonymous => MountSource::Volume {
            name: None,
            no_copy: false,
            driver: None,
            options: BTreeMap::new(),
        },
        MountKind::Tmpfs {
            size,
            mode,
            options,
        } => MountSource::Tmpfs {
            size_bytes: *size,
            mode: *mode,
            options: options.clone(),
        },
    }
}

/// Paths of another host are its own, and nothing there is relative to the stack.
fn elsewhere(target: &ContainerTarget) -> Result<(), Failure> {
    let Some(host) = &target.host else {
        return Ok(());
    };
    let mut sources = target.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Bind { source, .. } => Some(source),
        MountKind::Volume { .. } | MountKind::Anonymous | MountKind::Tmpfs { .. } => None,
    });
    match sources.find(|source| !source.starts_with('/')) {
        None => Ok(()),
        Some(source) => {
            let reason =
                format!("`{source}` is mounted from {host}: give its path there, from `/` on");
            Err(reason.into())
        }
    }
}

/// A path of the engine's machine, without what only a reader of paths needs.
fn path(order: &LaunchOrder, text: &str) -> String {
    let mut clean = std::path::PathBuf::new();
    for part in order.working_dir.join(text).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean.to_string_lossy().into_owned()
}

fn device(text: &str) -> Result<Device, Failure> {
    let mut parts = text.split(':');
    let host = parts.next().filter(|path| path.starts_with('/'));
    let host = host.ok_or_else(|| {
        format!("`{text}` is no device: expected `/dev/x`, `/dev/x:/dev/y` or `/dev/x:/dev/y:rwm`")
    })?;
    Ok(Device {
        host_path: host.to_owned(),
        container_path: parts.next().unwrap_or(host).to_owned(),
        permissions: parts.next().unwrap_or("rwm").to_owned(),
    })
}

fn port(port: &crate::executors::PortOrder) -> ContainerPort {
    ContainerPort {
        port: port.inside,
        protocol: match port.protocol {
            Protocol::Tcp => container_engine::Protocol::Tcp,
            Protocol::Udp => container_engine::Protocol::Udp,
        },
    }
}

fn published(order: &crate::executors::PortOrder) -> Option<PublishedPort> {
    let at = order.published?;
    Some(PublishedPort {
        container: port(order),
        host_ip: Some(at.ip()),
        host_port: Some(at.port()),
    })
}

fn network(order: &LaunchOrder, target: &ContainerTarget) -> NetworkMode {
    let name = match target.network.as_deref() {
        Some("host") => return NetworkMode::Host,
        Some("none") => return NetworkMode::None,
        // The engine's own, where it takes no names.
        Some("bridge") => return NetworkMode::EngineDefault,
        Some(name) => name.to_owned(),
        None => network_name(order.unit.stack.as_str()),
    };
    let mut aliases = vec![order.unit.name.to_string()];
    aliases.extend(target.aliases.iter().cloned());
    NetworkMode::Networks(vec![NetworkAttachment {
        network: name,
        aliases,
        ..NetworkAttachment::default()
    }])
}

fn resources(target: &ContainerTarget) -> Resources {
    let limits = &target.limits;
    Resources {
        memory_bytes: limits.memory,
        cpus: limits.millicpus.map(|thousandths| {
            #[allow(
                clippy::cast_precision_loss,
                reason = "a machine has fewer than 2^52 thousandths of a processor: it is exact"
            )]
            let thousandths = thousandths as f64;
            thousandths / 1000.0
        }),
        pids: limits.pids.map(u64::from),
        ulimits: limits
            .ulimits
            .iter()
            .map(|(name, limit)| Ulimit {
                name: name.clone(),
                soft: limit.soft,
                hard: limit.hard,
            })
            .collect(),
        ..Resources::default()
    }
}

/// The engine keeps as much as our own log does, so that nothing is lost while nobody takes it.
fn log(order: &LaunchOrder) -> LogConfig {
    let options = [
        ("max-size", order.log.max_size.to_string()),
        ("max-file", order.log.max_files.max(1).to_string()),
    ];
    LogConfig {
        driver: "json-file".into(),
        options: options.map(|(name, value)| (name.to_owned(), value)).into(),
    }
}

#[cfg(test)]
mod tests;
