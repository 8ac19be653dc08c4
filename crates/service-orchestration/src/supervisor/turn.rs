//! One turn after another: take what is waiting, decide, keep, release.
//!
//! Owns: the loop, and the order between deciding, keeping and doing. What a turn decided is released only once it is
//! kept; while one turn is being kept, the next is being decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::Executor;
use futures_lite::future;
use service_registry::Registry;

use super::adopt::Adoption;
use super::alarm::Alarm;
use super::cleaner::Cleaner;
use super::commit::Keeper;
use super::hosts::Hosts;
use super::hub::EventHub;
use super::inbox::{AttemptNews, Inbox};
use super::input::Inputs;
use super::one_off::OneOffs;
use super::request::Request;
use super::running::EndWatcher;
use super::snapshot::Snapshots;
use super::timers::Timers;
use super::units::Units;
use super::wait::Waiters;
use crate::executors::Executors;
use crate::host::Clock;
use crate::logs::LogStore;
use crate::model::{Attempt, Effect, Index, Input, World};
use crate::probe::Prober;
use crate::spec::StackName;
use crate::store::DefinitionKey;

/// What a supervisor works with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) executors: Executors,
    pub(crate) logs: LogStore,
    pub(crate) spawner: Arc<Executor<'static>>,
    pub(crate) source: String,
    /// Closes when nobody has a handle to the manager any more.
    pub(crate) owned: Receiver<()>,
    /// Whether services are then left running.
    pub(crate) detached: Arc<AtomicBool>,
    /// Closes when the supervisor has let go of everything.
    pub(crate) gone: Sender<()>,
}

/// The supervisor's whole state; only the loop has it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(super) setting: Setting,
    pub(super) clock: Clock,
    /// Which boot of this machine the clock belongs to.
    pub(super) boot_id: Option<String>,
    pub(super) world: World,
    pub(super) units: Units,
    pub(super) registry: Registry,
    pub(super) hosts: Hosts,
    pub(super) hub: EventHub,
    pub(super) timers: Timers,
    alarm: Alarm,
    pub(super) waiters: Waiters,
    pub(super) snapshots: Snapshots,
    pub(super) keeper: Keeper,
    pub(super) definition_key: DefinitionKey,
    pub(super) adoption: Adoption,
    pub(super) cleaner: Cleaner,
    pub(super) prober: Prober,
    /// Who passes on what others start.
    pub(super) listening: Vec<async_executor::Task<()>>,
    pub(super) sender: Sender<Inbox>,
    inbox: Mailbox,
    pub(super) ended: bool,
    /// It ends once everything is stopped: nothing is defined or started any more.
    pub(super) is_ending: bool,
    /// What is given to runs that are yet to come.
    pub(super) inputs: Inputs,
    /// Runs that are nobody's attempt.
    pub(super) one_offs: OneOffs,
    /// Who waits for the end of a run.
    pub(super) end_watchers: Vec<EndWatcher>,
    /// Whether it is known that nobody has a handle any more.
    alone: bool,
    /// Closes when everything above has been let go, the store among it: so it stands last.
    _gone: Sender<()>,
}

/// Inputs taken in one turn at the most, so that a flood of them cannot keep the others from being carried out.
const MAX_INPUTS: usize = 1024;

impl Supervisor {
    pub(super) fn assemble(
        setting: Setting,
        hub: EventHub,
        keeper: Keeper,
        definition_key: DefinitionKey,
        world: World,
        (sender, inbox): (Sender<Inbox>, Receiver<Inbox>),
    ) -> Self {
        let cleaner = Cleaner::new(&setting.spawner);
        let gone = setting.gone.clone();
        Self {
            setting,
            clock: Clock::of_this_boot(),
            boot_id: crate::host::boot_id(),
            world,
            units: Units::default(),
            registry: Registry::new(),
            hosts: Hosts::default(),
            hub,
            timers: Timers::default(),
            alarm: Alarm::unset(),
            waiters: Waiters::default(),
            snapshots: Snapshots::default(),
            keeper,
            definition_key,
            adoption: Adoption::none(),
            cleaner,
            prober: Prober::new(),
            listening: Vec::new(),
            sender,
            inbox: Mailbox(inbox),
            ended: false,
            is_ending: false,
            inputs: Inputs::default(),
            one_offs: OneOffs::default(),
            end_watchers: Vec::new(),
            alone: false,
            _gone: gone,
        }
    }

    /// Runs until it is told to end, or nobody is left who could tell it.
    pub(crate) async fn run(mut self) {
        self.finish_turn();
        while !self.ended {
            match self.next().await {
                Wake::Input(input) => {
                    self.take(input);
                    let mut taken = 1;
                    while taken < MAX_INPUTS
                        && let Ok(input) = self.inbox.0.try_recv()
                    {
                        self.take(input);
                        taken += 1;
                    }
                }
                Wake::Timer => {}
                Wake::Alone => self.left_alone(),
            }
            self.fire_timers();
            self.expire_leases();
            self.finish_turn();
        }
        let is_last = !self.setting.detached.load(Ordering::Acquire);
        self.cleaner.finish().await;
        self.one_offs.finish().await;
        if is_last {
            let stacks = self.units.stacks().map(|stack| &stack.name);
            forget_stacks(&self.setting.executors, stacks).await;
        }
    }

    /// Answers the waiting and hands over to the store what changed.
    fn finish_turn(&mut self) {
        self.answer_waiters();
        self.record_changed();
        self.record_standings();
        self.keep();
    }

    async fn next(&mut self) -> Wake {
        let due = [self.timers.next(), self.keeper.due()];
        let due = due.into_iter().flatten().min();
        let due = due.and_then(|at| self.clock.instant(at));
        // Whoever renews does not tell the loop: it then wakes once when the lease would have run out, for nothing.
        let due = due.into_iter().chain(self.registry.next_expiry()).min();
        let input = async {
            match self.inbox.0.recv().await {
                Ok(input) => Wake::Input(input),
                Err(_) => unreachable!("the supervisor itself can send to its inbox"),
            }
        };
        let alone = async {
            match self.alone {
                // Nothing is ever sent: it ends when the last handle goes.
                false => drop(self.setting.owned.recv().await),
                true => future::pending().await,
            }
            Wake::Alone
        };
        let timer = async {
            self.alarm.ring(due).await;
            Wake::Timer
        };
        future::or(input, future::or(timer, alone)).await
    }

    /// Nobody has a handle any more.
    fn left_alone(&mut self) {
        self.alone = true;
        let keep = self.setting.detached.load(Ordering::Acquire);
        let (reply, _) = async_channel::bounded(1);
        self.answer(Request::Shutdown { keep, reply });
    }

    fn take(&mut self, input: Inbox) {
        if !matches!(&input, Inbox::Request(request) if request.only_asks()) {
            self.snapshots.outdate();
        }
        match input {
            Inbox::Request(request) => self.answer(request),
            Inbox::Attempt {
                unit,
                attempt,
                news,
            } => self.notice(unit, attempt, news),
            Inbox::Started { started, sure } => self.started(started, sure),
            Inbox::Image { unit, news } => self.image_news(unit, news),
            Inbox::OneOff { id, news } => self.one_off_news(id, news),
            Inbox::Committed(result) => self.committed(result),
            Inbox::RetryStore => self.keeper.retry(),
        }
    }

    fn fire_timers(&mut self) {
        let now = self.clock.now();
        while let Some((unit, token)) = self.timers.pop(now) {
            self.snapshots.outdate();
            self.step(Input::Timer { unit, token });
        }
    }

    /// Lets the model decide, and takes in what it decided.
    pub(super) fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.world.step(input, self.clock.now(), &mut effects);
        self.absorb(effects);
    }

    /// Records what the model decided; what is to be done waits for the turn to be kept.
    pub(super) fn absorb(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Moved(moved) => self.moved(moved),
                Effect::Arm { unit, token, after } => self.arm(unit, token, after),
                // Changes nothing that a crash could leave half done: it waits for nothing.
                effect @ Effect::Probe(..) => self.perform(effect),
                effect => self.keeper.defer(super::commit::Deferred::Effect(effect)),
            }
        }
    }

    fn arm(&mut self, unit: Index, token: crate::model::Token, after: Duration) {
        let at = self.clock.now().saturating_add(after);
        self.timers.arm(at, unit, token);
    }

    /// A sender of news about one attempt.
    pub(super) fn reporter(&self, unit: Index, attempt: Attempt) -> Reporter {
        Reporter::new(unit, attempt, self.sender.clone())
    }
}

/// Without state there is no next owner, who could forget what stacks share.
async fn forget_stacks<'a>(executors: &Executors, stacks: impl Iterator<Item = &'a StackName>) {
    for stack in stacks {
        for executor in executors.all() {
            if let Err(error) = executor.forget_stack(stack, false).await {
                tracing::warn!(
                    error = crate::error_chain(&error),
                    "something is left behind"
                );
            }
        }
    }
}

/// The end of the inbox that is read. Once it is gone, whoever still waits for an answer is told that none comes.
#[derive(Debug)]
struct Mailbox(Receiver<Inbox>);

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.0.close();
        // What was never read holds the senders of its answers, and the channel would hold it for its own senders.
        while self.0.try_recv().is_ok() {}
    }
}

enum Wake {
    Input(Inbox),
    Timer,
    Alone,
}

/// Reports what happens to one attempt.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    unit: Index,
    attempt: Attempt,
    sender: Sender<Inbox>,
}

impl Reporter {
    /// Reports about this run to this inbox.
    pub(super) fn new(unit: Index, attempt: Attempt, sender: Sender<Inbox>) -> Self {
        Self {
            unit,
            attempt,
            sender,
        }
    }

    /// About which run it reports.
    pub(super) fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Reports; nobody listens any more when the supervisor has ended.
    pub(super) fn report(&self, news: AttemptNews) {
        let message = Inbox::Attempt {
            unit: self.unit,
            attempt: self.attempt,
            news,
        };
        // The inbox is unbounded: only its end makes this fail.
        drop(self.sender.try_send(message));
    }
}
