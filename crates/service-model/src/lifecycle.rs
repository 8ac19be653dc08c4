//! What each event means in each state of one unit: one total match.
//!
//! Owns: which events count in which state. What is then done stands in [`super::moves`]. Stale reports and timers
//! never come this far: `World::step` drops them at its door. Knows no other unit: the planner says when a unit may
//! go up ([`Event::Go`]) or down ([`Event::Halt`]).
//!
//! Decisions that users meet:
//! - Readiness lost or never proven is health, not a state: a service stays `Settling` or `Ready`, its dependents'
//!   gates close, its endpoint is withdrawn, and it may become healthy again. Only `restart_on_unhealthy`, the startup
//!   timeout or the liveness probe end it. While its setup is performed, health is only noted.
//! - A fault (dead, timeout, failed setup) stops the unit and counts as a failure whatever its exit code is.
//! - An end while its stop was already wanted is no failure.

use std::time::Duration;

use super::life::{Cause, Life, Phase, Purpose, Rung};
use super::moves::Turn;
use super::vocabulary::{LaunchFailure, Policy, Report};
use crate::UnitKind;

/// What can happen to one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The planner: begin a new attempt.
    Go,
    /// The planner: the budget has a token for it only then.
    Throttle(Duration),
    /// The planner: end the attempt.
    Halt,
    /// The operator: end the attempt by force.
    Kill,
    /// Nothing that holds it at rest counts any more: waits, failure, completion.
    Rest,
    /// The planner: it is at rest and held.
    Keep,
    /// The planner: it is no longer held.
    Free,
    /// The shell told something about the current attempt.
    Told(Report),
    /// The timer of this stay.
    Timer,
}

/// Leads one unit through one event.
pub(super) fn transition(life: &mut Life, event: Event, policy: &Policy, turn: &mut Turn<'_>) {
    use Event::{Free, Go, Halt, Keep, Kill, Rest, Throttle, Timer, Told};
    use Phase::{
        Backoff, CrashLoop, Done, Failed, Held, Idle, Lost, Ready, SettingUp, Settling,
        SetupRequired, Starting, Stopping,
    };
    use Report::{
        Dead, Exited, Healthy, LaunchFailed, Launched, NeverBegan, Paused, Postponed,
        SetupComplete, SetupFailed, Unhealthy, Unlaunchable, Unprobed,
    };

    match (life.phase, event) {
        (Idle, Go) => life.launch(policy, turn),
        (Idle, Told(Unlaunchable)) => {
            life.not_launched(LaunchFailure::Permanent, policy, turn);
        }
        (Idle, Throttle(until)) => life.wait_for_budget(until, turn),
        (Idle | Backoff { .. } | CrashLoop { .. } | Failed, Keep) => life.rest_in(Held, turn),
        (Held, Free) | (Backoff { .. } | CrashLoop { .. } | Done | Failed, Rest) => {
            life.rest_in(Idle, turn);
        }
        (Backoff { .. } | CrashLoop { .. }, Timer) => life.go(Idle, turn),

        (Starting, Told(Launched)) => life.settle(policy, turn),
        (Starting, Told(Postponed)) => life.postpone(turn),
        (Starting, Told(NeverBegan)) => life.rest_in(Idle, turn),
        (Starting, Told(LaunchFailed(how))) => life.not_launched(how, policy, turn),
        (Starting | Settling { .. } | SetupRequired | SettingUp | Ready, Told(Exited(end))) => {
            life.end(end, policy, turn)
        }
        (
            Settling { .. } | SetupRequired | SettingUp | Ready | Stopping { .. } | Lost,
            Told(Launched),
        ) => {
            life.confirm(policy, turn);
        }

        (Settling { proven: false }, Told(Healthy)) => life.prove(policy, turn),
        (Settling { proven: true } | SetupRequired | SettingUp, Told(Healthy)) => {
            life.unhealthy = false;
        }
        (Settling { .. } | Ready, Told(Unhealthy)) => life.lose_health(policy, turn),
        (Settling { .. } | Ready, Told(Paused)) => life.dim(turn),
        (SetupRequired | SettingUp, Told(Unhealthy | Paused)) => life.unhealthy = true,
        (Ready, Told(Healthy)) => life.regain_health(policy, turn),
        (Settling { .. } | SetupRequired | SettingUp | Ready, Told(Unprobed)) => {
            life.unprobed = true;
            transition(life, Told(Healthy), policy, turn);
        }
        (Settling { .. } | SetupRequired | SettingUp | Ready, Told(Dead)) => {
            life.stop(Purpose::Fault(Cause::Dead), policy, turn);
        }
        (Settling { proven: true } | SettingUp, Told(Report::SetupRequired)) => {
            life.perform_setup(policy, turn);
        }
        (Settling { proven: true } | SettingUp, Told(SetupComplete)) => {
            life.become_ready(policy, turn);
        }
        (Settling { proven: true } | SetupRequired | SettingUp, Told(SetupFailed)) => {
            life.stop(Purpose::Fault(Cause::SetupFailed), policy, turn);
        }
        (Starting | Settling { .. } | SetupRequired | SettingUp, Timer) => {
            let cause = match policy.kind {
                UnitKind::Service => Cause::StartupTimeout,
                UnitKind::Task => Cause::RunTimeout,
            };
            life.stop(Purpose::Fault(cause), policy, turn);
        }
        (Ready, Timer) => life.counters.reset(),

        (Starting | Settling { .. } | SetupRequired | SettingUp | Ready | Lost, Halt) => {
            life.stop(Purpose::Asked, policy, turn);
        }
        (Starting | Settling { .. } | SetupRequired | SettingUp | Ready | Lost, Kill) => {
            life.force(Purpose::Asked, policy, turn);
        }
        (
            Stopping {
                rung: Rung::Asked,
                purpose,
            },
            Kill,
        ) => life.force(purpose, policy, turn),
        (
            Stopping {
                rung: Rung::Asked,
                purpose,
            },
            Timer,
        ) => life.press(purpose, policy, turn),
        (
            Stopping {
                rung: Rung::Forced, ..
            },
            Timer,
        ) => life.go(Lost, turn),
        (Stopping { purpose, .. }, Told(Exited(_) | LaunchFailed(_) | NeverBegan)) => {
            life.stopped(purpose, policy, turn);
        }
        (Lost, Told(Exited(_) | LaunchFailed(_) | NeverBegan)) => life.rest_in(Idle, turn),

        // Below, nothing happens. Listed, so that a new state or event fails to compile here.
        (
            Idle,
            Halt
            | Kill
            | Rest
            | Free
            | Timer
            | Told(
                Launched
                | LaunchFailed(_)
                | NeverBegan
                | Exited(_)
                | Healthy
                | Unhealthy
                | Unprobed
                | Paused
                | Postponed
                | Dead
                | SetupComplete
                | Report::SetupRequired
                | SetupFailed,
            ),
        )
        | (
            Starting | Settling { .. } | SetupRequired | SettingUp | Ready | Stopping { .. } | Lost,
            Go | Throttle(_) | Rest | Keep | Free,
        )
        | (
            Starting | Settling { .. } | SetupRequired | SettingUp | Ready | Stopping { .. } | Lost,
            Told(Unlaunchable),
        )
        | (
            Starting,
            Told(
                Healthy
                | Unhealthy
                | Unprobed
                | Paused
                | Dead
                | SetupComplete
                | Report::SetupRequired
                | SetupFailed,
            ),
        )
        | (Settling { .. } | SetupRequired | SettingUp | Ready, Told(Postponed))
        | (
            Settling { .. } | SetupRequired | SettingUp | Ready,
            Told(LaunchFailed(_) | NeverBegan),
        )
        | (Settling { proven: false }, Told(SetupComplete | Report::SetupRequired | SetupFailed))
        | (SetupRequired, Told(SetupComplete | Report::SetupRequired))
        | (Ready, Told(SetupComplete | Report::SetupRequired | SetupFailed))
        | (Stopping { .. }, Halt)
        | (
            Stopping { .. } | Lost,
            Told(
                Healthy
                | Unhealthy
                | Unprobed
                | Paused
                | Postponed
                | Dead
                | SetupComplete
                | Report::SetupRequired
                | SetupFailed,
            ),
        )
        | (
            Stopping {
                rung: Rung::Forced, ..
            },
            Kill,
        )
        | (Lost, Timer)
        | (Backoff { .. } | CrashLoop { .. }, Go | Throttle(_) | Halt | Kill | Free | Told(_))
        | (Done, Go | Throttle(_) | Halt | Kill | Keep | Free | Timer | Told(_))
        | (Failed, Go | Throttle(_) | Halt | Kill | Free | Timer | Told(_))
        | (Held, Go | Throttle(_) | Halt | Kill | Rest | Keep | Timer | Told(_)) => {}
    }
}
