//! Why a unit is where it is, as a tree of sentences.
//!
//! Owns: the branches. The sentences are the daemon's.

use harness_core::report::Why;

use super::escape::escaped;
use super::look::{Look, Span};

/// The tree, the unit that was asked about at its root.
pub(crate) fn why_tree(look: &Look, why: &Why) -> String {
    let mut text = String::new();
    push(look, why, "", "", &mut text);
    text
}

fn push(look: &Look, why: &Why, first: &str, rest: &str, text: &mut String) {
    let name = look.paint(Span::Strong, &why.name);
    let reason = escaped(why.reason.as_bytes());
    *text += &format!("{first}{name} is {}: {reason}\n", why.state);
    let count = why.because.len();
    for (at, cause) in why.because.iter().enumerate() {
        let (branch, below) = match at + 1 == count {
            true => (look.glyph("└─ ", "`- "), "   "),
            false => (look.glyph("├─ ", "|- "), look.glyph("│  ", "|  ")),
        };
        push(
            look,
            cause,
            &format!("{rest}{branch}"),
            &format!("{rest}{below}"),
            text,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(name: &str, state: &str, reason: &str, because: Vec<Why>) -> Why {
        Why {
            name: name.to_owned(),
            state: state.to_owned(),
            reason: reason.to_owned(),
            because,
        }
    }

    #[test]
    fn causes_hang_below_what_they_hold_up() {
        let db = why(
            "db",
            "failed",
            "it failed: exit code 1 (needs ready)",
            vec![],
        );
        let api = why(
            "api",
            "idle",
            "it waits for what it needs (needs ready)",
            vec![db],
        );
        let seed = why(
            "seed",
            "settling",
            "the task runs (needs completed)",
            vec![],
        );
        let web = why("web", "idle", "it waits for what it needs", vec![api, seed]);
        insta::assert_snapshot!(why_tree(&Look::plain(), &web));
        let ascii = why_tree(
            &Look {
                unicode: false,
                ..Look::plain()
            },
            &web,
        );
        assert!(ascii.is_ascii(), "{ascii}");
    }
}
