//! Making a container and starting it.
//!
//! Owns: what of an order becomes what of a container, and what is done when its name is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Component;
use std::time::{Duration, Instant};

use async_io::Timer;
use container_engine::{
    Container, ContainerConfig, ContainerId, ContainerPort, Device, Engine, EngineError,
    Environment, Image, LogConfig, Mount, MountSource, NetworkAttachment, NetworkMode,
    PublishedPort, Resources, Ulimit, VolumeConfig,
};

use super::identity::{
    COMPOSE_PROJECT, HOME, STACK, container_name, labels, network_name, stack_labels, stop_label,
};
use super::pump::Output;
use super::{Failure, Shared, gone_is_fine, image, machine, refusal};
use crate::executors::{AdoptError, ContainerOrder, LaunchError, LaunchOrder, RunningAttempt};
use crate::spec::{ContainerTarget, MountKind, Protocol, TargetSpec};

pub(super) async fn launch(
    shared: &Shared,
    order: LaunchOrder,
) -> Result<Box<dyn RunningAttempt>, LaunchError> {
    let (TargetSpec::Docker(target), Some(own)) = (&order.target, order.container.as_deref())
    else {
        return Err(LaunchError::WrongTarget {
            executor: "DockerExecutor",
            target: order.target.kind(),
        });
    };
    let refuse = |error: EngineError| refused(&order, error);
    let engine = shared
        .engine()
        .map_err(|error| refusal(&order.unit, error))?;
    let home = shared
        .home
        .id()
        .map_err(|error| machine(&order.unit, error))?;
    volumes(engine, &home, &order, target, own)
        .await
        .map_err(refuse)?;
    let turn = shared.turn.lock().await;
    let stack = order.unit.stack.as_str();
    let forwarded = shared.forwarders.ensure(stack, &own.forwards).await;
    drop(turn);
    forwarded.map_err(|error| machine(&order.unit, error))?;
    let output = Output::new(&order);
    let mut labels = labels(&home, &order);
    labels.extend([output.label()]);
    let image = image_of(engine, &order, target, own)
        .await
        .map_err(refuse)?;
    if target.image_signal {
        let signal = image.as_ref().and_then(|image| image.stop_signal.clone());
        labels.extend(signal.map(stop_label));
    }
    let said = image.map(|image| image.environment).unwrap_or_default();
    let config = config(&order, target, own, labels, &said)
        .map_err(|error| machine(&order.unit, error.0))?;
    let name = target
        .container_name
        .clone()
        .unwrap_or_else(|| container_name(&order.unit));
    let id = create(engine, &home, &name, &config, &order).await?;
    let heard = shared.hub.listen(engine, id.clone());
    if let Err(error) = begin(&output, engine, &id).await {
        // Nothing of it runs; what cannot be removed now is found by its labels.
        drop(engine.remove(&id, true, true).await);
        return Err(match error {
            Begun::Refused(error) => refused(&order, error),
            Begun::Failed(error) => machine(&order.unit, error.0),
        });
    }
    let unclear = |error: EngineError| {
        LaunchError::Unclear(AdoptError {
            unit: order.unit.clone(),
            instance_id: order.instance_id.clone(),
            source: error.into(),
        })
    };
    let seen = engine.inspect(&id).await.map_err(unclear)?;
    if own.own_check && lacks_check(engine, &seen).await {
        gone_is_fine(engine.remove(&id, true, true).await).map_err(unclear)?;
        return Err(LaunchError::NotRunnable {
            program: order.unit.local_name(),
            reason: NO_CHECK.into(),
        });
    }
    Ok(Box::new(super::RunningContainer::new(
        engine.clone(),
        seen,
        heard,
        Some(output),
    )))
}

/// Whether the image of a container that runs has surely no check. Only the container tells: not every engine says it of
/// the image.
async fn lacks_check(engine: &Engine, seen: &Container) -> bool {
    if !seen.state.status.is_alive() {
        return false;
    }
    match engine.capabilities().await {
        Ok(capabilities) if capabilities.runs_checks => seen.state.health.is_none(),
        Ok(_) => matches!(engine.check(&seen.id).await, Ok(None)),
        Err(_) => false,
    }
}

const NO_CHECK: &str = "its image has no check of its own: give `readiness`/`healthcheck`, or depend on `service_started`";

enum Begun {
    Refused(EngineError),
    Failed(Failure),
}

async fn begin(output: &Output, engine: &Engine, id: &ContainerId) -> Result<(), Begun> {
    let now = chrono::Utc::now()
        .timestamp_nanos_opt()
        .and_then(|ns| u64::try_from(ns).ok());
    let begun = output.clone().begin(now.unwrap_or_default()).await;
    begun.map_err(|error| Begun::Failed(error.into()))?;
    match engine.start(id).await {
        Ok(()) => Ok(()),
        // Whether it runs is seen by looking, which comes next.
        Err(EngineError::Lost { .. } | EngineError::TimedOut { .. }) => Ok(()),
        Err(error) => Err(Begun::Refused(error)),
    }
}

/// Makes the container. A name that a dead container of ours still has is freed: the engine says that it removes one
/// before its name is free.
async fn create(
    engine: &Engine,
    home: &str,
    name: &str,
    config: &ContainerConfig,
    order: &LaunchOrder,
) -> Result<ContainerId, LaunchError> {
    let refuse = |error: EngineError| refused(order, error);
    let given_up_at = Instant::now() + UNTIL_A_NAME_IS_FREE;
    loop {
        let taken = match engine.create(name, config).await {
            Err(error @ EngineError::NameTaken { .. }) => error,
            made => return made.map_err(refuse),
        };
        match engine.inspect(&ContainerId::new(name)).await {
            Ok(holder) => {
                let is_ours = holder.labels.get(HOME).is_some_and(|label| label == home);
                if !is_ours || holder.state.status.is_alive() {
                    return Err(LaunchError::NotRunnable {
                        program: order.unit.local_name(),
                        reason: whose(name, &holder, is_ours),
                    });
                }
                let removed = engine.remove(&holder.id, false, true).await;
                gone_is_fine(removed).map_err(refuse)?;
            }
            // Gone in the meantime.
            Err(EngineError::NotFound { .. }) => {}
            Err(error) => return Err(refuse(error)),
        }
        if Instant::now() >= given_up_at {
            return Err(refuse(taken));
        }
        Timer::after(BETWEEN_TRIES).await;
    }
}

/// Who has the name, and what can be done.
fn whose(name: &str, holder: &Container, is_ours: bool) -> String {
    let label = |label: &str| holder.labels.get(label);
    let owner = match (is_ours, label(STACK), label(COMPOSE_PROJECT)) {
        (true, Some(stack), _) => format!("which runs for stack `{stack}` here"),
        (false, Some(stack), _) => format!("of stack `{stack}` of another installation"),
        (_, None, Some(project)) => format!("of Compose project `{project}`"),
        (_, None, None) => "which somebody else made".to_owned(),
    };
    let id = holder.id.as_str();
    format!(
        "the name `{name}` is taken by container {} of image `{}`, {owner}: remove or rename that, or give \
         another `container_name`",
        id.get(..SHORT_ID).unwrap_or(id),
        holder.image
    )
}

/// The stack's volumes that this container mounts.
async fn volumes(
    engine: &Engine,
    home: &str,
    order: &LaunchOrder,
    target: &ContainerTarget,
    own: &ContainerOrder,
) -> Result<(), EngineError> {
    let stack = &order.unit.stack;
    for mount in &target.mounts {
        let MountKind::Volume { name } = &mount.kind else {
            continue;
        };
        let volume = own.volumes.get(name).cloned().unwrap_or_default();
        let with_engine = volume.name_with_engine(stack, name);
        if volume.external {
            engine.volume(&with_engine).await?;
            continue;
        }
        let mut labels = volume.labels;
        labels.extend(stack_labels(home, stack.as_str()));
        labels.insert("com.docker.compose.volume".into(), name.clone());
        let config = VolumeConfig {
            labels,
            driver: volume.driver,
            options: volume.driver_opts,
        };
        engine.create_volume(&with_engine, &config).await?;
    }
    Ok(())
}

fn config(
    order: &LaunchOrder,
    target: &ContainerTarget,
    own: &ContainerOrder,
    labels: BTreeMap<String, String>,
    said: &Environment,
) -> Result<ContainerConfig, Failure> {
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

/// The image, where something of it has to be known before the container is made.
async fn image_of(
    engine: &Engine,
    order: &LaunchOrder,
    target: &ContainerTarget,
    own: &ContainerOrder,
) -> Result<Option<Image>, EngineError> {
    if !target.image_signal && own.told.is_empty() {
        return Ok(None);
    }
    let name = image::name(own.image.as_deref(), &order.unit);
    engine.image(&name).await.map(Some)
}

/// What its file says, and what it is told beside that where the image does not say it itself.
fn environment(order: &LaunchOrder, own: &ContainerOrder, said: &Environment) -> Environment {
    let by_image: BTreeSet<&str> = said.iter().map(|(name, _)| name).collect();
    let own_id = ("HARNESS_INSTANCE_ID", order.instance_id.as_str());
    let added = (!own.is_bare).then_some(own_id);
    let env = order.env.iter();
    let env =
        env.filter(|(name, _)| !own.told.contains(*name) || !by_image.contains(name.as_str()));
    let env = env.map(|(name, value)| (name.as_str(), value.as_str()));
    env.chain(added).collect()
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

/// A path of this machine, without what only a reader of paths needs.
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

fn refused(order: &LaunchOrder, error: EngineError) -> LaunchError {
    let unit = order.unit.local_name();
    let program = || program(order).unwrap_or_else(|| unit.clone());
    match error {
        EngineError::Refused { message, .. } if is_about_user(&message) => {
            LaunchError::NotPermitted {
                program: program(),
                reason: message,
            }
        }
        EngineError::NotRunnable { .. } => LaunchError::NotRunnable {
            program: program(),
            reason: crate::error_chain(&error),
        },
        EngineError::NoSuchImage { .. }
        | EngineError::NameTaken { .. }
        | EngineError::NotFound { .. } => LaunchError::NotRunnable {
            program: unit,
            reason: crate::error_chain(&error),
        },
        error => refusal(&order.unit, error),
    }
}

/// The engines have no status for it.
fn is_about_user(message: &str) -> bool {
    [
        "unable to find user",
        "unable to find group",
        "no matching entries in",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// What was to be run, where it is not left to the image.
fn program(order: &LaunchOrder) -> Option<String> {
    let own = order.container.as_deref()?;
    let words = [&own.entrypoint, &own.command];
    words.into_iter().flatten().flatten().next().cloned()
}

/// An engine that removes a container has freed its name by then, or will not soon.
const UNTIL_A_NAME_IS_FREE: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// As docker's command line shows an id.
const SHORT_ID: usize = 12;

#[cfg(test)]
mod tests;
