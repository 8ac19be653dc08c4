//! The subscriptions to log lines.
//!
//! Owns: which units are meant, and the cutting into batches. A slow reader holds up only itself: nothing is read from
//! the store that there is no room for.

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::Stream;
use harness_wire::Responder;
use serde_json::json;
use service_orchestration::logs::{LogError, LogQuery};
use service_orchestration::report::StackStatus;
use service_orchestration::spec::{StackName, UnitId, UnitName};

use super::merge::Merge;
use super::shared::Shared;
use super::source::Source;
use crate::protocol::{ApiError, Done, ErrorCode, LogBatch, LogParams, LogRecord, MAX_BATCH_BYTES};

/// Sends what is there, by time, and ends.
pub(super) async fn read(shared: &Shared, params: LogParams, responder: Responder) {
    send(shared, params, responder, Merge::past).await;
}

/// Sends what is there, by time, then what comes, as it comes.
pub(super) async fn follow(shared: &Shared, params: LogParams, responder: Responder) {
    send(shared, params, responder, Merge::past_and_future).await;
}

async fn send(
    shared: &Shared,
    params: LogParams,
    responder: Responder,
    merge: impl FnOnce(Vec<Source>) -> Merge,
) {
    let sources = match sources(shared, &params).await {
        Ok(sources) => sources,
        Err(error) => return responder.error(&error.into()),
    };
    let mut merged = merge(sources);
    let mut publisher = responder.subscribe(&Done {});
    loop {
        // Room first, so that what is read is sent.
        if publisher.ready().await.is_err() {
            return;
        }
        match next_batch(&mut merged).await {
            Some(Ok(batch)) => {
                if publisher.send(&batch).await.is_err() {
                    return;
                }
            }
            Some(Err(error)) => return publisher.fail(&error.into()),
            None => return,
        }
    }
}

/// As many lines as are there, at least one and about [`MAX_BATCH_BYTES`] at most; `None` after the last.
async fn next_batch(lines: &mut Merge) -> Option<Result<LogBatch, ApiError>> {
    let mut batch = LogBatch::default();
    let mut bytes = 0;
    poll_fn(move |cx| {
        while bytes < MAX_BATCH_BYTES {
            match Pin::new(&mut *lines).poll_next(cx) {
                Poll::Ready(Some(Ok(line))) => {
                    bytes += line.bytes.len() + LINE_OVERHEAD;
                    batch.lines.push(line);
                }
                Poll::Ready(Some(Err(error))) if batch.lines.is_empty() => {
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(None) if batch.lines.is_empty() => return Poll::Ready(None),
                Poll::Pending if batch.lines.is_empty() => return Poll::Pending,
                // Both come again with the next batch.
                Poll::Ready(Some(Err(_)) | None) | Poll::Pending => break,
            }
        }
        Poll::Ready(Some(Ok(std::mem::take(&mut batch))))
    })
    .await
}

/// One source for each unit that is meant.
async fn sources(shared: &Shared, params: &LogParams) -> Result<Vec<Source>, ApiError> {
    let status = shared.manager.status(&params.stack).await?;
    let open = |name: String| {
        let after = params.after.get(&name).copied();
        let query = LogQuery {
            tail: params
                .tail
                .filter(|_| after.is_none())
                .map(|lines| usize::try_from(lines).unwrap_or(usize::MAX)),
            since: params.since.filter(|_| after.is_none()),
            until: params.until,
            stream: params.stream,
            attempt: params.attempt,
            cursor: after,
        };
        let id = unit_id(&params.stack, &name);
        async move {
            let id = id.ok_or_else(|| {
                ApiError::new(ErrorCode::Internal, format!("`{name}` is no unit's name"))
            })?;
            let log = shared.manager.logs().open(&id);
            Source::open(name, &log, query).await
        }
    };
    futures::future::try_join_all(chosen(&status, &params.units)?.into_iter().map(open)).await
}

/// The unit that status names like this.
fn unit_id(stack: &StackName, name: &str) -> Option<UnitId> {
    let (unit, replica) = name.split_once('/').unwrap_or((name, "0"));
    Some(UnitId {
        stack: stack.clone(),
        name: UnitName::new(unit).ok()?,
        replica: replica.parse().ok()?,
    })
}

/// The units of a stack that are asked for, as status names them.
fn chosen(status: &StackStatus, asked: &[String]) -> Result<Vec<String>, ApiError> {
    let all = || status.items.iter().map(|unit| unit.name.clone());
    if asked.is_empty() {
        return Ok(all().collect());
    }
    let mut chosen = Vec::new();
    for name in asked {
        let is_meant = |unit: &String| {
            unit == name
                || unit
                    .split_once('/')
                    .is_some_and(|(service, _)| service == name)
        };
        let before = chosen.len();
        chosen.extend(all().filter(is_meant));
        if chosen.len() == before {
            return Err(unknown(status, name));
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

fn unknown(status: &StackStatus, name: &str) -> ApiError {
    let message = format!(
        "there is no service or task `{name}` in stack `{}`",
        status.stack
    );
    ApiError::new(ErrorCode::UnknownUnit, message)
        .with_data(json!({ "stack": status.stack, "unit": name, "similar": null }))
}

/// The error of a log that is there and cannot be read.
pub(super) fn unreadable(unit: &str, error: &LogError) -> ApiError {
    let cause = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    let message = format!("the log of `{unit}` cannot be read: {error}{cause}");
    ApiError::new(ErrorCode::LogUnreadable, message).with_data(json!({ "unit": unit }))
}

/// What a line's time, unit and cursor take in a message, roughly.
const LINE_OVERHEAD: usize = 128;

pub(super) type Line = Result<LogRecord, ApiError>;
