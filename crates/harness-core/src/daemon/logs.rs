//! The subscriptions to logs.
//!
//! Owns: which units are meant, those that come later included, and the filling of messages. A slow reader holds up only
//! itself: nothing is read from the store that there is no room for, beyond [`AHEAD`].

use std::error::Error as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use chrono::Utc;
use futures::Stream;
use futures_lite::future;
use harness_wire::Responder;
use serde_json::json;
use service_orchestration::logs::{LogError, LogQuery, Reach};
use service_orchestration::report::StackStatus;
use service_orchestration::spec::{StackName, UnitId, UnitName};

use super::arrivals::Arrivals;
use super::merge::Merge;
use super::parcel::{Block, Lines, Parcel};
use super::shared::Shared;
use crate::protocol::{ApiError, Done, ErrorCode, LogParams, MAX_BLOCK_BYTES};

/// Sends lines: what is there, by time, and, if it reaches so far, what comes, as it comes.
pub(super) async fn lines(shared: &Shared, params: LogParams, reach: Reach, to: Responder) {
    let lines = Lines::new(&params);
    send(shared, params, reach, lines, to).await;
}

/// The same as bytes and marks.
pub(super) async fn blocks(shared: &Shared, params: LogParams, reach: Reach, to: Responder) {
    send(shared, params, reach, Block::default(), to).await;
}

async fn send(
    shared: &Shared,
    params: LogParams,
    reach: Reach,
    mut parcel: impl Parcel,
    responder: Responder,
) {
    // Before the units are looked up, so that none can come unseen in between.
    let mut arrivals = match reach {
        Reach::PastAndFuture if params.units.is_empty() => {
            Some(Arrivals::new(shared, &params.stack).await)
        }
        Reach::PastAndFuture | Reach::Past => None,
    };
    let mut merged = match opened(shared, &params, reach).await {
        Ok(merged) => merged,
        Err(error) => return responder.error(&error.into()),
    };
    let mut publisher = responder.subscribe(&Done {});
    loop {
        // Room first, so that what is read is sent.
        if publisher.ready().await.is_err() {
            return;
        }
        let filled = async { Some(fill(&mut merged, &mut parcel).await) };
        let changed = async {
            match &mut arrivals {
                Some(arrivals) => arrivals.next().await,
                None => future::pending().await,
            }
            None
        };
        // New units first: others may write without a pause.
        match future::or(changed, filled).await {
            None => add_new(shared, &params, &mut merged).await,
            Some(is_over) => {
                if parcel.send(&mut publisher).await.is_err() {
                    return;
                }
                match is_over {
                    Ok(false) => {}
                    Ok(true) => return,
                    Err(error) => return publisher.fail(&error.into()),
                }
            }
        }
    }
}

/// Fills the parcel with what is there now, waiting for something; true when nothing more comes.
///
/// Dropping the future loses nothing: what was taken is in the parcel.
async fn fill(merged: &mut Merge, parcel: &mut impl Parcel) -> Result<bool, ApiError> {
    poll_fn(|cx| {
        while !parcel.is_full() {
            match Pin::new(&mut *merged).poll_next(cx) {
                Poll::Ready(Some(Ok((unit, piece)))) => parcel.put(&unit, piece),
                Poll::Ready(Some(Err((unit, error)))) => {
                    return Poll::Ready(Err(unreadable(&unit, &error)));
                }
                Poll::Ready(None) => return Poll::Ready(Ok(true)),
                Poll::Pending if parcel.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(false))
    })
    .await
}

/// The logs of all units that are meant.
async fn opened(shared: &Shared, params: &LogParams, reach: Reach) -> Result<Merge, ApiError> {
    let status = shared.manager.status(&params.stack).await?;
    let mut merged = Merge::default();
    let units = chosen(&status, &params.units)?;
    let ahead = ahead(units.len());
    for unit in units {
        let after = params.after.get(&unit).copied();
        let query = LogQuery {
            tail: params
                .tail
                .filter(|_| after.is_none())
                .map(|lines| usize::try_from(lines).unwrap_or(usize::MAX)),
            since: params.since.filter(|_| after.is_none()),
            cursor: after,
            ..query(params)
        };
        let id = unit_id(&params.stack, &unit).ok_or_else(|| {
            ApiError::new(ErrorCode::Internal, format!("`{unit}` is no unit's name"))
        })?;
        let log = shared.manager.logs().open(&id);
        merged.add(&unit, log.pieces(query, reach, ahead));
    }
    Ok(merged)
}

/// Adds the units that have come to the stack since: from now on, for they had nothing to say before.
async fn add_new(shared: &Shared, params: &LogParams, merged: &mut Merge) {
    // A stack that was forgotten has no units any more.
    let Ok(status) = shared.manager.status(&params.stack).await else {
        return;
    };
    for unit in &status.items {
        let id = unit_id(&params.stack, &unit.name);
        let Some(id) = id.filter(|_| !merged.has(&unit.name)) else {
            continue;
        };
        let query = LogQuery {
            since: params.since.max(Some(Utc::now() - LATE)),
            ..query(params)
        };
        let log = shared.manager.logs().open(&id);
        let ahead = ahead(status.items.len());
        merged.add(&unit.name, log.pieces(query, Reach::PastAndFuture, ahead));
    }
}

/// What is the same for all units.
fn query(params: &LogParams) -> LogQuery {
    LogQuery {
        until: params.until,
        stream: params.stream,
        attempt: params.attempt,
        ..LogQuery::default()
    }
}

/// How much is read ahead of each of so many units.
fn ahead(units: usize) -> usize {
    (AHEAD / units.max(1)).clamp(LEAST_AHEAD, MAX_BLOCK_BYTES)
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
fn unreadable(unit: &str, error: &LogError) -> ApiError {
    let cause = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    let message = format!("the log of `{unit}` cannot be read: {error}{cause}");
    ApiError::new(ErrorCode::LogUnreadable, message).with_data(json!({ "unit": unit }))
}

/// Bytes that are read ahead for one subscriber, shared out among the units. Twice as many may be in memory: while the
/// last are on their way, the next are read.
const AHEAD: usize = 512 * 1024;
/// Of each unit at least so many.
const LEAST_AHEAD: usize = 8 * 1024;
/// A unit that was added has been known for so long at most when that is noticed.
const LATE: chrono::TimeDelta = chrono::TimeDelta::seconds(5);
