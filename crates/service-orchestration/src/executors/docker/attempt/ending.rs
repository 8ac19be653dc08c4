//! The end of a container.
//!
//! Owns: the order of it: the container is gone, its output is taken, and only then is the end told; and what is said of
//! an end that nobody watched. Never ends anything.

use std::time::Duration;

use async_io::Timer;
use chrono::{DateTime, Utc};
use container_engine::{
    Container, ContainerAction, ContainerId, ContainerStatus, Engine, EngineError, EventKind,
    EventsQuery, Filters,
};
use futures_lite::StreamExt;

use super::{PUMP_AGAIN, RunningContainer};
use crate::executors::AttemptEvent;
use crate::report::{ExitInfo, StopInfo};

/// Whose doing an end was that nobody watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// Its own: its exit code is what it says of itself.
    Itself,
    /// As far as can be known, that of the engine, which went away and took it along.
    Engine,
}

impl RunningContainer {
    /// How the container is. Once it does not run any more, that is its end.
    pub(super) fn take_in(&mut self, seen: Container) {
        self.is_paused = seen.state.status == ContainerStatus::Paused;
        if seen.state.status.is_alive() {
            // What has ended is called unhealthy by its engine.
            let health = seen.state.health.as_ref().map(|health| health.status);
            let before = self.health.get();
            self.health.set(health);
            self.is_check_news |= before.is_some() && self.health.get() != before;
            let began = *self.run_ns.get_or_insert(seen.state.started_ns);
            if began != seen.state.started_ns {
                self.overtaken(seen.state.finished_ns);
            }
            return self.take_in_networks(&seen);
        }
        let has_run = self.before_ns.is_none() || seen.state.started_ns != self.before_ns;
        let code = seen
            .state
            .exit_code
            .filter(|_| has_run)
            .and_then(|code| i32::try_from(code).ok());
        let oom = "the kernel ended something in it for want of memory";
        let detail = match seen.state.status {
            _ if has_run && seen.state.is_oom_killed => Some(oom.to_owned()),
            // We remove it only once its end is told.
            _ if !has_run => None,
            ContainerStatus::Removing | ContainerStatus::Dead => Some(REMOVED.to_owned()),
            _ => None,
        };
        let exit = ExitInfo {
            exit_code: code,
            exit_unknown: code.is_none(),
            detail,
            ended_at: seen.state.finished_ns.filter(|_| has_run).and_then(time),
            ..ExitInfo::default()
        };
        self.ended(exit, None);
    }

    /// Nobody looked for a while, and its container has ended meanwhile: where it runs, somebody else has started it again.
    pub(in super::super) fn has_ended_since(&mut self, finished_ns: Option<u64>) {
        if self.end.is_none() {
            self.overtaken(finished_ns);
        }
    }

    /// Whether its end is known, whatever is still to be done for it.
    pub(in super::super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// It runs, but not since this attempt began: it has ended and was started again before anybody looked.
    fn overtaken(&mut self, finished_ns: Option<u64>) {
        let code = self.died_with.or(self.died_before);
        let code = code.and_then(|code| i32::try_from(code).ok());
        let exit = ExitInfo {
            exit_code: code,
            exit_unknown: code.is_none(),
            ended_at: finished_ns.and_then(time),
            ..ExitInfo::default()
        };
        self.ended(exit, finished_ns);
    }

    /// Removed behind our back: of its end is known what the engine said of it, if anything.
    pub(super) fn removed(&mut self) {
        let code = self.died_with.and_then(|code| i32::try_from(code).ok());
        let exit = ExitInfo {
            exit_code: code,
            exit_unknown: code.is_none(),
            detail: Some(REMOVED.to_owned()),
            ..ExitInfo::default()
        };
        self.ended(exit, None);
    }

    /// It was removed after its end was seen, and before it was told.
    pub(super) fn blame_a_stranger(&mut self) {
        if let Some(end) = &mut self.end
            && end.stop.is_none()
        {
            end.detail.get_or_insert_with(|| REMOVED.to_owned());
        }
    }

    /// Where its container runs again already, what was said after `until_ns` is not its own.
    fn ended(&mut self, exit: ExitInfo, until_ns: Option<u64>) {
        let stop = self.ladder.take().map(|ladder| StopInfo {
            escalation: if ladder.was_forced { "killed" } else { "none" }.into(),
            leftovers: Vec::new(),
            leftover_count: 0,
            took_ms: u64::try_from(ladder.began.elapsed().as_millis()).ok(),
        });
        if self.end.is_none() {
            let is_judged = stop.is_some() || exit.detail.is_some() || exit.exit_unknown;
            if self.is_told_unreachable && !is_judged {
                self.judge(Duration::ZERO, &exit);
            }
            self.end = Some(ExitInfo { stop, ..exit });
            if let Some(output) = &self.output {
                output.is_over(until_ns);
            }
            if self.pumping.is_none() {
                self.pump(Duration::ZERO);
            }
        }
        self.signalling = None;
    }

    /// Finds out whose doing the end was, after a pause.
    fn judge(&mut self, pause: Duration, exit: &ExitInfo) {
        let (engine, id) = (self.engine.clone(), self.id.clone());
        let ended_at = exit.ended_at.and_then(|at| at.timestamp_nanos_opt());
        let ended_ns = ended_at.and_then(|ns| u64::try_from(ns).ok());
        self.judging = Some(Box::pin(async move {
            if !pause.is_zero() {
                Timer::after(pause).await;
            }
            blame(&engine, &id, ended_ns.unwrap_or_default()).await
        }));
    }

    pub(super) fn judged(&mut self, blame: Result<Blame, EngineError>) -> Option<AttemptEvent> {
        let end = self.end.as_mut().expect("only an end is judged");
        match blame {
            Ok(Blame::Itself) => {}
            Err(error) if error.is_no_answer() => {
                let exit = end.clone();
                self.judge(PUMP_AGAIN, &exit);
                return self.unreachable(crate::error_chain(&error));
            }
            Ok(Blame::Engine) | Err(_) => {
                end.detail.get_or_insert_with(|| WHILE_AWAY.to_owned());
            }
        }
        None
    }

    /// The end is known and the output is taken: what is left is to write that down.
    pub(super) fn finish(&mut self) {
        let is_known = self.end.is_some() && self.judging.is_none();
        if !is_known || self.pumping.is_some() || self.finishing.is_some() {
            return;
        }
        let end = self.end.as_ref().and_then(|exit| exit.ended_at);
        let at_ns = end
            .or_else(|| Some(Utc::now()))
            .and_then(|at| at.timestamp_nanos_opt())
            .and_then(|ns| u64::try_from(ns).ok())
            .unwrap_or_default();
        let output = self.output.take();
        self.finishing = Some(Box::pin(async move {
            if let Some(output) = output
                && let Err(error) = output.end(at_ns).await
            {
                tracing::warn!(
                    error = crate::error_chain(&error),
                    "the end of its output is not recorded"
                );
            }
        }));
    }
}

/// An engine that keeps containers alive while it is away ends none. Another one ends all of them as it goes, and forgets
/// its latest events then: one that still has the end was there when it came.
async fn blame(engine: &Engine, id: &ContainerId, ended_ns: u64) -> Result<Blame, EngineError> {
    if engine.info().await?.live_restore {
        return Ok(Blame::Itself);
    }
    let now = Utc::now().timestamp_nanos_opt();
    let query = EventsQuery {
        since_ns: Some(ended_ns.saturating_sub(A_LITTLE_NS)),
        until_ns: now.and_then(|ns| u64::try_from(ns).ok()),
        filters: Filters::all()
            .by("type", "container")
            .by("event", "die")
            .by("container", id.as_str()),
    };
    let mut events = engine.events(&query).await?;
    while let Some(event) = events.next().await {
        if let EventKind::Container(ContainerAction::Die { .. }) = event?.kind {
            return Ok(Blame::Itself);
        }
    }
    Ok(Blame::Engine)
}

/// From nanoseconds since 1970.
fn time(ns: u64) -> Option<DateTime<Utc>> {
    i64::try_from(ns).ok().map(DateTime::from_timestamp_nanos)
}

const REMOVED: &str = "its container was removed by somebody else";

const WHILE_AWAY: &str = "it ended with its container engine";

/// The event of an end is a moment older or younger than the end.
const A_LITTLE_NS: u64 = 5_000_000_000;
