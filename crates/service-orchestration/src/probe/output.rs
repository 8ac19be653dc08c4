//! The last of what a probe wrote.
//!
//! Owns: at most [`REASON_BYTES`] of it.

use super::answer::REASON_BYTES;

/// Keeps the end of a stream of bytes: that is where a program says why it gives up.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    kept: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend_from_slice(bytes);
        if let Some(excess) = self.kept.len().checked_sub(REASON_BYTES).filter(|n| *n > 0) {
            self.kept.drain(..excess);
            self.is_cut = true;
        }
    }

    /// The reason, with what was written after it.
    pub(crate) fn explain(&self, reason: &str) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let text = text.trim();
        if text.is_empty() {
            return reason.to_owned();
        }
        let dots = if self.is_cut { "…" } else { "" };
        // A replacement character is longer than the byte it stands for.
        let room = REASON_BYTES.saturating_sub(reason.len() + ": ".len() + dots.len());
        let least = text.len().saturating_sub(room);
        let from = (least..=text.len())
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(text.len());
        format!("{reason}: {dots}{}", &text[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_flood_is_kept_and_the_cut_is_shown() {
        let mut tail = Tail::default();
        for _ in 0..1000 {
            tail.push(b"\xff all is well\n");
        }
        tail.push(b"no such table");
        let reason = tail.explain("exit code 1");
        assert!(reason.starts_with("exit code 1: …"));
        assert!(reason.ends_with("no such table"));
        assert!(reason.len() <= REASON_BYTES);
    }

    #[test]
    fn silence_leaves_the_reason_alone() {
        assert_eq!(Tail::default().explain("exit code 1"), "exit code 1");
    }
}
