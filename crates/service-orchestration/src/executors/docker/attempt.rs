//! A container that runs, or has run and is not told to have ended yet.
//!
//! Owns: what it hears and is ordered, one step after another, and the ladder of a stop: signal, grace, force. How it ends
//! stands in [`ending`].

mod ending;
mod facts;
mod network;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_channel::Receiver;
use async_io::Timer;
use async_trait::async_trait;
use container_engine::{
    Container, ContainerAction, ContainerId, Engine, EngineError, HealthStatus,
};
use futures_lite::future;

use self::ending::Blame;
use self::facts::facts;
use super::control::{ContainerControl, LastHealth, Order};
use super::hub::Heard;
use super::identity::stop_signal;
use super::pump::{Output, PumpError};
use super::site::Site;
use crate::executors::{
    AttemptControl, AttemptEvent, AttemptFacts, HostFacts, OwnCheck, RunningAttempt, StopOrder,
};
use crate::report::ExitInfo;

/// See the module.
pub(super) struct RunningContainer {
    engine: Engine,
    id: ContainerId,
    facts: AttemptFacts,
    tty: bool,
    /// What asks it to end, where its image says so.
    own_signal: Option<String>,
    control: Arc<ContainerControl>,
    health: Arc<LastHealth>,
    heard: Receiver<Heard>,
    orders: Receiver<Order>,
    /// Where its output goes; nowhere when it is only observed.
    output: Option<Output>,
    /// When the container's run before this one began: while that is its last, this one never did.
    before_ns: Option<u64>,
    /// When this one began, once it was seen to run: a container that began later is another attempt's.
    run_ns: Option<Option<u64>>,
    /// What goes on, kept over a dropped `next`.
    pumping: Option<Task<Result<(), PumpError>>>,
    /// Whether it was begun after the end. Docker cuts off whoever follows the output of one that dies while it says much.
    is_last_pump: bool,
    looking: Option<Task<Result<Container, EngineError>>>,
    signalling: Option<Task<Result<(), EngineError>>>,
    /// Whose doing an end was that came while the engine was out of reach.
    judging: Option<Task<Result<Blame, EngineError>>>,
    finishing: Option<Task<()>>,
    ladder: Option<Ladder>,
    is_told_unreachable: bool,
    is_paused: bool,
    is_told_paused: bool,
    /// Whether its check said something that is not told yet.
    is_check_news: bool,
    /// The network that it was made for, and is not on.
    missing: Option<String>,
    /// Whether what is told of its networks is no longer so.
    are_networks_new: bool,
    /// What the engine's event of its end said, should nobody be able to look any more.
    died_with: Option<i64>,
    /// The same, of what it said before the last start that was heard of.
    died_before: Option<i64>,
    end: Option<ExitInfo>,
}

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How far a stop has come.
struct Ladder {
    began: Instant,
    /// When force is used; past once it was.
    force_at: Option<Instant>,
    was_forced: bool,
}

enum Step {
    Heard(Option<Heard>),
    Ordered(Order),
    Looked(Box<Result<Container, EngineError>>),
    Pumped(Result<(), PumpError>),
    Signalled(Result<(), EngineError>),
    GraceOver,
    Judged(Result<Blame, EngineError>),
    Finished,
}

impl RunningContainer {
    pub(super) fn new(
        engine: Engine,
        seen: Container,
        heard: Receiver<Heard>,
        output: Option<Output>,
        before_ns: Option<u64>,
    ) -> Self {
        let (sender, orders) = async_channel::unbounded();
        let health = Arc::new(LastHealth::default());
        let control = Arc::new(ContainerControl {
            engine: engine.clone(),
            id: seen.id.clone(),
            orders: output.is_some().then_some(sender),
            health: Arc::clone(&health),
            there: OnceLock::new(),
        });
        let mut this = Self {
            engine,
            id: seen.id.clone(),
            facts: facts(&seen),
            tty: seen.tty,
            own_signal: stop_signal(&seen.labels),
            control,
            health,
            heard,
            orders,
            output,
            before_ns,
            run_ns: None,
            pumping: None,
            is_last_pump: false,
            looking: None,
            signalling: None,
            judging: None,
            finishing: None,
            ladder: None,
            is_told_unreachable: false,
            is_paused: false,
            is_told_paused: false,
            is_check_news: false,
            missing: None,
            are_networks_new: false,
            died_with: None,
            died_before: None,
            end: None,
        };
        this.pump(Duration::ZERO);
        this.take_in(seen);
        this
    }

    /// How the check is had that it has of its own.
    pub(super) fn with_check(mut self, check: Option<OwnCheck>) -> Self {
        self.facts.own_check = check;
        self
    }

    /// Where it is, and what is known of that host.
    pub(super) fn on(mut self, site: &Site, host: Option<Box<HostFacts>>) -> Self {
        if let Site::There(there) = site {
            // It is set once, here.
            let _ = self.control.there.set(there.clone());
        }
        self.facts.host = host;
        self
    }

    /// Whether its container had run before, so that what was written in there is still there.
    pub(super) fn started_again(mut self, is_again: bool) -> Self {
        self.facts.is_again = is_again;
        self
    }

    /// The same, and it runs because somebody else has started it.
    pub(super) fn started_by_somebody_else(mut self) -> Self {
        self.facts.is_by_somebody_else = true;
        self.started_again(true)
    }

    /// What is to be said of who else has its volumes open.
    pub(super) fn beside(mut self, users: Option<String>) -> Self {
        self.facts.note = users;
        self
    }

    /// Takes its output, from where it was left off, after a pause.
    fn pump(&mut self, pause: Duration) {
        self.is_last_pump = self.end.is_some();
        if let Some(output) = self.output.clone() {
            let (engine, id, tty) = (self.engine.clone(), self.id.clone(), self.tty);
            let follow = !self.is_last_pump;
            self.pumping = Some(Box::pin(async move {
                if !pause.is_zero() {
                    Timer::after(pause).await;
                }
                output.pump(engine, id, tty, follow).await
            }));
        }
    }

    fn look(&mut self) {
        let (engine, id) = (self.engine.clone(), self.id.clone());
        self.looking = Some(Box::pin(async move { engine.inspect(&id).await }));
    }

    fn signal(&mut self, signal: String) {
        let (engine, id) = (self.engine.clone(), self.id.clone());
        self.signalling = Some(Box::pin(async move { engine.kill(&id, &signal).await }));
    }

    /// What happens next. Every future that goes on is kept in `self`, so dropping this one loses nothing.
    async fn step(&mut self) -> Step {
        let heard = async {
            match self.heard.recv().await {
                Ok(heard) => Step::Heard(Some(heard)),
                Err(async_channel::RecvError) => Step::Heard(None),
            }
        };
        let ordered = async {
            match self.orders.recv().await {
                Ok(order) => Step::Ordered(order),
                // Nobody can give one any more.
                Err(async_channel::RecvError) => future::pending().await,
            }
        };
        let force_at = self.ladder.as_ref().and_then(|ladder| ladder.force_at);
        let grace = async {
            match force_at {
                Some(at) => {
                    Timer::at(at).await;
                    Step::GraceOver
                }
                None => future::pending().await,
            }
        };
        let pumped = going(&mut self.pumping, Step::Pumped);
        let looked = going(&mut self.looking, |seen| Step::Looked(Box::new(seen)));
        let signalled = going(&mut self.signalling, Step::Signalled);
        let judged = going(&mut self.judging, Step::Judged);
        let finished = going(&mut self.finishing, |()| Step::Finished);
        let own = future::or(ordered, future::or(looked, future::or(signalled, grace)));
        let output = future::or(pumped, future::or(judged, finished));
        // Its events before the rest: an end is told as soon as it can be.
        future::or(heard, future::or(own, output)).await
    }

    /// What a step means; an event when it is one for others.
    fn digest(&mut self, step: Step) -> Option<AttemptEvent> {
        match step {
            Step::Heard(Some(Heard::Listening)) => self.look(),
            Step::Heard(Some(Heard::Deaf(reason))) => {
                // Whose end it was cannot be told, once others may have been missed.
                self.died_before = None;
                return self.unreachable(reason);
            }
            Step::Heard(Some(Heard::Happened(action))) => self.happened(action),
            Step::Heard(Some(Heard::Networked)) => self.network_changed(),
            Step::Heard(None) => {
                // Without a listener there is still the end of the output to go by.
                self.heard = async_channel::unbounded().1;
                return self.unreachable("the engine's events cannot be listened to".into());
            }
            Step::Ordered(Order::Stop(stop)) => self.stop(stop),
            Step::Ordered(Order::Kill) => self.force(),
            Step::GraceOver => self.force(),
            Step::Looked(seen) => return self.looked(*seen),
            Step::Pumped(outcome) => return self.pumped(outcome),
            Step::Signalled(
                Ok(()) | Err(EngineError::NotRunning { .. } | EngineError::NotFound { .. }),
            ) => {
                self.look();
            }
            Step::Signalled(Err(error)) => return self.unreachable(crate::error_chain(&error)),
            Step::Judged(blame) => return self.judged(blame),
            Step::Finished => {
                let exit = self
                    .end
                    .clone()
                    .expect("nothing is finished before its end");
                return Some(AttemptEvent::Exited(exit));
            }
        }
        None
    }

    fn looked(&mut self, seen: Result<Container, EngineError>) -> Option<AttemptEvent> {
        match seen {
            Ok(seen) => self.take_in(seen),
            Err(EngineError::NotFound { .. }) => self.removed(),
            Err(error) => return self.unreachable(crate::error_chain(&error)),
        }
        if self.end.is_none() && self.pumping.is_none() {
            self.pump(PUMP_AGAIN);
        }
        let was_unreachable = std::mem::take(&mut self.is_told_unreachable);
        (was_unreachable && self.end.is_none()).then_some(AttemptEvent::Reached)
    }

    /// Its output has come to an end, or broke off.
    fn pumped(&mut self, outcome: Result<(), PumpError>) -> Option<AttemptEvent> {
        let error = match outcome {
            // It says no more: that is its end, or the engine's. Nothing is left to take of one that is gone.
            Ok(()) | Err(PumpError::Engine(EngineError::NotFound { .. })) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = &error {
            let reason = crate::error_chain(error);
            tracing::warn!(container = %self.id, reason, "its output stays with the engine for now");
        }
        match (&self.end, error) {
            (None, _) if self.looking.is_none() => self.look(),
            // The last of it is still there: it is asked for again.
            (Some(_), Some(PumpError::Engine(error))) => {
                self.pump(PUMP_AGAIN);
                return self.unreachable(crate::error_chain(&error));
            }
            (Some(_), _) if !self.is_last_pump => self.pump(Duration::ZERO),
            (None | Some(_), _) => {}
        }
        None
    }

    fn happened(&mut self, action: ContainerAction) {
        match action {
            // Engines say it of one that ends, too: looking tells which.
            ContainerAction::Health(HealthStatus::Unhealthy) => self.look(),
            ContainerAction::Health(status) => {
                self.health.set(Some(status));
                self.is_check_news = true;
            }
            ContainerAction::Die { exit_code } => {
                self.died_with = exit_code;
                self.look();
            }
            ContainerAction::Pause => self.is_paused = true,
            ContainerAction::Unpause => self.is_paused = false,
            // Nobody but us removes what is ours, and we only what has been told to have ended.
            ContainerAction::Destroy if self.end.is_some() => self.blame_a_stranger(),
            ContainerAction::Start => {
                // What was told of an end before is of the run before this start.
                self.died_before = self.died_with.take();
                self.look();
            }
            ContainerAction::Destroy | ContainerAction::Oom => self.look(),
            _ => {}
        }
    }

    /// What is to be told of its being frozen.
    fn frozen_or_not(&mut self) -> Option<AttemptEvent> {
        if self.end.is_some() || self.is_paused == self.is_told_paused {
            return None;
        }
        self.is_told_paused = self.is_paused;
        Some(match self.is_paused {
            true => AttemptEvent::Paused,
            false => AttemptEvent::Resumed,
        })
    }

    fn unreachable(&mut self, reason: String) -> Option<AttemptEvent> {
        // Also when its end is known already: it is told only after its output was taken.
        let is_first = !std::mem::replace(&mut self.is_told_unreachable, true);
        is_first.then_some(AttemptEvent::Unreachable(reason))
    }

    fn stop(&mut self, stop: StopOrder) {
        let now = Instant::now();
        let began = self.ladder.as_ref().map_or(now, |ladder| ladder.began);
        self.ladder = Some(Ladder {
            began,
            force_at: now.checked_add(stop.grace),
            was_forced: false,
        });
        if let Some(number) = stop.signal {
            let own = self.own_signal.clone();
            self.signal(own.unwrap_or_else(|| number.to_string()));
        }
    }

    fn force(&mut self) {
        let began = self
            .ladder
            .as_ref()
            .map_or_else(Instant::now, |ladder| ladder.began);
        self.ladder = Some(Ladder {
            began,
            // An engine that does not answer is asked again.
            force_at: Some(Instant::now() + FORCE_AGAIN),
            was_forced: true,
        });
        self.signal("KILL".to_owned());
    }
}

#[async_trait]
impl RunningAttempt for RunningContainer {
    fn facts(&self) -> AttemptFacts {
        self.facts.clone()
    }

    fn control(&self) -> Arc<dyn AttemptControl> {
        Arc::clone(&self.control) as Arc<dyn AttemptControl>
    }

    async fn next(&mut self) -> AttemptEvent {
        loop {
            self.finish();
            if let Some(event) = self.frozen_or_not().or_else(|| self.networks_or_not()) {
                return event;
            }
            if std::mem::take(&mut self.is_check_news) && self.end.is_none() {
                return AttemptEvent::Checked;
            }
            let step = self.step().await;
            if let Some(event) = self.digest(step) {
                return event;
            }
        }
    }
}

/// Goes on with what is kept there, and takes it away when it is done.
async fn going<T>(task: &mut Option<Task<T>>, step: impl Fn(T) -> Step) -> Step {
    let Some(going) = task else {
        return future::pending().await;
    };
    let done = going.await;
    *task = None;
    step(done)
}

/// Before output that broke off is asked for again.
const PUMP_AGAIN: Duration = Duration::from_secs(1);

/// Between two tries to end it by force.
const FORCE_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
