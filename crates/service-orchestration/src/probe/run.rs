//! The loop that asks the probes of one attempt.
//!
//! Owns: the question that is being asked; there is never more than one for a unit. Decides nothing: what is next and
//! what an answer means is [`ProbeSet`]'s business.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::Timer;
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;

use super::{Answer, Asked, Feed, Health, ProbeEvent, ProbeSet, Prober, Role, Rules, ask};
use crate::host::{self, Clock};

/// The probes of one attempt.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    /// Holds the others back until it has succeeded once.
    pub startup: Option<Asked>,
    /// Gates dependents and sets health.
    pub readiness: Option<Asked>,
    /// Restarts when it fails.
    pub liveness: Option<Asked>,
}

impl Probes {
    /// Where the lines and notifications go in that these probes wait for.
    pub fn feed(&self) -> Feed {
        Feed::new(self.all().map(|(_, asked)| asked))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Leaves those that can be asked again of one that was ready before: what its start has proven, or a line or notice
    /// of its has, is so for good. Returns whether nothing that is left says whether it is ready.
    pub(crate) fn keep_repeatable(&mut self) -> bool {
        self.startup = None;
        let is_once =
            |asked: &Option<Asked>| asked.as_ref().is_none_or(|one| one.awaited().is_some());
        if is_once(&self.readiness) {
            self.readiness = None;
        }
        if is_once(&self.liveness) {
            self.liveness = None;
        }
        self.readiness.is_none()
    }

    fn get(&self, role: Role) -> Option<&Asked> {
        match role {
            Role::Startup => self.startup.as_ref(),
            Role::Readiness => self.readiness.as_ref(),
            Role::Liveness => self.liveness.as_ref(),
        }
    }

    fn all(&self) -> impl Iterator<Item = (Role, &Asked)> + Clone {
        Role::ALL
            .into_iter()
            .filter_map(|role| Some((role, self.get(role)?)))
    }

    fn rules(&self) -> Rules {
        let rule = |role| self.get(role).map(|asked| asked.rule().clone());
        Rules {
            startup: rule(Role::Startup),
            readiness: rule(Role::Readiness),
            liveness: rule(Role::Liveness),
        }
    }
}

/// An answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// To which probe.
    pub role: Role,
    /// When.
    pub at: DateTime<Utc>,
    /// Why it was not good; `None` when it was.
    pub reason: Option<String>,
    /// How the unit is now.
    pub health: Health,
    /// What changed by it; most answers change nothing.
    pub events: Vec<ProbeEvent>,
}

/// Asks the probes of an attempt that was launched `age` ago, and tells `sink` every answer and what it changed.
///
/// Returns only when no answer can change anything any more: there are no probes, or only such that have been pushed.
///
/// # Cancellation
/// Dropping the future ends what is being asked, and in the background all processes that its commands left.
pub async fn run(probes: Probes, prober: Prober, age: Duration, sink: impl FnMut(Checked)) {
    // Counted from the launch, which may lie before this process: the clock's zero is then in the middle.
    let clock = Clock::new();
    let set = ProbeSet::new(probes.rules(), Duration::ZERO, age, phase());
    let unpushed = probes
        .all()
        .filter(|(_, asked)| asked.awaited().is_some())
        .map(|(role, _)| role)
        .collect();
    let cleanup = Cleanup {
        probes: &probes,
        prober: &prober,
    };
    let mut turn = Turn {
        probes: &probes,
        prober: &prober,
        clock,
        age,
        set,
        unpushed,
        asking: None,
        timer: Timer::never(),
        sink,
    };
    while let Some((role, answer)) = poll_fn(|context| turn.poll(context)).await {
        turn.take(role, &answer);
    }
    drop(cleanup);
}

struct Turn<'a, S> {
    probes: &'a Probes,
    prober: &'a Prober,
    clock: Clock,
    age: Duration,
    set: ProbeSet,
    /// The probes whose pushed answer has not been taken yet.
    unpushed: Vec<Role>,
    asking: Option<(Role, BoxFuture<'a, Answer>)>,
    timer: Timer,
    sink: S,
}

impl<S: FnMut(Checked)> Turn<'_, S> {
    /// The next answer; `None` when there will be none.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<(Role, Answer)>> {
        if let Some(role) = self.pushed(context) {
            self.unpushed.retain(|other| *other != role);
            return Poll::Ready(Some((role, Answer::Good)));
        }
        loop {
            if let Some((role, asking)) = &mut self.asking {
                let role = *role;
                let answer = std::task::ready!(asking.as_mut().poll(context));
                self.asking = None;
                return Poll::Ready(Some((role, answer)));
            }
            for role in self.renewed(context) {
                self.set.hurry(role, self.now());
            }
            let Some((role, due)) = self.set.due() else {
                let is_over = !self.unpushed.iter().any(|role| self.set.takes(*role));
                return if is_over {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                };
            };
            let early = due.saturating_sub(self.now());
            if !early.is_zero() {
                self.timer.set_after(early);
                std::task::ready!(Pin::new(&mut self.timer).poll(context));
            }
            let asked = self
                .probes
                .get(role)
                .expect("only probes that exist are due");
            self.asking = Some((role, Box::pin(ask(asked, self.prober))));
        }
    }

    /// A probe that takes an answer now and has had it pushed. Registers for the others.
    fn pushed(&self, context: &Context<'_>) -> Option<Role> {
        let has_come = |role: &Role| {
            let awaited = self.probes.get(*role)?.awaited()?;
            (self.set.takes(*role) && awaited.latch().poll(context).is_ready()).then_some(*role)
        };
        self.unpushed.iter().find_map(has_come)
    }

    /// The probes that somebody says have another answer now. Registers for all of them.
    fn renewed(&self, context: &Context<'_>) -> Vec<Role> {
        let bells = self.probes.all();
        let bells = bells.filter_map(|(role, asked)| Some((role, asked.bell()?)));
        let rung = bells.filter(|(_, bell)| bell.has_rung(context));
        rung.map(|(role, _)| role).collect()
    }

    fn take(&mut self, role: Role, answer: &Answer) {
        let events = self.set.feed(role, answer, self.now());
        (self.sink)(Checked {
            role,
            at: self.clock.wall(),
            reason: answer.reason().map(str::to_owned),
            health: self.set.health(),
            events,
        });
    }

    /// The time since the launch.
    fn now(&self) -> Duration {
        self.age + self.clock.now()
    }
}

struct Cleanup<'a> {
    probes: &'a Probes,
    prober: &'a Prober,
}

impl Drop for Cleanup<'_> {
    fn drop(&mut self) {
        for (_, asked) in self.probes.all() {
            self.prober.clean_up_after(asked);
        }
    }
}

/// Spreads the probes of many units over their intervals.
fn phase() -> u32 {
    let [a, b, c, d, ..] = host::seed().to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}
