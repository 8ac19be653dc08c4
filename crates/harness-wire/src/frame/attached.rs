//! An event and the bytes that belong to it, in one binary message.
//!
//! Owns: the layout: the bytes, the text of the event, the length of that text as four bytes, little endian. The text
//! comes last, so that a sender appends it to the bytes, and neither side moves them.

use bytes::Bytes;

/// The message of these bytes and this text.
pub(crate) fn packed(mut bytes: Vec<u8>, text: &str) -> Vec<u8> {
    // A longer text is refused for its size before it is sent.
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(text.as_bytes());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes
}

/// The text of a message, and its bytes; none when it is no such message.
pub(crate) fn unpacked(message: &Bytes) -> Option<(&str, Bytes)> {
    let (before, length) = message.split_last_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let end = before.len().checked_sub(length)?;
    let text = std::str::from_utf8(&before[end..]).ok()?;
    Some((text, message.slice(..end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_and_nothing_else_is() {
        for bytes in [&b""[..], b"\x00\xff\n", &[7; 70_000]] {
            let message = Bytes::from(packed(bytes.to_vec(), "{\"a\":1}"));
            let (text, unpacked) = unpacked(&message).expect("a message of ours");
            assert_eq!((text, &unpacked[..]), ("{\"a\":1}", bytes));
        }
        let too_long = [1, 2, 3, 9, 0, 0, 0];
        let no_text = [0xff, 1, 0, 0, 0];
        for message in [&b""[..], b"abc", &too_long, &no_text, &[0xff; 8]] {
            assert!(unpacked(&Bytes::copy_from_slice(message)).is_none());
        }
    }
}
