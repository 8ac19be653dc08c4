//! What the answers to one question amount to.
//!
//! Owns: the counting. Pure: no clock, no chance of its own, nothing is asked here.
//!
//! Invariants: a verdict is only ever followed by another one; a unit that has never answered well is not called
//! unhealthy before its start period and as many intervals as it has retries have passed, however often it was asked;
//! an answer that could not be had neither makes nor mends an unhealthy unit.

use std::time::Duration;

use super::{Answer, Schedule};
use crate::spec::{Probe, ProbeAction};

/// How often is asked, and how many answers make a verdict. See [`Probe`] for the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// From one question to the next.
    pub interval: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Bad answers in a row that make it unhealthy; at least 1.
    pub retries: u32,
    /// After the launch, bad answers do not count for this long, unless a good one came before.
    pub start_period: Duration,
    /// The longest gap between questions until the first good answer.
    pub start_interval: Duration,
    /// Good answers in a row that make it healthy; at least 1.
    pub success_threshold: u32,
    /// Whoever answers has counted: one answer is enough, at any time.
    pub is_counted: bool,
    /// Nothing is asked: the answer comes by itself, once (log line, notification).
    pub pushed: bool,
}

impl From<&Probe> for Rule {
    fn from(probe: &Probe) -> Self {
        Self {
            interval: probe.interval,
            timeout: probe.timeout,
            retries: probe.retries,
            start_period: probe.start_period,
            start_interval: probe.start_interval,
            success_threshold: probe.success_threshold,
            is_counted: false,
            pushed: matches!(probe.action, ProbeAction::Log { .. } | ProbeAction::Notify),
        }
    }
}

/// What the answers amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enough good answers in a row.
    Healthy,
    /// Enough bad answers in a row.
    Unhealthy,
    /// It cannot be asked.
    Unknown,
}

/// Counts the answers to one question.
#[derive(Clone, Debug)]
pub struct Tally {
    rule: Rule,
    schedule: Schedule,
    launched: Duration,
    verdict: Option<Verdict>,
    was_good: bool,
    good: u32,
    bad: u32,
    unknown: u32,
}

impl Tally {
    /// Nothing was asked yet. The unit was launched at `launched`; the first question is due `now`; `phase` is chance.
    pub fn new(rule: Rule, launched: Duration, now: Duration, phase: u32) -> Self {
        let schedule = Schedule::new(rule.interval, rule.start_interval, phase, now);
        Self {
            rule,
            schedule,
            launched,
            verdict: None,
            was_good: false,
            good: 0,
            bad: 0,
            unknown: 0,
        }
    }

    /// When to ask next; `None` when the answer comes by itself.
    pub fn due(&self) -> Option<Duration> {
        (!self.rule.pushed).then(|| self.schedule.due())
    }

    /// It is asked at once: there is another answer.
    pub(super) fn hurry(&mut self, now: Duration) {
        self.schedule.hurry(now);
    }

    /// What the answers so far amount to; `None` until there are enough.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// Counts an answer that came at `now`, and returns the verdict when it is another one than before.
    pub fn feed(&mut self, answer: &Answer, now: Duration) -> Option<Verdict> {
        let verdict = match answer {
            Answer::Good => self.count_good(),
            Answer::Bad(_) => self.count_bad(now),
            Answer::NotYet(_) => None,
            Answer::Unknown(_) => self.count_unknown(),
        };
        self.schedule.answered(matches!(answer, Answer::Good), now);
        let changed = verdict.filter(|verdict| self.verdict != Some(*verdict));
        self.verdict = verdict.or(self.verdict);
        changed
    }

    fn count_good(&mut self) -> Option<Verdict> {
        self.was_good = true;
        self.good = self.good.saturating_add(1);
        self.bad = 0;
        self.unknown = 0;
        let is_enough =
            self.rule.pushed || self.rule.is_counted || self.good >= self.rule.success_threshold;
        is_enough.then_some(Verdict::Healthy)
    }

    fn count_bad(&mut self, now: Duration) -> Option<Verdict> {
        self.good = 0;
        self.unknown = 0;
        if self.rule.is_counted {
            return Some(Verdict::Unhealthy);
        }
        if self.counts_against(now) {
            self.bad = self.bad.saturating_add(1);
        }
        (self.bad >= self.rule.retries.max(1)).then_some(Verdict::Unhealthy)
    }

    /// While it starts it is asked much faster than once in an interval. Those are extra chances, not extra strikes.
    fn counts_against(&self, now: Duration) -> bool {
        let strikes = self.bad.saturating_add(1);
        let spared = self
            .rule
            .interval
            .saturating_mul(strikes)
            .saturating_add(self.rule.start_period);
        self.was_good || now.saturating_sub(self.launched) >= spared
    }

    /// As long as there is no verdict, the reason is shown at once; a verdict stands until it failed in a row.
    fn count_unknown(&mut self) -> Option<Verdict> {
        self.unknown = self.unknown.saturating_add(1);
        let is_enough = self.verdict.is_none() || self.unknown >= self.rule.retries;
        is_enough.then_some(Verdict::Unknown)
    }
}
