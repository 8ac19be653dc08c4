//! Waiting for work that the daemon does, while showing how it goes.
//!
//! Owns: the merging of what can end a wait: the work's result, a time limit, an interrupt. The work itself goes on
//! whatever ends the wait; only the daemon stops it.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use chrono::Utc;
use futures_lite::future;
use harness_core::HarnessClient;
use harness_core::client::{ClientError, EventStream};
use harness_core::protocol::SubscribeParams;
use harness_core::report::{StackStatus, UnitStatus};
use harness_core::spec::StackName;
use smol::Timer;

use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, Interrupts};
use crate::render::{Block, Painter, Progress, Tracker, block, note, transition_line};
use crate::units::means;

/// What is shown while something is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// What is going on: `Starting webapp`.
    pub(crate) title: &'a str,
    /// The units that matter; empty: all.
    pub(crate) units: &'a [String],
    /// Whether a unit has come as far as is waited for.
    pub(crate) is_done: fn(&UnitStatus) -> bool,
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) enum Ended<T> {
    /// With the result of the work.
    Done(T),
    /// Its time was over.
    TimedOut,
    /// The user had enough.
    Interrupted(Interrupt),
}

/// A stack, watched from before an order is given so that no change is missed.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    context: &'a Context,
    client: &'a HarnessClient,
    stack: StackName,
    events: EventStream,
    interrupts: Interrupts,
    tracker: Tracker,
    begun: Instant,
}

enum News<T> {
    Done(Result<T, ClientError>),
    Happened,
    Beat,
    TimedOut,
    Interrupted(Interrupt),
}

impl<'a> Watch<'a> {
    /// Begins to watch. The stack need not exist yet.
    ///
    /// # Errors
    /// When the daemon cannot be asked, or signals cannot be listened to.
    pub(crate) async fn new(
        context: &'a Context,
        client: &'a HarnessClient,
        stack: &StackName,
    ) -> Result<Self, Failure> {
        let params = SubscribeParams {
            stack: Some(stack.clone()),
            ..SubscribeParams::default()
        };
        let events = client.events(params).await?;
        let before = client.status(stack).await.ok();
        Ok(Self {
            context,
            client,
            stack: stack.clone(),
            events,
            interrupts: Interrupts::new().map_err(Failure::io("listen to signals"))?,
            tracker: Tracker::new(before.as_ref()),
            begun: Instant::now(),
        })
    }

    /// Waits for `work`, for `limit` at most, and shows how it goes.
    ///
    /// # Errors
    /// When the work fails because of the daemon.
    pub(crate) async fn until<T>(
        &mut self,
        shown: Shown<'_>,
        limit: Option<Duration>,
        work: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<Ended<T>, Failure> {
        let mut work = pin!(work);
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let progress = self.context.progress();
        let mut painter = (progress == Progress::Live).then(|| Painter::new(self.context.messages));
        let mut beat = 0;
        let ended = loop {
            match self
                .next(
                    work.as_mut(),
                    deadline,
                    painter.is_some(),
                    progress,
                    shown.units,
                )
                .await?
            {
                News::Done(result) => break Ended::Done(result?),
                News::TimedOut => break Ended::TimedOut,
                News::Interrupted(by) => break Ended::Interrupted(by),
                News::Happened => {}
                News::Beat => {
                    beat += 1;
                    self.draw(&mut painter, shown, beat).await?;
                }
            }
        };
        self.finish(&mut painter, shown, progress, beat).await?;
        Ok(ended)
    }

    async fn next<T>(
        &mut self,
        work: impl Future<Output = Result<T, ClientError>>,
        deadline: Option<Instant>,
        is_live: bool,
        progress: Progress,
        units: &[String],
    ) -> Result<News<T>, Failure> {
        let Self {
            events,
            interrupts,
            tracker,
            context,
            ..
        } = self;
        let done = async { Ok(News::Done(work.await)) };
        let happened = async {
            match events.next().await {
                Some(Ok(event)) => {
                    let is_shown =
                        |name: &str| units.is_empty() || units.iter().any(|unit| means(unit, name));
                    if let Some(told) = tracker.event(&event)
                        && progress == Progress::Plain
                        && is_shown(&told.unit)
                    {
                        note(&transition_line(&context.messages, tracker.width(), &told));
                    }
                    Ok(News::Happened)
                }
                // The work says so better.
                Some(Err(_)) | None => future::pending().await,
            }
        };
        let timed_out = async {
            match deadline {
                Some(deadline) => Timer::at(deadline).await,
                None => future::pending().await,
            };
            Ok(News::TimedOut)
        };
        let interrupted = async { Ok(News::Interrupted(interrupts.next().await)) };
        let beat = async {
            match is_live {
                true => Timer::after(BEAT).await,
                false => future::pending().await,
            };
            Ok(News::Beat)
        };
        let ends = future::or(interrupted, future::or(done, timed_out));
        future::or(ends, future::or(happened, beat)).await
    }

    async fn draw(
        &self,
        painter: &mut Option<Painter>,
        shown: Shown<'_>,
        beat: usize,
    ) -> Result<(), Failure> {
        let Some(painter) = painter else {
            return Ok(());
        };
        // Not there yet while the order is on its way.
        let Ok(status) = self.client.status(&self.stack).await else {
            return Ok(());
        };
        let units = of_interest(&status, shown.units);
        let view = Block {
            title: shown.title,
            units: &units,
            is_done: shown.is_done,
            foot: "Ctrl-C detaches; the daemon keeps working.",
            elapsed: self.begun.elapsed(),
            now: Utc::now(),
            beat,
        };
        painter.paint(&block(&self.context.messages, &view, painter.size()));
        Ok(())
    }

    /// Takes the events that are on their way already.
    async fn drain(&mut self, units: &[String]) {
        let never = || future::pending::<Result<(), ClientError>>();
        let deadline = Instant::now() + STRAGGLERS;
        while let Ok(News::Happened) = self
            .next(pin!(never()), Some(deadline), false, Progress::Plain, units)
            .await
        {}
    }

    /// Shows the end as it is, whatever the events have told of it.
    async fn finish(
        &mut self,
        painter: &mut Option<Painter>,
        shown: Shown<'_>,
        progress: Progress,
        beat: usize,
    ) -> Result<(), Failure> {
        match progress {
            Progress::Live => self.draw(painter, shown, beat).await,
            Progress::Quiet => Ok(()),
            Progress::Plain => {
                self.drain(shown.units).await;
                let Ok(status) = self.client.status(&self.stack).await else {
                    return Ok(());
                };
                let told = self
                    .tracker
                    .status(&of_interest(&status, shown.units), Utc::now());
                for told in &told {
                    note(&transition_line(
                        &self.context.messages,
                        self.tracker.width(),
                        told,
                    ));
                }
                Ok(())
            }
        }
    }
}

fn of_interest<'a>(status: &'a StackStatus, units: &[String]) -> Vec<&'a UnitStatus> {
    let is_meant =
        |unit: &&UnitStatus| units.is_empty() || units.iter().any(|name| means(name, &unit.name));
    status.items.iter().filter(is_meant).collect()
}

/// Events travel with the answer that ended the wait; those that come later are told by the status anyway.
const STRAGGLERS: Duration = Duration::from_millis(20);
/// Ten pictures a second look like movement.
const BEAT: Duration = Duration::from_millis(100);
