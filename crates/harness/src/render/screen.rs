//! A text that is shown again and again over the whole terminal.
//!
//! Owns: how much of it has room.

use super::look::Look;
use super::width::clipped;

/// The text from the first line of the terminal on, and nothing below it; without a terminal, just the text.
pub(crate) fn screen(look: &Look, text: &str) -> String {
    if !look.can_move {
        return text.to_owned();
    }
    let (width, height) = look.size();
    let lines: Vec<&str> = text.lines().collect();
    // The cursor stands below the last line.
    let room = height.saturating_sub(1).max(1);
    let shown = match lines.len() > room {
        true => room - 1,
        false => lines.len(),
    };
    let mut all: String = lines[..shown]
        .iter()
        .map(|line| format!("{line}{TO_LINE_END}\n"))
        .collect();
    if shown < lines.len() {
        let more = format!("... {} more lines", lines.len() - shown);
        all += &format!("{}{TO_LINE_END}\n", clipped(&more, width, look.unicode));
    }
    format!("{HOME}{all}{TO_END}")
}

const HOME: &str = "\x1b[H";
const TO_LINE_END: &str = "\x1b[K";
const TO_END: &str = "\x1b[J";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_higher_than_the_terminal() {
        assert_eq!(screen(&Look::plain(), "a\nb\n"), "a\nb\n");
        let look = Look {
            can_move: true,
            ..Look::plain()
        };
        let (_, height) = look.size();
        let text: String = (0..height + 5).map(|line| format!("{line}\n")).collect();
        let shown = screen(&look, &text);
        assert_eq!(shown.lines().count(), height, "{shown:?}");
        assert!(shown.contains("... 7 more lines"), "{shown:?}");
    }
}
