//! The graph by numbers.
//!
//! Owns: the numbering of units and walks over it. A hostile file can have ten thousand units, and questions that are
//! asked of each of them walk over all: with numbers such a walk takes microseconds.

use std::collections::{BTreeMap, VecDeque};

use service_orchestration::spec::UnitName;

use crate::decode::{Decoded, Edge};

/// Units by number, with their edges to units that exist.
#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) names: Vec<&'a UnitName>,
    numbers: BTreeMap<&'a str, usize>,
    edges: Vec<Vec<(usize, &'a Edge)>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(decoded: &'a Decoded) -> Self {
        let names: Vec<&UnitName> = decoded.units.keys().collect();
        let numbers: BTreeMap<&str, usize> = names
            .iter()
            .enumerate()
            .map(|(number, name)| (name.as_str(), number))
            .collect();
        let edges = decoded.units.values().map(|unit| {
            let known = unit.edges.iter().filter_map(|edge| {
                let to = *numbers.get(edge.dependency.unit.as_str())?;
                Some((to, edge))
            });
            known.collect()
        });
        let edges = edges.collect();
        Self {
            names,
            numbers,
            edges,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// Which units this one needs, directly or through others.
    pub(super) fn reached_from(&self, start: usize) -> Vec<bool> {
        let mut reached = vec![false; self.names.len()];
        let mut open = vec![start];
        while let Some(from) = open.pop() {
            for (to, _) in &self.edges[from] {
                if !std::mem::replace(&mut reached[*to], true) {
                    open.push(*to);
                }
            }
        }
        reached
    }

    /// The shortest way from a unit back to itself, over these units only, as (from, edge) steps.
    pub(super) fn shortest_cycle(
        &self,
        start: usize,
        among: &[bool],
    ) -> Option<Vec<(usize, &'a Edge)>> {
        let mut came: Vec<Option<(usize, &'a Edge)>> = vec![None; self.names.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(from) = queue.pop_front() {
            for (to, edge) in &self.edges[from] {
                if !among[*to] || came[*to].is_some() {
                    continue;
                }
                came[*to] = Some((from, edge));
                if *to == start {
                    return Some(walk_back(start, &came));
                }
                queue.push_back(*to);
            }
        }
        None
    }

    /// The units that remain when those without open dependencies are taken away again and again, and then those that
    /// no open one depends on: cycles, and what lies between cycles.
    pub(super) fn tied(&self) -> Vec<bool> {
        let mut open = vec![true; self.names.len()];
        let forward: Vec<Vec<usize>> = self
            .edges
            .iter()
            .map(|edges| edges.iter().map(|(to, _)| *to).collect())
            .collect();
        let mut backward = vec![Vec::new(); self.names.len()];
        for (from, edges) in forward.iter().enumerate() {
            for to in edges {
                backward[*to].push(from);
            }
        }
        trim(&mut open, &forward, &backward);
        trim(&mut open, &backward, &forward);
        open
    }
}

/// Closes every unit whose `needs` are all closed.
fn trim(open: &mut [bool], needs: &[Vec<usize>], needed_by: &[Vec<usize>]) {
    let count =
        |unit: usize, open: &[bool]| needs[unit].iter().filter(|other| open[**other]).count();
    let mut left: Vec<usize> = (0..open.len()).map(|unit| count(unit, open)).collect();
    let mut free: Vec<usize> = (0..open.len())
        .filter(|unit| open[*unit] && left[*unit] == 0)
        .collect();
    while let Some(unit) = free.pop() {
        open[unit] = false;
        for other in &needed_by[unit] {
            left[*other] = left[*other].saturating_sub(1);
            if left[*other] == 0 && open[*other] {
                free.push(*other);
            }
        }
    }
}

fn walk_back<'a>(start: usize, came: &[Option<(usize, &'a Edge)>]) -> Vec<(usize, &'a Edge)> {
    let mut steps = Vec::new();
    let mut at = start;
    loop {
        let step = came[at].expect("the search came here from somewhere");
        steps.push(step);
        at = step.0;
        if at == start {
            break;
        }
    }
    steps.reverse();
    steps
}
