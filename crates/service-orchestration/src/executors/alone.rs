//! A service by itself, outside any stack: what embedders get who use an executor without a supervisor.
//!
//! Owns: the way from a small config to an attempt, and the task-free watching of its end. Nobody restarts or probes it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use command_executor::event::{ProcessEvent, ProcessEventStream};
use futures::StreamExt;
use futures::stream;

use super::end::End;
use super::reading::Reading;
use super::{
    ContainerOrder, ControlError, GroundOrder, LaunchError, LaunchOrder, PortOrder, Progress,
    ServiceExecutor, StopOrder,
};
use super::{NetworkInfo, RunningService};
use crate::config::{ServiceConfig, ServiceTarget};
use crate::logs::{AttemptFilter, LogError, LogQuery, LogStore};
use crate::report::ExitInfo;
use crate::spec::{
    PortNumber, RemoteRun, RemoteTarget, ServiceSpec, StackName, TargetSpec, UnitId,
};

/// Starts a service.
pub(super) async fn start(
    executor: &dyn ServiceExecutor,
    root: &Path,
    config: ServiceConfig,
) -> Result<RunningService, LaunchError> {
    let mut spec = config.to_spec()?;
    let stack = StackName::new("default").expect("`default` is a legal name");
    let unit = UnitId::single(stack, spec.name.clone());
    let instance_id = crate::host::instance_id();
    let log_dir = LogStore::new(root.join("log").join(&instance_id)).directory(&unit);
    let env = match config.target {
        ServiceTarget::Process { env: own, .. } => {
            let mut env = crate::host::own_environment();
            env.extend(own);
            env
        }
        // What its image says is its own; nothing of ours fits it.
        ServiceTarget::Docker { env: own, .. } => own.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let directory = crate::host::own_directory();
    let container = container(&mut spec, &unit)?;
    if executor.needs_ground(&spec.target) {
        let ground = GroundOrder {
            unit: unit.clone(),
            attempt: 1,
            target: spec.target.clone(),
            image: container.as_ref().and_then(|own| own.image.clone()),
            directory: directory.clone(),
            since: None,
            progress: Progress::default(),
        };
        executor.prepare(ground).await?;
    }
    let network_info = NetworkInfo {
        ports: container.iter().flat_map(|own| ports(own)).collect(),
        ..NetworkInfo::loopback()
    };
    let literal =
        |template: &crate::spec::Template| template.as_literal().unwrap_or_default().to_owned();
    let (command, working_dir) = match &spec.target {
        TargetSpec::Process(process) => {
            let own = process.working_dir.as_ref().map(literal);
            (
                process.words().map(literal).collect(),
                own.map_or_else(|| directory.clone(), |own| directory.join(own)),
            )
        }
        TargetSpec::Remote(RemoteTarget {
            run: RemoteRun::Program(process),
            ..
        }) => {
            let own = process.working_dir.as_ref().map(literal);
            (
                process.words().map(literal).collect(),
                own.unwrap_or_default().into(),
            )
        }
        _ => (Vec::new(), directory),
    };
    let order = LaunchOrder {
        unit: unit.clone(),
        attempt: 1,
        instance_id: instance_id.clone(),
        target: spec.target.clone(),
        command,
        container,
        env,
        working_dir,
        log: spec.log.clone(),
        log_dir: log_dir.clone(),
        log_totals: Vec::new(),
        stop: spec.stop.clone(),
        notify: false,
        input: None,
    };
    let start_time = chrono::Utc::now();
    let attempt = executor.launch(order).await?;
    let facts = attempt.facts();
    let control = attempt.control();
    Ok(RunningService {
        id: instance_id,
        name: config.name,
        pid: facts.pid,
        container_id: facts.container_id,
        network_info: Some(network_info),
        start_time,
        attempt: 1,
        unit,
        log_dir,
        control: Some(control),
        end: End::of(attempt),
    })
}

/// What a container is told that is in no stack: it is on the network that the engine has by itself, and its ports are
/// published at free ones of this machine.
fn container(
    spec: &mut ServiceSpec,
    unit: &UnitId,
) -> Result<Option<Box<ContainerOrder>>, LaunchError> {
    let TargetSpec::Docker(target) = &mut spec.target else {
        return Ok(None);
    };
    target.network = Some("bridge".into());
    let image = target.image.as_ref();
    let image = image.and_then(|image| image.as_literal().map(str::to_owned));
    let published = |port: &crate::spec::PortSpec| {
        let PortNumber::Fixed(inside) = port.port else {
            return Ok(None);
        };
        // Free when it is chosen; another program may take it before the container does.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        Ok(Some(PortOrder {
            inside,
            protocol: port.protocol,
            published: Some(free),
        }))
    };
    let ports: std::io::Result<Vec<_>> = spec.ports.iter().map(published).collect();
    let ports = ports.map_err(|source| LaunchError::Machine {
        program: unit.local_name(),
        source: source.into(),
    })?;
    Ok(Some(Box::new(ContainerOrder {
        image,
        ports: ports.into_iter().flatten().collect(),
        ..ContainerOrder::default()
    })))
}

/// Where the ports of a container are reached at this machine, by the number inside.
fn ports(own: &ContainerOrder) -> impl Iterator<Item = (String, u16)> {
    let published = |port: &PortOrder| Some((port.inside.to_string(), port.published?.port()));
    own.ports.iter().filter_map(published)
}

/// Stops a service and returns when no process of it is left.
pub(super) async fn stop(service: &RunningService) -> Result<ExitInfo, ControlError> {
    let control = service.control.as_ref().ok_or(ControlError::Attached)?;
    if let Some(exit) = service.end.known().await {
        return Ok(exit);
    }
    let stop = crate::spec::Stop::default();
    control
        .stop(&StopOrder {
            signal: Some(stop.signal),
            grace: stop.grace,
            scope: stop.scope,
        })
        .await?;
    Ok(service.end.wait().await)
}

/// Everything that a service has said and will say, from its first byte, and its end.
pub(crate) async fn stream_events(
    service: &RunningService,
) -> Result<ProcessEventStream, LaunchError> {
    let log = crate::logs::UnitLog::new(service.log_dir.clone());
    let query = || LogQuery {
        attempt: Some(AttemptFilter::Number(service.attempt)),
        ..LogQuery::default()
    };
    // Looked at once here, so that a log that cannot be read is an error and not a silent end.
    log.read(LogQuery {
        tail: Some(1),
        ..query()
    })
    .await
    .map_err(|source: LogError| LaunchError::Log {
        unit: service.name.clone(),
        source,
    })?;
    let started = service.pid.map(ProcessEvent::started);
    let reading = Reading::new(log, query(), service.end.clone());
    let output = stream::unfold(Some(reading), |reading| async { reading?.next().await });
    Ok(ProcessEventStream::new(stream::iter(started).chain(output)))
}
