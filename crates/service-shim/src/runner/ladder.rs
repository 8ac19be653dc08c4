//! Decides how far the end of a service has to go: ask the main process, ask the rest, kill.
//!
//! Owns: the phase, its deadline and the report. Pure: no clock, no process, no I/O; the runner carries out what
//! [`Ladder::step`] returns.
//!
//! Invariants: once stopping, a deadline or the end is always ahead; the whole takes at most the grace plus one
//! second of asking, then kills until nothing is left; the report never says less than what was done.

use std::time::{Duration, Instant};

use crate::exit::{Escalation, Leftovers, StopReport};
use crate::policy::{StopPolicy, StopScope};
use crate::signal::Signal;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Somebody wants the service to end.
    Stop(StopPolicy),
    /// Somebody wants it to end now.
    Kill,
    /// The main process has ended, and other processes of the tree have not.
    MainEnded,
    /// The main process and every other one have ended.
    AllGone,
    /// Time passed.
    Tick,
}

/// What is to be done to the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Tell subscribers that the service is being ended.
    Announce,
    /// Signal the main process.
    SignalMain(Signal),
    /// Signal every process.
    SignalTree(Signal),
    /// Signal every process and note who was still there.
    AskRest,
    /// Kill every process; note who was still there unless they were noted when asked.
    KillRest,
}

/// The stop of one attempt.
#[derive(Debug)]
pub(crate) struct Ladder {
    phase: Phase,
    grace: Duration,
    requested: Option<Signal>,
    leftovers: Leftovers,
    escalation: Escalation,
    /// When it left [`Phase::Running`].
    begun: Option<Instant>,
    took: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Asked { until: Instant },
    Terminating { until: Instant },
    Killing { again: Instant, pause: Duration },
    Over,
}

impl Ladder {
    /// `policy` holds for a service that ends by itself and leaves processes behind.
    pub(crate) fn new(policy: &StopPolicy) -> Ladder {
        Ladder {
            phase: Phase::Running,
            grace: policy.grace,
            requested: None,
            leftovers: Leftovers::default(),
            escalation: Escalation::None,
            begun: None,
            took: None,
        }
    }

    /// When a [`Input::Tick`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running | Phase::Over => None,
            Phase::Asked { until } | Phase::Terminating { until } => Some(until),
            Phase::Killing { again, .. } => Some(again),
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether the service is being ended.
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Adds a process that was found where [`Effect::AskRest`] or [`Effect::KillRest`] was carried out.
    pub(crate) fn note_leftover(&mut self, name: &str) {
        self.leftovers.add(name);
    }

    /// Whether leftovers were noted already.
    pub(crate) fn has_leftovers(&self) -> bool {
        self.leftovers.count > 0
    }

    /// What the end took; none when the service ended by itself and left nothing.
    pub(crate) fn report(&self) -> Option<StopReport> {
        let unasked = self.requested.is_none() && self.escalation == Escalation::None;
        (!unasked).then(|| StopReport {
            requested: self.requested,
            escalation: self.escalation,
            leftovers: self.leftovers.clone(),
            took_ms: self
                .took
                .map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// Takes one input and says what is to be done.
    pub(crate) fn step(&mut self, input: &Input, now: Instant) -> Vec<Effect> {
        if let (Phase::Running, Input::Stop(_) | Input::MainEnded | Input::Kill) =
            (self.phase, input)
        {
            self.begun = Some(now);
        }
        match (self.phase, input) {
            (Phase::Over, _) | (Phase::Running, Input::Tick) => vec![],
            (_, Input::AllGone) => {
                self.phase = Phase::Over;
                self.took = self.begun.map(|begun| now.saturating_duration_since(begun));
                vec![]
            }
            (Phase::Running, Input::Stop(policy)) => {
                self.requested = Some(policy.signal);
                self.grace = policy.grace;
                self.phase = Phase::Asked {
                    until: now + policy.grace,
                };
                vec![Effect::Announce, ask(policy)]
            }
            (Phase::Asked { until }, Input::Stop(policy)) => {
                // A second request may hurry the first, never slow it down.
                self.grace = self.grace.min(policy.grace);
                self.phase = Phase::Asked {
                    until: until.min(now + policy.grace),
                };
                vec![ask(policy)]
            }
            (Phase::Running, Input::MainEnded) => {
                let mut effects = vec![Effect::Announce];
                effects.extend(self.terminate(now));
                effects
            }
            (Phase::Asked { .. }, Input::MainEnded) => self.terminate(now),
            (Phase::Asked { until }, Input::Tick) if until <= now => self.terminate(now),
            (Phase::Terminating { until }, Input::Tick) if until <= now => {
                self.kill(now, FIRST_PAUSE)
            }
            (Phase::Killing { again, pause }, Input::Tick) if again <= now => {
                self.kill(now, (pause * 2).min(LONGEST_PAUSE))
            }
            (Phase::Running, Input::Kill) => {
                self.requested = Some(Signal::KILL);
                let mut effects = vec![Effect::Announce];
                effects.extend(self.kill(now, FIRST_PAUSE));
                effects
            }
            (Phase::Asked { .. } | Phase::Terminating { .. }, Input::Kill) => {
                self.kill(now, FIRST_PAUSE)
            }
            (
                Phase::Terminating { .. } | Phase::Killing { .. },
                Input::Stop(_) | Input::MainEnded,
            )
            | (Phase::Killing { .. }, Input::Kill)
            | (
                Phase::Asked { .. } | Phase::Terminating { .. } | Phase::Killing { .. },
                Input::Tick,
            ) => vec![],
        }
    }

    fn terminate(&mut self, now: Instant) -> Vec<Effect> {
        self.escalation = Escalation::TreeTerm;
        self.phase = Phase::Terminating {
            until: now + (self.grace / 5).min(LONGEST_TERM),
        };
        vec![Effect::AskRest]
    }

    fn kill(&mut self, now: Instant, pause: Duration) -> Vec<Effect> {
        self.escalation = Escalation::Killed;
        self.phase = Phase::Killing {
            again: now + pause,
            pause,
        };
        vec![Effect::KillRest]
    }
}

fn ask(policy: &StopPolicy) -> Effect {
    match policy.scope {
        StopScope::Main => Effect::SignalMain(policy.signal),
        StopScope::Group => Effect::SignalTree(policy.signal),
    }
}

const LONGEST_TERM: Duration = Duration::from_secs(1);
// Killed processes are usually gone within a millisecond; one that forks faster than it is found needs another round.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
// A process stuck in the kernel is waited for without haste.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(grace_ms: u64) -> StopPolicy {
        StopPolicy {
            signal: Signal::INT,
            grace: Duration::from_millis(grace_ms),
            scope: StopScope::Main,
        }
    }

    #[test]
    fn a_service_that_obeys_needs_one_signal() {
        let now = Instant::now();
        let mut ladder = Ladder::new(&policy(1000));
        let effects = ladder.step(&Input::Stop(policy(1000)), now);
        assert_eq!(effects, [Effect::Announce, Effect::SignalMain(Signal::INT)]);
        assert_eq!(ladder.step(&Input::AllGone, now), []);
        assert!(ladder.is_over());
        let report = ladder.report().expect("was asked");
        assert_eq!(
            (report.requested, report.escalation),
            (Some(Signal::INT), Escalation::None)
        );
    }

    #[test]
    fn a_deaf_tree_is_gone_within_grace_and_a_second() {
        let start = Instant::now();
        let mut ladder = Ladder::new(&policy(10_000));
        ladder.step(&Input::Stop(policy(10_000)), start);
        let mut now = start;
        let mut killed_at = None;
        while killed_at.is_none() {
            now = ladder.deadline().expect("a deadline is ahead");
            if ladder.step(&Input::Tick, now).contains(&Effect::KillRest) {
                killed_at = Some(now - start);
            }
        }
        assert_eq!(killed_at, Some(Duration::from_secs(11)));
        assert!(
            ladder.deadline().is_some_and(|again| again > now),
            "kills again until nothing is left"
        );
        ladder.step(&Input::AllGone, now);
        let report = ladder.report().expect("was asked");
        assert_eq!(
            (report.escalation, report.took_ms),
            (Escalation::Killed, Some(11_000)),
            "by the clock that does not jump"
        );
    }

    #[test]
    fn leftovers_of_a_service_that_ended_by_itself_are_ended_too() {
        let now = Instant::now();
        let mut ladder = Ladder::new(&policy(100));
        assert_eq!(
            ladder.step(&Input::MainEnded, now),
            [Effect::Announce, Effect::AskRest]
        );
        ladder.note_leftover("worker");
        ladder.step(&Input::AllGone, now);
        let report = ladder.report().expect("something was left");
        assert_eq!(
            (report.requested, report.escalation),
            (None, Escalation::TreeTerm)
        );
        assert_eq!(report.leftovers.names, ["worker"]);
    }

    #[test]
    fn a_clean_end_by_itself_needs_no_report() {
        let mut ladder = Ladder::new(&policy(100));
        ladder.step(&Input::AllGone, Instant::now());
        assert_eq!(ladder.report(), None);
    }

    #[test]
    fn a_second_stop_hurries_the_first_and_never_slows_it() {
        let now = Instant::now();
        let mut ladder = Ladder::new(&policy(1000));
        ladder.step(&Input::Stop(policy(1000)), now);
        ladder.step(&Input::Stop(policy(9000)), now);
        assert_eq!(ladder.deadline(), Some(now + Duration::from_millis(1000)));
        ladder.step(&Input::Stop(policy(10)), now);
        assert_eq!(ladder.deadline(), Some(now + Duration::from_millis(10)));
        assert_eq!(ladder.step(&Input::Kill, now), [Effect::KillRest]);
    }
}
