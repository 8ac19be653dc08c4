//! What is sent and what must come of it.

pub(crate) const HELLO: &str = r#"{"jsonrpc":"2.0","id":"h","method":"hello","params":{"protocol":{"min":1,"max":1},"program":"raw","version":"0"}}"#;
pub(crate) const ASK: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":["höher"]}"#;
pub(crate) const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":["höher"]}"#;
pub(crate) const LIMIT: usize = 20_000;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
pub(crate) const FIN: u8 = 0x80;

/// What must come of a case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Then {
    /// The question in it is answered, and the session works on.
    Answered,
    /// Nothing comes of it, and the session works on.
    Nothing,
    /// A pong with this payload, and the session works on.
    Pong(Vec<u8>),
    /// The connection is closed with one of these codes.
    Closed(&'static [u16]),
}

pub(crate) const PROTOCOL: Then = Then::Closed(&[1002]);
pub(crate) const NO_TEXT: Then = Then::Closed(&[1007]);
pub(crate) const TOO_LARGE: Then = Then::Closed(&[1009]);

/// How the length of a frame is written.
#[derive(Clone, Copy)]
pub(crate) enum Length {
    Shortest,
    In16,
    In64,
}

/// A masked frame: first byte as given.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    framed(
        first,
        payload,
        Some([0x37, 0xfa, 0x21, 0x3d]),
        Length::Shortest,
    )
}

pub(crate) fn framed(first: u8, payload: &[u8], mask: Option<[u8; 4]>, length: Length) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    let count = payload.len();
    match length {
        Length::Shortest if count < 126 => bytes.push(masked | count as u8),
        Length::In16 => {
            bytes.push(masked | 126);
            bytes.extend((count as u16).to_be_bytes());
        }
        Length::Shortest if count <= 0xffff => {
            bytes.push(masked | 126);
            bytes.extend((count as u16).to_be_bytes());
        }
        Length::Shortest | Length::In64 => {
            bytes.push(masked | 127);
            bytes.extend((count as u64).to_be_bytes());
        }
    }
    let mask_bytes = mask.unwrap_or_default();
    if mask.is_some() {
        bytes.extend(mask_bytes);
    }
    let key = mask_bytes.iter().cycle();
    bytes.extend(payload.iter().zip(key).map(|(byte, key)| byte ^ key));
    bytes
}

pub(crate) fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

pub(crate) fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}

/// A header that claims more than follows.
pub(crate) fn header(first: u8, second: u8, rest: &[u8]) -> Vec<u8> {
    [&[first, second][..], rest, &[0; 4]].concat()
}
