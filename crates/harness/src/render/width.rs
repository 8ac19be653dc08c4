//! How many columns a text takes.
//!
//! Owns: an estimate that is right for names, numbers, European and East Asian text. It may be off for composed emoji,
//! which then wrap.

/// The columns of a text without control characters.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(of).sum()
}

/// The text, cut to so many columns; a cut one ends in `…` (or `~`).
pub(crate) fn clipped(text: &str, width: usize, unicode: bool) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut taken = 0;
    let kept = text.chars().take_while(|c| {
        taken += of(*c);
        taken < width
    });
    let mut kept: String = kept.collect();
    if width > 0 {
        kept.push(if unicode { '…' } else { '~' });
    }
    kept
}

/// The text, filled up with spaces.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

fn of(c: char) -> usize {
    match c as u32 {
        0x300..=0x36F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_is_no_wider_than_asked() {
        assert_eq!(clipped("postgres", 5, true), "post…");
        assert_eq!(clipped("postgres", 5, false), "post~");
        assert_eq!(clipped("postgres", 8, true), "postgres");
        assert_eq!(clipped("日本語", 4, true), "日…");
        assert_eq!(clipped("x", 0, true), "");
        assert_eq!(columns("日本e\u{301}"), 5);
    }
}
