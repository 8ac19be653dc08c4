//! A service by itself, outside any stack: what embedders get who use an executor without a supervisor.
//!
//! Owns: the way from a small config to an attempt, and the task-free watching of its end. Nobody restarts or probes it.

use std::path::Path;

use command_executor::event::{ProcessEvent, ProcessEventStream};
use futures::StreamExt;
use futures::stream;

use super::end::End;
use super::reading::Reading;
use super::{ControlError, LaunchError, LaunchOrder, ServiceExecutor, StopOrder};
use super::{NetworkInfo, RunningService};
use crate::config::{ServiceConfig, ServiceTarget};
use crate::logs::{AttemptFilter, LogError, LogQuery, LogStore};
use crate::report::ExitInfo;
use crate::spec::{StackName, TargetSpec, UnitId};

/// Starts a service.
pub(super) async fn start(
    executor: &dyn ServiceExecutor,
    root: &Path,
    config: ServiceConfig,
) -> Result<RunningService, LaunchError> {
    let spec = config.to_spec()?;
    let stack = StackName::new("default").expect("`default` is a legal name");
    let unit = UnitId::single(stack, spec.name.clone());
    let instance_id = crate::host::instance_id();
    let log_dir = LogStore::new(root.join("log").join(&instance_id)).directory(&unit);
    let mut env = crate::host::own_environment();
    if let ServiceTarget::Process { env: own, .. } = &config.target {
        env.extend(own.clone());
    }
    let directory = crate::host::own_directory();
    let (command, working_dir) = match &spec.target {
        TargetSpec::Process(process) => {
            let literal = |template: &crate::spec::Template| {
                template.as_literal().unwrap_or_default().to_owned()
            };
            let words = std::iter::once(&process.program).chain(&process.args);
            let own = process.working_dir.as_ref().map(literal);
            (
                words.map(literal).collect(),
                own.map_or_else(|| directory.clone(), |own| directory.join(own)),
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
        container: None,
        env,
        working_dir,
        log: spec.log.clone(),
        log_dir: log_dir.clone(),
        log_totals: Vec::new(),
        stop: spec.stop.clone(),
        notify: false,
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
        network_info: Some(NetworkInfo::loopback()),
        start_time,
        attempt: 1,
        unit,
        log_dir,
        control: Some(control),
        end: End::of(attempt),
    })
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
