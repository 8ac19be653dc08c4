//! What minisign's files have in common: comments, and base64 lines of fixed length.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(super) const UNTRUSTED: &str = "untrusted comment: ";
pub(super) const TRUSTED: &str = "trusted comment: ";

/// The bytes of a line, if there are exactly so many.
pub(super) fn decoded<const N: usize>(line: &str) -> Option<[u8; N]> {
    STANDARD.decode(line).ok()?.try_into().ok()
}

pub(super) fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Line ends of other systems are taken off.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.trim_end_matches('\r'))
}

/// So many bytes of a decoded line, from an offset that its format fixes.
pub(super) fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("the formats fix every offset within the line")
}
