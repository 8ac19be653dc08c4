//! What is done when one unit moves: its new phase, and the effects that go with it.
//!
//! Owns: the pairs of phase and effects (`Publish` and `Withdraw`, stays and their timers), and the rungs of a stop.
//! Which event leads to which move stands in [`super::lifecycle`].

use std::time::Duration;

use super::backoff::{Jitter, Retry};
use super::life::{Cause, Life, Phase, Purpose, Rung};
use super::vocabulary::{Attempt, Effect, End, Index, LaunchFailure, Moved, Policy, State, Token};
use crate::{RestartWhen, UnitKind};

/// What a unit needs of the world while it moves.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) unit: Index,
    pub(super) now: Duration,
    pub(super) jitter: &'a mut Jitter,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl Life {
    /// Enters a phase. Timers of the stay before are stale from here on.
    pub(super) fn go(&mut self, to: Phase, turn: &mut Turn<'_>) {
        let (from, to_state) = (self.state(), to.state());
        if self.published {
            self.published = false;
            turn.effects.push(Effect::Withdraw(turn.unit, self.attempt));
        }
        self.phase = to;
        self.token = Token(self.token.0 + 1);
        if from == to_state {
            return;
        }
        self.since = turn.now;
        turn.effects.push(Effect::Moved(Moved {
            unit: turn.unit,
            attempt: self.attempt,
            from,
            to: to_state,
            restarts: self.counters.restarts,
            cause: self.cause,
        }));
    }

    fn arm(&self, after: Duration, turn: &mut Turn<'_>) {
        let (unit, token) = (turn.unit, self.token);
        turn.effects.push(Effect::Arm { unit, token, after });
    }

    fn arm_deadline(&self, turn: &mut Turn<'_>) {
        if let Some(deadline) = self.deadline {
            self.arm(deadline.saturating_sub(turn.now), turn);
        }
    }

    pub(super) fn launch(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        if self.automatic {
            self.counters.restarted(&policy.restart, turn.now);
        }
        self.attempt = Attempt(self.attempt.0 + 1);
        (self.automatic, self.paid, self.renew) = (false, false, false);
        (self.confirmed, self.unhealthy) = (true, false);
        self.renewed_for = None;
        self.go(Phase::Starting, turn);
        turn.effects.push(Effect::Launch(turn.unit, self.attempt));
        self.deadline = match policy.kind {
            UnitKind::Service => policy
                .startup_timeout
                .map(|limit| turn.now.saturating_add(limit)),
            UnitKind::Task => None,
        };
        self.arm_deadline(turn);
    }

    pub(super) fn wait_for_budget(&mut self, until: Duration, turn: &mut Turn<'_>) {
        self.paid = true;
        self.go(
            Phase::Backoff {
                until,
                budget: true,
            },
            turn,
        );
        self.arm(until.saturating_sub(turn.now), turn);
    }

    /// It cannot be launched yet. No time runs meanwhile: what it has begins with its launch.
    pub(super) fn postpone(&mut self, turn: &mut Turn<'_>) {
        self.deadline = None;
        self.go(Phase::Starting, turn);
    }

    /// It runs. A service without a probe is proven by that; a task is proven by its end.
    pub(super) fn settle(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        self.allow_a_look(policy, turn);
        (self.launched, self.confirmed) = (true, true);
        self.unprobed = !policy.probed;
        if policy.kind == UnitKind::Service && self.deadline.is_none() {
            // Its launch was postponed, or it has no limit.
            self.deadline = policy
                .startup_timeout
                .map(|limit| turn.now.saturating_add(limit));
        }
        self.go(Phase::Settling { proven: false }, turn);
        self.observe(policy, turn);
    }

    fn observe(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        match policy.kind {
            UnitKind::Task => {
                self.deadline = self.deadline.or_else(|| {
                    policy
                        .run_timeout
                        .map(|limit| turn.now.saturating_add(limit))
                });
                self.arm_deadline(turn);
            }
            UnitKind::Service => {
                turn.effects.push(Effect::Probe(turn.unit, self.attempt));
                if policy.probed {
                    self.arm_deadline(turn);
                } else {
                    self.prove(policy, turn);
                }
            }
        }
    }

    pub(super) fn prove(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        self.unhealthy = false;
        match (policy.kind, policy.setup) {
            (UnitKind::Task, _) => {}
            (UnitKind::Service, true) => {
                self.go(Phase::Settling { proven: true }, turn);
                turn.effects
                    .push(Effect::CheckSetup(turn.unit, self.attempt));
                self.arm_deadline(turn);
            }
            (UnitKind::Service, false) => self.become_ready(policy, turn),
        }
    }

    pub(super) fn perform_setup(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        if policy.setup && self.state() == State::Settling {
            self.go(Phase::SetupRequired, turn);
        }
        self.go(Phase::SettingUp, turn);
        turn.effects
            .push(Effect::PerformSetup(turn.unit, self.attempt));
        self.arm_deadline(turn);
    }

    pub(super) fn become_ready(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        self.deadline = None;
        self.go(Phase::Ready, turn);
        self.shine(policy, turn);
    }

    /// Publishes a ready and healthy service, and begins the time after which its failures are forgotten.
    fn shine(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        if self.unhealthy {
            return;
        }
        self.published = true;
        turn.effects.push(Effect::Publish(turn.unit, self.attempt));
        if let Some(after) = self.counters.reset_after(&policy.restart) {
            self.arm(after, turn);
        }
    }

    pub(super) fn lose_health(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        self.unhealthy = true;
        if policy.restart_on_unhealthy {
            self.stop(Purpose::Fault(Cause::Unhealthy), policy, turn);
        } else {
            self.dim(turn);
        }
    }

    /// Is not there for others, whatever the reason.
    pub(super) fn dim(&mut self, turn: &mut Turn<'_>) {
        self.unhealthy = true;
        if self.phase == Phase::Ready {
            self.go(Phase::Ready, turn);
        }
    }

    pub(super) fn regain_health(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        if self.unhealthy {
            self.unhealthy = false;
            self.go(Phase::Ready, turn);
            self.shine(policy, turn);
        }
    }

    /// An attempt of an earlier life of the daemon was found alive: whatever watched it then begins again.
    pub(super) fn confirm(&mut self, policy: &Policy, turn: &mut Turn<'_>) {
        if self.confirmed {
            return;
        }
        self.allow_a_look(policy, turn);
        self.confirmed = true;
        self.unprobed = !policy.probed;
        match self.phase {
            Phase::Settling { .. } => self.observe(policy, turn),
            Phase::SetupRequired => {
                turn.effects.push(Effect::Probe(turn.unit, self.attempt));
                self.perform_setup(policy, turn);
            }
            Phase::SettingUp => {
                turn.effects.push(Effect::Probe(turn.unit, self.attempt));
                turn.effects
                    .push(Effect::CheckSetup(turn.unit, self.attempt));
                self.arm_deadline(turn);
            }
            Phase::Ready => {
                turn.effects.push(Effect::Probe(turn.unit, self.attempt));
                self.shine(policy, turn);
            }
            Phase::Stopping {
                rung: Rung::Asked,
                purpose,
            } => self.ask_again(purpose, policy, turn),
            Phase::Stopping {
                rung: Rung::Forced,
                purpose,
            } => self.force(purpose, policy, turn),
            // It was to end, and could not be seen to: it lives, and is within reach again.
            Phase::Lost => self.stop(Purpose::Asked, policy, turn),
            Phase::Idle
            | Phase::Starting
            | Phase::Backoff { .. }
            | Phase::CrashLoop { .. }
            | Phase::Done
            | Phase::Failed
            | Phase::Held => {}
        }
    }

    /// Time without a daemon counts; but a service that has become ready meanwhile must come to show it.
    fn allow_a_look(&mut self, policy: &Policy, turn: &Turn<'_>) {
        if self.confirmed || self.is_stopping() || policy.kind == UnitKind::Task {
            return;
        }
        let look = policy.startup_timeout.unwrap_or_default().min(SHORT_LOOK);
        let at_least = turn.now.saturating_add(look);
        self.deadline = self.deadline.map(|deadline| deadline.max(at_least));
    }

    /// It ended by itself.
    pub(super) fn end(&mut self, end: End, policy: &Policy, turn: &mut Turn<'_>) {
        self.launched = true;
        if !self.shall_run() || self.renew {
            return self.rest_in(Phase::Idle, turn);
        }
        let again = match (policy.kind, policy.restart.when) {
            (UnitKind::Task, _)
            | (UnitKind::Service, RestartWhen::Never | RestartWhen::OnFailure { .. }) => false,
            (UnitKind::Service, RestartWhen::Always | RestartWhen::UnlessStopped) => true,
        };
        match end {
            End::Success if !again => {
                self.counters.reset();
                self.cause = None;
                self.settle_down(Phase::Done, turn);
            }
            End::Success | End::Failure => self.fail(Cause::Exited(end), policy, turn),
        }
    }

    pub(super) fn not_launched(
        &mut self,
        how: LaunchFailure,
        policy: &Policy,
        turn: &mut Turn<'_>,
    ) {
        let cause = Cause::NotLaunched(how);
        if !self.shall_run() || self.renew {
            self.rest_in(Phase::Idle, turn);
        } else if how == LaunchFailure::Permanent && !self.launched {
            self.cause = Some(cause);
            self.settle_down(Phase::Failed, turn);
        } else {
            self.fail(cause, policy, turn);
        }
    }

    fn fail(&mut self, cause: Cause, policy: &Policy, turn: &mut Turn<'_>) {
        self.cause = Some(cause);
        let retry = self.counters.ended(&policy.restart, turn.now, turn.jitter);
        self.automatic = retry != Retry::GiveUp;
        match retry {
            Retry::AtOnce => self.settle_down(Phase::Idle, turn),
            Retry::After(wait) => {
                let until = turn.now.saturating_add(wait);
                self.settle_down(
                    Phase::Backoff {
                        until,
                        budget: false,
                    },
                    turn,
                );
                self.arm(wait, turn);
            }
            Retry::Loop(wait) => {
                let until = turn.now.saturating_add(wait);
                self.settle_down(Phase::CrashLoop { until }, turn);
                self.arm(wait, turn);
            }
            Retry::GiveUp => self.settle_down(Phase::Failed, turn),
        }
    }

    /// Comes to rest, not by a failure. When it shall not run, nothing that happened before counts any more.
    pub(super) fn rest_in(&mut self, phase: Phase, turn: &mut Turn<'_>) {
        if !self.shall_run() {
            self.begin_anew();
        }
        (self.automatic, self.paid) = (false, false);
        self.settle_down(phase, turn);
    }

    /// No process is left.
    fn settle_down(&mut self, phase: Phase, turn: &mut Turn<'_>) {
        (self.renew, self.unhealthy, self.confirmed) = (false, false, true);
        self.deadline = None;
        self.go(phase, turn);
    }

    /// Asks the attempt to end.
    pub(super) fn stop(&mut self, purpose: Purpose, policy: &Policy, turn: &mut Turn<'_>) {
        self.renew = false;
        self.deadline = None;
        if let Purpose::Fault(cause) = purpose {
            self.cause = Some(cause);
        }
        self.ask_again(purpose, policy, turn);
    }

    /// Asks the attempt to end, within what is left of its time when it was asked before.
    fn ask_again(&mut self, purpose: Purpose, policy: &Policy, turn: &mut Turn<'_>) {
        let rung = Rung::Asked;
        self.go(Phase::Stopping { rung, purpose }, turn);
        let (order, time): (fn(Index, Attempt) -> Effect, Duration) = match policy.attached {
            true => (Effect::Detach, policy.grace.max(SHORTEST_CONFIRMATION)),
            false => (
                Effect::Terminate,
                policy.grace.saturating_add(LADDER_MARGIN),
            ),
        };
        turn.effects.push(order(turn.unit, self.attempt));
        let all = turn.now.saturating_add(time);
        self.deadline = self.deadline.or(Some(all));
        self.arm_deadline(turn);
    }

    /// Ends the attempt by force. Of an attached unit there is only letting go.
    pub(super) fn force(&mut self, purpose: Purpose, policy: &Policy, turn: &mut Turn<'_>) {
        if policy.attached {
            if !self.is_stopping() {
                self.stop(purpose, policy, turn);
            }
            return;
        }
        self.renew = false;
        self.deadline = None;
        self.go(
            Phase::Stopping {
                rung: Rung::Forced,
                purpose,
            },
            turn,
        );
        turn.effects.push(Effect::Kill(turn.unit, self.attempt));
        self.arm(policy.grace.max(SHORTEST_CONFIRMATION), turn);
    }

    /// It was asked to end, and time is up.
    pub(super) fn press(&mut self, purpose: Purpose, policy: &Policy, turn: &mut Turn<'_>) {
        self.deadline = None;
        match policy.attached {
            true => self.go(Phase::Lost, turn),
            false => self.force(purpose, policy, turn),
        }
    }

    pub(super) fn stopped(&mut self, purpose: Purpose, policy: &Policy, turn: &mut Turn<'_>) {
        match purpose {
            Purpose::Fault(cause) if self.shall_run() => self.fail(cause, policy, turn),
            Purpose::Fault(_) | Purpose::Asked => self.rest_in(Phase::Idle, turn),
        }
    }
}

/// Enough for a probe or two, and little more.
const SHORT_LOOK: Duration = Duration::from_secs(5);

/// The runner's own ladder insists when the grace is over; the model insists only when that did not help either.
pub const LADDER_MARGIN: Duration = Duration::from_secs(2);

/// Even with a grace of nothing, a killed tree needs time to go, more of it on a loaded machine.
const SHORTEST_CONFIRMATION: Duration = Duration::from_secs(5);
