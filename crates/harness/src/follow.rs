//! Waiting for work that the daemon does, while showing how it goes.
//!
//! Owns: the merging of what can end a wait: the work's result, a time limit, an interrupt. The work itself goes on
//! whatever ends the wait; only the daemon stops it.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_lite::future;
use harness_core::HarnessClient;
use harness_core::client::{ClientError, EventStream};
use harness_core::protocol::SubscribeParams;
use harness_core::report::{Event, StackStatus, UnitStatus};
use harness_core::spec::StackName;
use smol::Timer;

use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, Interrupts};
use crate::render::{Block, Painter, Progress, Timers, Tracker, block, note, transition_line};
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
    /// None where nothing of them is shown.
    events: Option<EventStream>,
    interrupts: Interrupts,
    tracker: Tracker,
    timers: Timers,
    begun: Instant,
    begun_at: DateTime<Utc>,
    progress: Progress,
}

enum News<T> {
    Done(Result<T, ClientError>),
    Happened,
    /// It is time for another picture, and this is what it shows.
    Beat(Option<StackStatus>),
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
        let (events, before) = match context.progress() {
            Progress::Quiet => (None, None),
            Progress::Live | Progress::Plain => (
                Some(client.events(params).await?),
                client.status(stack).await.ok(),
            ),
        };
        Ok(Self {
            context,
            client,
            stack: stack.clone(),
            events,
            interrupts: Interrupts::new().map_err(Failure::io("listen to signals"))?,
            tracker: Tracker::new(before.as_ref()),
            timers: Timers::default(),
            begun: Instant::now(),
            begun_at: Utc::now(),
            progress: context.progress(),
        })
    }

    /// The same without a live view: something else is written to the terminal meanwhile.
    pub(crate) fn in_lines(mut self) -> Self {
        if self.progress == Progress::Live {
            self.progress = Progress::Plain;
        }
        self
    }

    /// The same without telling of changes.
    pub(crate) fn silent(mut self) -> Self {
        self.progress = Progress::Quiet;
        self
    }

    /// Makes room for these names from the first line on.
    pub(crate) fn expect<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.tracker.expect(names);
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
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let progress = self.progress;
        let mut painter = (progress == Progress::Live).then(|| Painter::new(self.context.messages));
        // What is over at once is told by its result: no picture flashes up.
        let mut beat = self.beats() + 1;
        let ended = {
            // Polled whenever anything else of the client is, and gone before anything else is asked: a call that
            // nobody polls would hold up the others of its connection.
            let mut work = pin!(work);
            loop {
                let next_beat = painter.is_some().then(|| self.begun + BEAT * beat);
                let news = self.next(work.as_mut(), deadline, next_beat, shown.units);
                match news.await {
                    News::Done(result) => break Ended::Done(result?),
                    News::TimedOut => break Ended::TimedOut,
                    News::Interrupted(by) => break Ended::Interrupted(by),
                    News::Happened => {}
                    News::Beat(status) => {
                        beat = self.beats() + 1;
                        self.draw(&mut painter, shown, status.as_ref(), FOOT);
                    }
                }
            }
        };
        let is_over = !matches!(ended, Ended::Done(_));
        self.finish(&mut painter, shown, progress, is_over).await;
        Ok(ended)
    }

    /// How many pictures there could have been so far.
    fn beats(&self) -> u32 {
        u32::try_from(self.begun.elapsed().as_millis() / BEAT.as_millis()).unwrap_or(u32::MAX - 1)
    }

    async fn next<T>(
        &mut self,
        work: impl Future<Output = Result<T, ClientError>>,
        deadline: Option<Instant>,
        next_beat: Option<Instant>,
        units: &[String],
    ) -> News<T> {
        let Self {
            events,
            interrupts,
            tracker,
            context,
            client,
            stack,
            progress,
            ..
        } = self;
        let done = async { News::Done(work.await) };
        let happened = async {
            let Some(events) = events else {
                return future::pending().await;
            };
            match events.next().await {
                Some(Ok(event)) => {
                    tell(context, *progress, tracker, &event, units);
                    News::Happened
                }
                // The work says so better.
                Some(Err(_)) | None => future::pending().await,
            }
        };
        let timed_out = async {
            until(deadline).await;
            News::TimedOut
        };
        let interrupted = async { News::Interrupted(interrupts.next().await) };
        let beat = async {
            until(next_beat).await;
            // Not there yet while the order is on its way.
            News::Beat(client.status(stack).await.ok())
        };
        let ends = future::or(interrupted, future::or(done, timed_out));
        future::or(ends, future::or(beat, happened)).await
    }

    fn draw(
        &mut self,
        painter: &mut Option<Painter>,
        shown: Shown<'_>,
        status: Option<&StackStatus>,
        foot: &str,
    ) {
        let (Some(painter), Some(status)) = (painter, status) else {
            return;
        };
        let units = of_interest(status, shown.units);
        let now = Utc::now();
        self.timers.look(&units, shown.is_done, now);
        let view = Block {
            title: shown.title,
            units: &units,
            is_done: shown.is_done,
            foot,
            begun: self.begun_at,
            timers: &self.timers,
            now,
            beat: usize::try_from(self.beats()).unwrap_or_default(),
        };
        painter.paint(&block(&self.context.messages, &view, painter.size()));
    }

    /// Takes the events that are on their way already.
    async fn drain(&mut self, units: &[String]) {
        let deadline = Instant::now() + STRAGGLERS;
        let never = || future::pending::<Result<(), ClientError>>();
        while let News::Happened = self.next(never(), Some(deadline), None, units).await {}
    }

    /// Shows the end as it is, whatever the events have told of it. Where the wait itself is over, that may not take long.
    async fn finish(
        &mut self,
        painter: &mut Option<Painter>,
        shown: Shown<'_>,
        progress: Progress,
        is_over: bool,
    ) {
        if progress == Progress::Plain && self.tracker.has_told() {
            self.drain(shown.units).await;
        }
        if progress == Progress::Quiet {
            return;
        }
        // Whoever has waited long enough does not wait for a daemon to come back.
        let deadline = is_over.then(|| Instant::now() + LAST_LOOK);
        let asked = async { self.client.status(&self.stack).await.ok() };
        let too_late = async {
            until(deadline).await;
            None
        };
        let Some(status) = future::or(asked, too_late).await else {
            return;
        };
        let units = of_interest(&status, shown.units);
        let changes = self.tracker.status(&units, Utc::now());
        let has_painted = painter.as_ref().is_some_and(Painter::has_painted);
        if has_painted || !changes.is_empty() || self.tracker.has_told() {
            self.draw(painter, shown, Some(&status), "");
        }
        for told in changes {
            if progress == Progress::Plain {
                note(&transition_line(
                    &self.context.messages,
                    self.tracker.width(),
                    &told,
                ));
            }
        }
    }
}

/// Tells of an event, where changes are told line by line.
fn tell(
    context: &Context,
    progress: Progress,
    tracker: &mut Tracker,
    event: &Event,
    units: &[String],
) {
    let Some(told) = tracker.event(event) else {
        return;
    };
    let is_meant = units.is_empty() || units.iter().any(|unit| means(unit, &told.unit));
    if is_meant && progress == Progress::Plain {
        note(&transition_line(&context.messages, tracker.width(), &told));
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => drop(Timer::at(moment).await),
        None => future::pending().await,
    }
}

fn of_interest<'a>(status: &'a StackStatus, units: &[String]) -> Vec<&'a UnitStatus> {
    let is_meant =
        |unit: &&UnitStatus| units.is_empty() || units.iter().any(|name| means(name, &unit.name));
    status.items.iter().filter(is_meant).collect()
}

/// Events travel with the answer that ended the wait; those that come later are told by the status anyway.
const STRAGGLERS: Duration = Duration::from_millis(20);
/// How long the picture of the end may take, when it was not the work that ended the wait.
const LAST_LOOK: Duration = Duration::from_secs(1);
const FOOT: &str = "Ctrl-C detaches; the daemon keeps working.";
/// Ten pictures a second look like movement.
const BEAT: Duration = Duration::from_millis(100);
