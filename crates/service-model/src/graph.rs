//! Who needs whom.
//!
//! Owns: definitions and edges, that there is no cycle, and the order that follows. Never moves a unit: what a changed
//! definition means for one that is at rest is decided with the next step.

use std::collections::BTreeMap;

use super::face::{Face, Pass};
use super::life::Life;
use super::vocabulary::{Attempt, Edge, Index, Policy, Token};
use super::world::{Node, World};

/// Why a definition was refused. The world is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefineError {
    /// The units need each other in a ring, each the next, the last the first.
    #[error("{} units need each other in a ring", .0.len())]
    Cycle(Vec<Index>),
    /// The definition, or one of its edges, names a unit that was never handed out.
    #[error("unit {} is not of this world", .0.0)]
    Unknown(Index),
}

#[derive(Clone, Copy)]
enum Seen {
    No,
    OnPath,
    Done,
}

/// A process of the unit may be alive: it cannot be forgotten yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a process of it may be alive")]
pub struct StillActive;

impl World {
    /// A place for a unit that others name before it is defined. Until then its gates stay shut.
    pub fn reserve(&mut self) -> Index {
        let index =
            u32::try_from(self.nodes.len()).expect("fewer than four thousand million units");
        self.nodes.push(Node::default());
        Index(index)
    }

    /// Defines a new unit (`None`), a reserved one, or one that is there already: see [`World::define_all`].
    ///
    /// # Errors
    /// [`DefineError`] when an edge would close a ring, or names no unit of this world.
    pub fn define(&mut self, unit: Option<Index>, policy: Policy) -> Result<Index, DefineError> {
        match unit {
            Some(unit) => self.define_all(vec![(unit, policy)]).map(|()| unit),
            None => {
                // Nothing can need it yet, so it closes no ring.
                self.check_known(policy.edges.iter().map(|edge| edge.on))?;
                let unit = self.reserve();
                self.put(unit, policy);
                Ok(unit)
            }
        }
    }

    /// Defines several units at once; only the graph that results must be without a ring. A running attempt is not
    /// touched, the new definition counts from the next decision on. Nothing moves before the next step or `resume`.
    ///
    /// # Errors
    /// [`DefineError`], and nothing is changed, when the edges would close a ring or name no unit of this world.
    pub fn define_all(&mut self, changes: Vec<(Index, Policy)>) -> Result<(), DefineError> {
        self.check_known(changes.iter().map(|(unit, _)| *unit))?;
        for (_, policy) in &changes {
            self.check_known(policy.edges.iter().map(|edge| edge.on))?;
        }
        if let Some(ring) = self.cycle(&changes) {
            return Err(DefineError::Cycle(ring));
        }
        for (unit, policy) in changes {
            self.put(unit, policy);
        }
        Ok(())
    }

    fn check_known(&self, mut named: impl Iterator<Item = Index>) -> Result<(), DefineError> {
        let unknown = named.find(|on| on.0 as usize >= self.nodes.len());
        unknown.map_or(Ok(()), |unit| Err(DefineError::Unknown(unit)))
    }

    fn put(&mut self, unit: Index, policy: Policy) {
        let kept = self.detach(unit);
        self.nodes[unit.0 as usize].policy = Some(policy);
        self.attach(unit, &kept);
    }

    /// The ring that these definitions would close: each needs the next, the last the first.
    pub fn cycle(&self, changes: &[(Index, Policy)]) -> Option<Vec<Index>> {
        let changed: BTreeMap<Index, &[Edge]> = changes
            .iter()
            .map(|(unit, policy)| (*unit, &policy.edges[..]))
            .collect();
        let edges = |unit: Index| {
            changed
                .get(&unit)
                .copied()
                .unwrap_or(self.known(unit).edges())
        };
        let mut seen: Vec<Seen> = vec![Seen::No; self.nodes.len()];
        // A ring that is closed now leads through one of the changed. A stack of our own: chains may be long.
        for &start in changed.keys() {
            let mut path = vec![(start, 0)];
            while let Some((at, next)) = path.last_mut() {
                seen[at.0 as usize] = Seen::OnPath;
                let Some(edge) = edges(*at).get(*next) else {
                    seen[at.0 as usize] = Seen::Done;
                    path.pop();
                    continue;
                };
                *next += 1;
                match seen[edge.on.0 as usize] {
                    Seen::Done => {}
                    Seen::No => path.push((edge.on, 0)),
                    Seen::OnPath => {
                        let ring = path.iter().map(|(at, _)| *at);
                        return Some(ring.skip_while(|at| *at != edge.on).collect());
                    }
                }
            }
        }
        None
    }

    /// Forgets a unit. Units that need it wait for it in vain until they are defined anew or removed too.
    ///
    /// # Errors
    /// [`StillActive`] when a process of it may be alive.
    pub fn remove(&mut self, unit: Index) -> Result<(), StillActive> {
        if self.known(unit).life.state().is_active() {
            return Err(StillActive);
        }
        self.detach(unit);
        let node = &mut self.nodes[unit.0 as usize];
        let token = node.life.token;
        node.policy = None;
        // Its token lives on, so that a timer of it stays stale should the place be defined again.
        node.life = Life {
            token: Token(token.0 + 1),
            ..Life::default()
        };
        self.attach(unit, &[]);
        Ok(())
    }

    /// Everything that a unit needs, directly or not, what is needed before what needs it.
    pub fn dependencies(&self, unit: Index) -> Vec<Index> {
        let mut found = self.reached_from(unit, |node| {
            node.edges().iter().map(|edge| edge.on).collect()
        });
        found.pop();
        found
    }

    /// Everything that needs a unit, directly or not, what is needed before what needs it.
    pub fn dependents(&self, unit: Index) -> Vec<Index> {
        let mut found = self.reached_from(unit, |node| {
            node.dependents.iter().map(|&(on, _)| on).collect()
        });
        found.pop();
        found.reverse();
        found
    }

    /// Units reached over `next`, each after all that it leads to, the unit itself last.
    fn reached_from(&self, unit: Index, next: impl Fn(&Node) -> Vec<Index>) -> Vec<Index> {
        let mut seen = vec![false; self.nodes.len()];
        let mut found = Vec::new();
        // A stack of our own: a chain of ten thousand must not exhaust the thread's.
        let mut path = vec![(unit, next(self.known(unit)))];
        seen[unit.0 as usize] = true;
        while let Some((at, ahead)) = path.last_mut() {
            match ahead.pop() {
                Some(on) if seen[on.0 as usize] => {}
                Some(on) => {
                    seen[on.0 as usize] = true;
                    path.push((on, next(self.known(on))));
                }
                None => {
                    found.push(*at);
                    path.pop();
                }
            }
        }
        found
    }

    /// Gives every unit a rank above all that it needs.
    pub(super) fn rank(&mut self) {
        let mut missing: Vec<usize> = self.nodes.iter().map(|node| node.edges().len()).collect();
        let mut open: Vec<usize> = (0..missing.len()).filter(|&at| missing[at] == 0).collect();
        let mut rank = 0;
        while let Some(at) = open.get(rank as usize).copied() {
            self.nodes[at].rank = rank;
            rank += 1;
            for &(dependent, _) in &self.nodes[at].dependents {
                let left = &mut missing[dependent.0 as usize];
                *left -= 1;
                if *left == 0 {
                    open.push(dependent.0 as usize);
                }
            }
        }
        self.unranked = false;
    }

    /// Takes a unit's edges out of the graph; returns what its attempt was launched upon.
    fn detach(&mut self, unit: Index) -> Vec<(Index, Attempt)> {
        let node = &mut self.nodes[unit.0 as usize];
        let blocks = node.face.blocks;
        let edges = node
            .policy
            .take()
            .map_or_else(Vec::new, |policy| policy.edges);
        let bases = std::mem::take(&mut node.bases);
        for (position, edge) in edges.iter().enumerate() {
            let other = &mut self.nodes[edge.on.0 as usize];
            other.dependents.retain(|&entry| entry != (unit, position));
            if blocks {
                other.blockers -= 1;
            }
            self.touch(edge.on);
        }
        let on = edges.iter().map(|edge| edge.on);
        on.zip(bases)
            .filter_map(|(on, base)| Some((on, base?)))
            .collect()
    }

    /// Puts a unit's edges into the graph, and counts anew what is cached of them.
    fn attach(&mut self, unit: Index, kept: &[(Index, Attempt)]) {
        let edges = self.nodes[unit.0 as usize].edges().to_vec();
        let blocks = self.nodes[unit.0 as usize].face.blocks;
        let (mut shut, mut barred, mut bases) = (0, 0, Vec::with_capacity(edges.len()));
        for (position, edge) in edges.iter().enumerate() {
            let other = &mut self.nodes[edge.on.0 as usize];
            other.dependents.push((unit, position));
            if blocks {
                other.blockers += 1;
            }
            let pass = other.face.seen_through(edge);
            shut += u32::from(pass != Pass::Open);
            barred += u32::from(pass == Pass::Barred);
            let known = kept
                .iter()
                .find(|(on, _)| *on == edge.on)
                .map(|&(_, base)| base);
            // A gate that is open now is what a running unit stands upon: a new definition does not touch it.
            bases.push(base_on(&other.face, edge).or(known));
            if blocks {
                self.reconsider(edge.on);
            }
        }
        let node = &mut self.nodes[unit.0 as usize];
        (node.shut, node.barred, node.bases) = (shut, barred, bases);
        self.unranked = true;
        self.touch(unit);
    }
}

/// The attempt that whoever is launched now stands upon, through this edge.
pub(super) fn base_on(face: &Face, edge: &Edge) -> Option<Attempt> {
    (face.pass(edge.gate) == Pass::Open).then_some(face.attempt)
}
