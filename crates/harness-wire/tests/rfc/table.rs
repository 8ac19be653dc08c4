//! The cases.

use super::frames::*;

/// Name, bytes, and what must come of them.
pub(crate) fn cases() -> Vec<(String, Vec<u8>, Then)> {
    let mut cases: Vec<(String, Vec<u8>, Then)> = Vec::new();
    let mut case = |name: &str, bytes: Vec<u8>, then: Then| {
        cases.push((name.to_owned(), bytes, then));
    };
    let ask = ASK.as_bytes();
    let padded = |count: usize| format!("{ASK}{}", " ".repeat(count - ASK.len())).into_bytes();

    // Framing: lengths in each of their forms.
    case(
        "text, the shortest length",
        frame(FIN | TEXT, ask),
        Then::Answered,
    );
    for count in [125, 126, 127, 128, 1000, LIMIT] {
        case(
            &format!("text of {count} bytes"),
            frame(FIN | TEXT, &padded(count)),
            Then::Answered,
        );
    }
    case(
        "a zero mask",
        framed(FIN | TEXT, ask, Some([0; 4]), Length::Shortest),
        Then::Answered,
    );
    case(
        "a mask of ones",
        framed(FIN | TEXT, ask, Some([0xff; 4]), Length::Shortest),
        Then::Answered,
    );
    case(
        "no mask",
        framed(FIN | TEXT, ask, None, Length::Shortest),
        PROTOCOL,
    );
    case(
        "no mask on a ping",
        framed(FIN | PING, b"x", None, Length::Shortest),
        PROTOCOL,
    );
    case(
        "no mask on a close",
        framed(FIN | CLOSE, &1000_u16.to_be_bytes(), None, Length::Shortest),
        PROTOCOL,
    );
    case(
        "no mask on a continuation",
        all(&[frame(TEXT, b"{"), framed(FIN, b"}", None, Length::Shortest)]),
        PROTOCOL,
    );
    // The RFC binds the sender to the shortest form; what is longer means the same, and is read.
    for length in [Length::In16, Length::In64] {
        case(
            "a text with a length longer than needed",
            framed(FIN | TEXT, ask, Some([1; 4]), length),
            Then::Answered,
        );
        case(
            "a ping with a length longer than needed",
            framed(FIN | PING, b"", Some([1; 4]), length),
            Then::Pong(Vec::new()),
        );
    }
    case(
        "200 bytes with 64 bits of length",
        framed(FIN | TEXT, &padded(200), Some([1; 4]), Length::In64),
        Then::Answered,
    );
    case(
        "a byte more than allowed",
        frame(FIN | TEXT, &padded(LIMIT + 1)),
        TOO_LARGE,
    );
    case(
        "a gigabyte announced",
        header(FIN | TEXT, 0xff, &(1_u64 << 30).to_be_bytes()),
        TOO_LARGE,
    );
    case(
        "2^62 bytes announced",
        header(FIN | TEXT, 0xff, &(1_u64 << 62).to_be_bytes()),
        TOO_LARGE,
    );
    case(
        "the highest bit of the length set",
        header(FIN | TEXT, 0xff, &u64::MAX.to_be_bytes()),
        Then::Closed(&[1002, 1009]),
    );

    // Opcodes and reserved bits.
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        case(
            &format!("the reserved opcode {opcode}"),
            frame(FIN | opcode, b"x"),
            PROTOCOL,
        );
        case(
            &format!("the reserved opcode {opcode}, empty"),
            frame(FIN | opcode, b""),
            PROTOCOL,
        );
    }
    for bits in [0x40, 0x20, 0x10, 0x60, 0x50, 0x30, 0x70] {
        case(
            &format!("the reserved bits {bits:#x} on a text"),
            frame(FIN | bits | TEXT, ask),
            PROTOCOL,
        );
        case(
            &format!("the reserved bits {bits:#x} on a ping"),
            frame(FIN | bits | PING, b""),
            PROTOCOL,
        );
    }
    case(
        "a reserved bit on a continuation",
        all(&[frame(TEXT, b"{"), frame(FIN | 0x40, b"}")]),
        PROTOCOL,
    );
    case(
        "a reserved bit on a close",
        frame(FIN | 0x40 | CLOSE, &1000_u16.to_be_bytes()),
        PROTOCOL,
    );
    case(
        "a binary message",
        frame(FIN | BINARY, ask),
        Then::Closed(&[1003]),
    );
    case(
        "an empty binary message",
        frame(FIN | BINARY, b""),
        Then::Closed(&[1003]),
    );

    // Fragments.
    let (one, two) = ask.split_at(20);
    case(
        "two fragments",
        all(&[frame(TEXT, one), frame(FIN, two)]),
        Then::Answered,
    );
    case(
        "three fragments, one empty",
        all(&[frame(TEXT, one), frame(0, b""), frame(FIN, two)]),
        Then::Answered,
    );
    case(
        "an empty first fragment",
        all(&[frame(TEXT, b""), frame(FIN, ask)]),
        Then::Answered,
    );
    case(
        "an empty last fragment",
        all(&[frame(TEXT, ask), frame(FIN, b"")]),
        Then::Answered,
    );
    let bytewise: Vec<Vec<u8>> = ask
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            let first = if at == 0 { TEXT } else { 0 };
            let last = if at + 1 == ask.len() { FIN } else { 0 };
            frame(first | last, &[*byte])
        })
        .collect();
    case(
        "a fragment for each byte, characters split",
        all(&bytewise),
        Then::Answered,
    );
    case(
        "a ping between fragments",
        all(&[frame(TEXT, one), frame(FIN | PING, b"mid"), frame(FIN, two)]),
        Then::Answered,
    );
    case(
        "a pong between fragments",
        all(&[frame(TEXT, one), frame(FIN | PONG, b"mid"), frame(FIN, two)]),
        Then::Answered,
    );
    case(
        "a close between fragments",
        all(&[frame(TEXT, one), close(1000, b"")]),
        Then::Closed(&[1000]),
    );
    case("a continuation of nothing", frame(FIN, ask), PROTOCOL);
    case(
        "an unfinished continuation of nothing",
        frame(0, ask),
        PROTOCOL,
    );
    case(
        "a continuation after the end",
        all(&[frame(FIN | TEXT, ask), frame(FIN, b"x")]),
        PROTOCOL,
    );
    case(
        "a text inside a message",
        all(&[frame(TEXT, one), frame(FIN | TEXT, ask)]),
        PROTOCOL,
    );
    case(
        "an unfinished text inside a message",
        all(&[frame(TEXT, one), frame(TEXT, two)]),
        PROTOCOL,
    );
    case(
        "a binary inside a message",
        all(&[frame(TEXT, one), frame(FIN | BINARY, b"x")]),
        PROTOCOL,
    );
    case(
        "fragments beyond the limit",
        all(&[
            frame(TEXT, &[b' '; 8000]),
            frame(0, &[b' '; 8000]),
            frame(0, &[b' '; 8000]),
        ]),
        TOO_LARGE,
    );

    // Control frames.
    case(
        "a ping",
        frame(FIN | PING, b"payload"),
        Then::Pong(b"payload".to_vec()),
    );
    case(
        "an empty ping",
        frame(FIN | PING, b""),
        Then::Pong(Vec::new()),
    );
    case(
        "a ping of 125 bytes",
        frame(FIN | PING, &[0xfe; 125]),
        Then::Pong(vec![0xfe; 125]),
    );
    case(
        "a ping of 126 bytes",
        frame(FIN | PING, &[0xfe; 126]),
        PROTOCOL,
    );
    case("an unfinished ping", frame(PING, b"x"), PROTOCOL);
    case("an unfinished pong", frame(PONG, b"x"), PROTOCOL);
    case(
        "an unfinished close",
        frame(CLOSE, &1000_u16.to_be_bytes()),
        PROTOCOL,
    );
    case(
        "a pong of 126 bytes",
        frame(FIN | PONG, &[0; 126]),
        PROTOCOL,
    );
    case("a close of 126 bytes", close(1000, &[b'x'; 124]), PROTOCOL);
    case(
        "a pong nobody asked for",
        frame(FIN | PONG, b"hello"),
        Then::Nothing,
    );
    case(
        "an empty pong nobody asked for",
        frame(FIN | PONG, b""),
        Then::Nothing,
    );
    case(
        "ten pings",
        all(&vec![frame(FIN | PING, b"last"); 10]),
        Then::Pong(b"last".to_vec()),
    );

    // Closing.
    case(
        "a close without a code",
        frame(FIN | CLOSE, b""),
        Then::Closed(&[1000, 1005]),
    );
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        case(
            &format!("a close with {code}"),
            close(code, b"bye"),
            Then::Closed(Box::leak(Box::new([code]))),
        );
    }
    for code in [
        0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        case(
            &format!("a close with {code}, which must not be sent"),
            close(code, b""),
            PROTOCOL,
        );
    }
    case("a close of one byte", frame(FIN | CLOSE, &[3]), PROTOCOL);
    case(
        "a close with a reason of 123 bytes",
        close(1000, &[b'x'; 123]),
        Then::Closed(&[1000]),
    );
    case(
        "a close whose reason is no UTF-8",
        close(1000, &[0xce, 0xba, 0xe1]),
        Then::Closed(&[1002, 1007]),
    );
    case(
        "a ping after a close",
        all(&[close(1000, b""), frame(FIN | PING, b"late")]),
        Then::Closed(&[1000]),
    );
    case(
        "a text after a close",
        all(&[close(1000, b""), frame(FIN | TEXT, ask)]),
        Then::Closed(&[1000]),
    );

    // Text that is none.
    for (name, bytes) in [
        ("a lone continuation byte", &b"\"\x80\""[..]),
        ("a byte that never occurs", b"\"\xff\""),
        ("an overlong slash", b"\"\xc0\xaf\""),
        ("an overlong zero", b"\"\xe0\x80\x80\""),
        ("half of a surrogate pair", b"\"\xed\xa0\x80\""),
        ("beyond the last character", b"\"\xf4\x90\x80\x80\""),
        ("five bytes for one character", b"\"\xf8\x88\x80\x80\x80\""),
        ("a character cut off at the end", b"\"\xce"),
    ] {
        case(name, frame(FIN | TEXT, bytes), NO_TEXT);
        let (one, two) = bytes.split_at(2);
        case(
            &format!("{name}, in fragments"),
            all(&[frame(TEXT, one), frame(FIN, two)]),
            NO_TEXT,
        );
    }
    cases
}
