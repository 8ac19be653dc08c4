//! Units that wait for each other.
//!
//! Owns: that each knot of the graph is reported once, as one shortest cycle in it, with the place of every edge.

use super::index::Index;
use crate::decode::Edge;
use crate::report::{Code, Sink};

pub(super) fn check(index: &Index<'_>, sink: &mut Sink) {
    let open = index.tied();
    let mut is_reported = vec![false; open.len()];
    for start in (0..open.len()).filter(|unit| open[*unit]) {
        if is_reported[start] {
            continue;
        }
        if let Some(cycle) = index.shortest_cycle(start, &open) {
            cycle.iter().for_each(|(unit, _)| is_reported[*unit] = true);
            report(index, &cycle, sink);
        }
    }
}

fn report(index: &Index<'_>, cycle: &[(usize, &Edge)], sink: &mut Sink) {
    let name = |unit: usize| index.names[unit].as_str();
    let names: Vec<&str> = cycle.iter().map(|(from, _)| name(*from)).collect();
    let say = |(from, edge): &(usize, &Edge)| {
        format!("`{}` depends on `{}`", name(*from), edge.dependency.unit)
    };
    let (first, rest) = cycle.split_first().expect("a cycle has at least one edge");
    let path = match names.as_slice() {
        [begin @ .., _, _, _, _, _, last] if begin.len() > 5 => {
            format!(
                "{} -> … ({} units) -> {last}",
                begin[..5].join(" -> "),
                names.len()
            )
        }
        _ => names.join(" -> "),
    };
    let message = format!("dependency cycle: {path} -> {}", names[0]);
    let report = sink.error(Code::Cycle, first.1.span, message);
    report.label(say(first));
    for step in rest {
        report.also(step.1.span, say(step));
    }
}
