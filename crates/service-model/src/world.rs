//! All units of all stacks, and the one door through which anything happens to them.
//!
//! Owns: the units, the guard that drops stale reports and timers, and the order of one step: first what came in,
//! then whatever may move because of it. What one unit does with an event stands in [`super::lifecycle`], who may move
//! in [`super::plan`].

use std::time::Duration;

use super::backoff::Jitter;
use super::budget::Budget;
use super::face::{Around, Face};
use super::life::Life;
use super::lifecycle::{Event, transition};
use super::moves::Turn;
use super::plan::Queue;
use super::vocabulary::{Attempt, Command, Effect, Index, Input, Policy};

/// What is decided about every unit: see the invariants of [the module](super).
///
/// Synchronous, total and deterministic: the same seed and the same inputs give the same effects.
#[derive(Debug)]
pub struct World {
    pub(super) nodes: Vec<Node>,
    pub(super) queue: Queue,
    pub(super) budget: Budget,
    pub(super) jitter: Jitter,
    pub(super) now: Duration,
    /// The graph was changed since the units were last ranked.
    pub(super) unranked: bool,
    pub(super) changed: Vec<Index>,
    /// Restored, and not yet resumed.
    pub(super) restored: Vec<Index>,
}

/// A unit and its place in the graph.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// `None`: reserved and not yet defined, or removed.
    pub(super) policy: Option<Policy>,
    pub(super) life: Life,
    /// Who needs it: the unit, and which of its edges.
    pub(super) dependents: Vec<(Index, usize)>,
    /// Per edge: the attempt of the other that this unit's running attempt was launched upon.
    pub(super) bases: Vec<Option<Attempt>>,
    /// Lower than the rank of everything that needs it.
    pub(super) rank: u32,

    // Cached; `World::check` recomputes them.
    pub(super) face: Face,
    /// Edges whose gate is shut.
    pub(super) shut: u32,
    /// Edges whose gate is shut and cannot open as things stand.
    pub(super) barred: u32,
    /// Edges of dependents that go down first.
    pub(super) blockers: u32,

    pub(super) is_stale: bool,
    pub(super) is_due: bool,
    pub(super) is_changed: bool,
}

impl World {
    /// An empty world. The seed makes the jitter of the waits, and nothing else.
    pub fn new(seed: u64) -> Self {
        Self::with_budget(seed, Budget::default())
    }

    /// An empty world with another budget of automatic restarts.
    pub fn with_budget(seed: u64, budget: Budget) -> Self {
        Self {
            nodes: Vec::new(),
            queue: Queue::default(),
            budget,
            jitter: Jitter::new(seed),
            now: Duration::ZERO,
            unranked: false,
            changed: Vec::new(),
            restored: Vec::new(),
        }
    }

    /// Takes in what happened at `now` (since any epoch) and appends what shall be done, in order.
    ///
    /// Never fails: what names an unknown unit, another attempt or another stay is dropped. Time that goes back is
    /// taken as standing still.
    pub fn step(&mut self, input: Input, now: Duration, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        match input {
            Input::Command { units, command } => {
                for unit in units {
                    self.ask(unit, command, effects);
                }
            }
            Input::Commands(asked) => {
                for (unit, command) in asked {
                    self.ask(unit, command, effects);
                }
            }
            Input::Report {
                unit,
                attempt,
                report,
            } => {
                if self
                    .node(unit)
                    .is_some_and(|node| node.life.attempt == attempt)
                {
                    self.apply(unit, Event::Told(report), effects);
                }
            }
            Input::Timer { unit, token } => {
                if self.node(unit).is_some_and(|node| node.life.token == token) {
                    self.apply(unit, Event::Timer, effects);
                }
            }
        }
        self.plan(effects);
    }

    fn ask(&mut self, unit: Index, command: Command, effects: &mut Vec<Effect>) {
        if self.is_defined(unit) {
            self.command(unit, command, effects);
        }
    }

    /// The time of the last step.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Units of which something that must outlive the daemon changed since the last call: see [`World::save`].
    pub fn take_changed(&mut self) -> Vec<Index> {
        for unit in &self.changed {
            self.nodes[unit.0 as usize].is_changed = false;
        }
        std::mem::take(&mut self.changed)
    }

    /// Leads one unit through one event; whoever is concerned is looked at by the next `plan`.
    pub(super) fn apply(&mut self, unit: Index, event: Event, effects: &mut Vec<Effect>) {
        let node = &mut self.nodes[unit.0 as usize];
        let Some(policy) = &node.policy else { return };
        let mut turn = Turn {
            unit,
            now: self.now,
            jitter: &mut self.jitter,
            effects,
        };
        transition(&mut node.life, event, policy, &mut turn);
        self.touch(unit);
    }

    pub(super) fn is_defined(&self, unit: Index) -> bool {
        self.node(unit).is_some_and(|node| node.policy.is_some())
    }

    fn node(&self, unit: Index) -> Option<&Node> {
        self.nodes.get(unit.0 as usize)
    }

    /// The node of a unit that the caller got from this world.
    pub(super) fn known(&self, unit: Index) -> &Node {
        self.node(unit)
            .expect("an index is handed out by this world only")
    }
}

impl Node {
    /// What stands around it, as cached.
    pub(super) fn around(&self) -> Around {
        Around {
            shut: self.shut,
            barred: self.barred,
            blockers: self.blockers,
        }
    }

    pub(super) fn edges(&self) -> &[super::vocabulary::Edge] {
        self.policy.as_ref().map_or(&[], |policy| &policy.edges)
    }
}
