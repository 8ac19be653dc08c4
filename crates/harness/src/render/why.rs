//! Why a unit is where it is, as a tree of sentences.
//!
//! Owns: the branches. The sentences are the daemon's.

use harness_core::report::{Why, WhyReason};

use super::escape::escaped;
use super::look::{Look, Span};

/// The tree, the unit that was asked about at its root.
pub(crate) fn why_tree(look: &Look, why: &Why) -> String {
    let mut text = String::new();
    // What stands before a line: one piece for each of those that it hangs below, but the root.
    let mut trunk: Vec<&str> = Vec::new();
    for (reason, is_last) in why.reasons.iter().zip(last_ones(why)) {
        let depth = depth_of(why, reason);
        trunk.truncate(depth.saturating_sub(1));
        let branch = match (depth, is_last) {
            (0, _) => "",
            (_, true) => look.glyph("└─ ", "`- "),
            (_, false) => look.glyph("├─ ", "|- "),
        };
        let name = look.paint(Span::Strong, &reason.name);
        let said = escaped(reason.reason.as_bytes());
        text += &trunk.concat();
        let sentence = sentence(&name, &reason.state, &said);
        text += &format!("{branch}{sentence}\n");
        if depth > 0 {
            trunk.push(if is_last {
                "   "
            } else {
                look.glyph("│  ", "|  ")
            });
        }
    }
    text
}

/// Where a unit is and why. That it failed is not said twice.
pub(crate) fn sentence(name: &str, state: &str, reason: &str) -> String {
    match reason.strip_prefix("it failed") {
        Some(rest) if state == "failed" => format!("{name} failed{rest}"),
        Some(_) | None => format!("{name} is {state}: {reason}"),
    }
}

/// Nothing can hang deeper than there are reasons.
fn depth_of(why: &Why, reason: &WhyReason) -> usize {
    let depth = usize::try_from(reason.depth).unwrap_or(usize::MAX);
    depth.min(why.reasons.len())
}

/// For each reason, whether no other one follows below the same unit.
fn last_ones(why: &Why) -> Vec<bool> {
    // By depth: whether one of that depth was seen, from the end on, since anything less deep.
    let mut followed: Vec<bool> = Vec::new();
    let from_the_end = why.reasons.iter().rev().map(|reason| {
        let depth = depth_of(why, reason);
        followed.resize(depth + 1, false);
        !std::mem::replace(&mut followed[depth], true)
    });
    let mut last: Vec<bool> = from_the_end.collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(depth: u32, name: &str, state: &str, reason: &str) -> WhyReason {
        WhyReason {
            name: name.to_owned(),
            depth,
            state: state.to_owned(),
            reason: reason.to_owned(),
            repeated: false,
        }
    }

    #[test]
    fn a_failure_is_said_once() {
        let killed = sentence("admin", "failed", "it failed: exit code 137");
        assert_eq!(killed, "admin failed: exit code 137");
        let waits = sentence("web", "idle", "it waits for what it needs");
        assert_eq!(waits, "web is idle: it waits for what it needs");
    }

    #[test]
    fn causes_hang_below_what_they_hold_up() {
        let why = Why {
            schema_version: 1,
            reasons: vec![
                reason(0, "web", "idle", "it waits for what it needs"),
                reason(1, "api", "idle", "it waits for what it needs (needs ready)"),
                reason(2, "db", "failed", "it failed: exit code 1 (needs ready)"),
                reason(1, "seed", "settling", "the task runs (needs completed)"),
            ],
        };
        insta::assert_snapshot!(why_tree(&Look::plain(), &why));
        let ascii = why_tree(
            &Look {
                unicode: false,
                ..Look::plain()
            },
            &why,
        );
        assert!(ascii.is_ascii(), "{ascii}");
    }
}
