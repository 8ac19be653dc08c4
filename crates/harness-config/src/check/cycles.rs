//! Units that wait for each other.
//!
//! Owns: that each knot of the graph is reported once, as one shortest cycle in it, with the place of every edge.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use service_orchestration::spec::UnitName;

use crate::decode::{Decoded, Edge};
use crate::report::{Code, Sink};

pub(super) fn check(decoded: &Decoded, sink: &mut Sink) {
    let mut knotted: BTreeSet<&UnitName> = BTreeSet::new();
    let open = tied(decoded);
    for name in &open {
        if knotted.contains(name) {
            continue;
        }
        if let Some(cycle) = shortest(decoded, name, &open) {
            knotted.extend(cycle.iter().map(|(from, _)| *from));
            report(&cycle, sink);
        }
    }
}

/// What remains when units without open dependencies are taken away again and again: cycles, and what leads to them.
fn tied(decoded: &Decoded) -> BTreeSet<&UnitName> {
    let mut missing: BTreeMap<&UnitName, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<&UnitName, Vec<&UnitName>> = BTreeMap::new();
    for (name, unit) in &decoded.units {
        let known = unit
            .edges
            .iter()
            .filter(|edge| decoded.units.contains_key(&edge.dependency.unit));
        let mut count = 0;
        for edge in known {
            count += 1;
            dependents
                .entry(&edge.dependency.unit)
                .or_default()
                .push(name);
        }
        missing.insert(name, count);
    }
    let mut free: Vec<&UnitName> = missing
        .iter()
        .filter(|(_, n)| **n == 0)
        .map(|(name, _)| *name)
        .collect();
    while let Some(name) = free.pop() {
        missing.remove(name);
        for dependent in dependents.get(name).into_iter().flatten() {
            if let Some(count) = missing.get_mut(dependent) {
                *count -= 1;
                if *count == 0 {
                    free.push(dependent);
                }
            }
        }
    }
    missing.into_keys().collect()
}

type Step<'a> = (&'a UnitName, &'a Edge);

/// The shortest way from a unit back to itself, as (from, edge) steps.
fn shortest<'a>(
    decoded: &'a Decoded,
    start: &'a UnitName,
    open: &BTreeSet<&UnitName>,
) -> Option<Vec<Step<'a>>> {
    let mut came: BTreeMap<&UnitName, Step<'a>> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(from) = queue.pop_front() {
        for edge in &decoded.units[from].edges {
            let to = &edge.dependency.unit;
            if !open.contains(to) || came.contains_key(to) {
                continue;
            }
            came.insert(to, (from, edge));
            if to == start {
                return Some(walk_back(start, &came));
            }
            queue.push_back(to);
        }
    }
    None
}

fn walk_back<'a>(start: &'a UnitName, came: &BTreeMap<&UnitName, Step<'a>>) -> Vec<Step<'a>> {
    let mut steps = vec![came[start]];
    while let Some((from, _)) = steps.last().copied().filter(|(from, _)| *from != start) {
        steps.push(came[from]);
    }
    steps.reverse();
    steps
}

fn report(cycle: &[Step<'_>], sink: &mut Sink) {
    let names: Vec<&str> = cycle.iter().map(|(from, _)| from.as_str()).collect();
    let say = |(from, edge): &Step<'_>| format!("`{from}` depends on `{}`", edge.dependency.unit);
    let (first, rest) = cycle.split_first().expect("a cycle has at least one edge");
    let message = format!("dependency cycle: {} -> {}", names.join(" -> "), names[0]);
    let report = sink.error(Code::Cycle, first.1.span, message);
    report.label(say(first));
    for step in rest {
        report.also(step.1.span, say(step));
    }
}
