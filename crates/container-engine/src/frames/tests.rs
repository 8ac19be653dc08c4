//! The bytes may be cut anywhere; the records are the same.

use proptest::prelude::*;

use super::*;

const TIME: &str = "2026-11-21T06:21:25.000000001Z";
const TIME_NS: u64 = 1_795_242_085_000_000_001;

fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short");
    let mut frame = vec![kind, 0, 0, 0];
    frame.extend(length.to_be_bytes());
    frame.extend(data);
    frame
}

fn timed(kind: u8, data: &[u8]) -> Vec<u8> {
    frame(kind, &[TIME.as_bytes(), b" ", data].concat())
}

/// What comes out when the bytes come in pieces of these sizes, in turn.
fn records(framed: bool, bytes: &[u8], cuts: &[usize]) -> (Vec<LogRecord>, Result<(), FrameError>) {
    let mut reader = Records::new(framed);
    let mut found = Vec::new();
    let mut rest = bytes;
    let mut cuts = cuts.iter().copied().cycle();
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(cuts.next().unwrap_or(rest.len()).min(rest.len()));
        rest = others;
        reader.push(piece);
        loop {
            match reader.next_record() {
                Ok(Some(record)) => found.push(record),
                Ok(None) => break,
                Err(error) => return (found, Err(error)),
            }
        }
    }
    match reader.finish() {
        Ok(record) => found.extend(record),
        Err(error) => return (found, Err(error)),
    }
    (found, Ok(()))
}

fn sources() -> impl Strategy<Value = Vec<(bool, Vec<u8>)>> {
    let data = prop::collection::vec(any::<u8>(), 0..200);
    prop::collection::vec((any::<bool>(), data), 0..20)
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut(
        written in sources(),
        cuts in prop::collection::vec(1_usize..64, 1..20),
    ) {
        let bytes: Vec<u8> = written
            .iter()
            .flat_map(|(is_error, data)| timed(1 + u8::from(*is_error), data))
            .collect();
        let (found, end) = records(true, &bytes, &cuts);
        prop_assert_eq!(end, Ok(()));
        let expected: Vec<LogRecord> = written
            .into_iter()
            .map(|(is_error, data)| LogRecord {
                source: if is_error { LogSource::Stderr } else { LogSource::Stdout },
                time_ns: TIME_NS,
                bytes: data.into(),
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn garbage_never_panics_and_means_the_same_however_it_is_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(1_usize..64, 1..20),
        framed in any::<bool>(),
    ) {
        prop_assert_eq!(records(framed, &bytes, &cuts), records(framed, &bytes, &[]));
    }

    #[test]
    fn a_cut_end_is_told_and_what_came_before_it_is_not_lost(
        lines in prop::collection::vec("[a-z]{0,20}", 1..5),
        lost in 1_usize..30,
    ) {
        let mut bytes: Vec<u8> = lines.iter().flat_map(|line| timed(1, line.as_bytes())).collect();
        bytes.truncate(bytes.len() - lost);
        let (found, end) = records(true, &bytes, &[7]);
        prop_assert_eq!(end, Err(FrameError::BrokenOff));
        prop_assert_eq!(found.len(), lines.len() - 1);
    }

    #[test]
    fn lines_of_a_terminal_are_the_same_however_they_are_cut(
        lines in prop::collection::vec("[a-z ]{0,40}", 1..10),
        cuts in prop::collection::vec(1_usize..64, 1..20),
    ) {
        let text: String = lines.iter().map(|line| format!("{TIME} {line}\r\n")).collect();
        let (found, end) = records(false, text.as_bytes(), &cuts);
        prop_assert_eq!(end, Ok(()));
        let found: Vec<_> = found.iter().map(|record| record.bytes.as_ref()).collect();
        let expected: Vec<_> = lines.iter().map(|line| format!("{line}\r\n")).collect();
        prop_assert_eq!(found, expected.iter().map(|line| line.as_bytes()).collect::<Vec<_>>());
    }
}

#[test]
fn what_no_engine_sends_is_refused() {
    let end = |bytes: &[u8]| records(true, bytes, &[]).1.expect_err("refused");
    assert_eq!(end(&frame(9, b"")), FrameError::Kind(9));
    assert_eq!(end(&frame(1, b"no time")), FrameError::NoTime);
    assert_eq!(
        end(&[1, 0, 0, 0, 255, 255, 255, 255]),
        FrameError::Length(0xFFFF_FFFF)
    );
    assert_eq!(
        end(&frame(3, b"file is gone")),
        FrameError::Engine("file is gone".to_owned())
    );
}

#[test]
fn a_line_of_a_terminal_that_has_no_end_comes_in_parts_of_one_time() {
    let line = "x".repeat(2 * MAX_LINE_BYTES);
    let text = format!("{TIME} {line}\n{TIME} next\n");
    for cuts in [&[][..], &[4096], &[1_000_000]] {
        let (found, end) = records(false, text.as_bytes(), cuts);
        assert_eq!(end, Ok(()));
        let lengths: Vec<_> = found.iter().map(|record| record.bytes.len()).collect();
        let head = TIME.len() + 1;
        assert_eq!(
            lengths,
            [MAX_LINE_BYTES - head, MAX_LINE_BYTES, head + 1, 5]
        );
        assert!(found.iter().all(|record| record.time_ns == TIME_NS));
    }
}
