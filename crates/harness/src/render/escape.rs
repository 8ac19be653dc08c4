//! What services write, made harmless for a terminal.
//!
//! Owns: which characters a terminal would act on: controls, escapes, those that turn the direction of writing. They are
//! shown as what they are. Colours, the one thing that services send with good reason, are left out without a trace.

/// The bytes as text that no terminal acts on. What is not UTF-8 is shown in hexadecimal.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in without_colors(bytes).utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut text, c);
        }
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

/// Appends the same to `shown`. Most lines have nothing to be made harmless, and are copied as they are.
pub(crate) fn push_escaped(shown: &mut Vec<u8>, bytes: &[u8]) {
    // Without a branch for each byte, so that many are looked at in one step.
    let is_harmless = |byte: u8| (b' '..=b'~').contains(&byte) | (byte == b'\t');
    if bytes
        .iter()
        .fold(true, |all, byte| all & is_harmless(*byte))
    {
        shown.extend_from_slice(bytes);
    } else {
        shown.extend_from_slice(escaped(bytes).as_bytes());
    }
}

fn push(text: &mut String, c: char) {
    match c {
        '\t' => text.push(c),
        '\0'..='\x1f' | '\x7f' => text.push_str(&format!("\\x{:02x}", c as u32)),
        '\u{80}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => text.push_str(&format!("\\u{{{:x}}}", c as u32)),
        c => text.push(c),
    }
}

/// The bytes without `ESC [ … m`, and without the carriage return of a line's end.
fn without_colors(bytes: &[u8]) -> Vec<u8> {
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match color_length(rest) {
            Some(length) => rest = &rest[length..],
            None => {
                kept.push(*first);
                rest = tail;
            }
        }
    }
    kept
}

fn color_length(bytes: &[u8]) -> Option<usize> {
    let parameters = bytes.strip_prefix(b"\x1b[")?;
    let end = parameters
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (parameters[end] == b'm').then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let hostile =
            b"a\tb\x1b[2J\x07\x1b]0;t\x07\x9b\xc2\x9bc\r\xe2\x80\xae\xff\x1b[31mred\x1b[0m\x1b[3";
        let text = escaped(hostile);
        assert_eq!(
            text,
            "a\tb\\x1b[2J\\x07\\x1b]0;t\\x07\\x9b\\u{9b}c\\x0d\\u{202e}\\xffred\\x1b[3"
        );
        assert!(text.chars().all(|c| c == '\t' || !c.is_control()));
    }

    #[test]
    fn text_of_all_languages_stays_as_it_is() {
        for text in ["plain", "größer", "日本語", "🙂", ""] {
            assert_eq!(escaped(text.as_bytes()), text);
        }
        assert_eq!(escaped(b"dos line\r"), "dos line");
    }
}
