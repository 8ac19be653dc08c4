//! Lines do not depend on where their bytes were cut into pieces, and the place behind each is where reading goes on.

use proptest::prelude::*;

use super::*;

fn at(record: u64) -> LogPlace {
    LogPlace { segment: 1, record }
}

fn opened() -> LogPiece {
    LogPiece {
        place: at(0),
        what: Piece::Opened {
            cursor: LogCursor::new(at(0), [Some(0), Some(0)]),
        },
    }
}

fn said(record: u64, stream: LogStream, offset: u64, bytes: &[u8]) -> LogPiece {
    LogPiece {
        place: at(record),
        what: Piece::Data {
            stream,
            attempt: 1,
            time: DateTime::UNIX_EPOCH,
            offset,
            bytes: bytes.to_vec(),
        },
    }
}

fn now(record: u64) -> LogPiece {
    LogPiece {
        place: at(record),
        what: Piece::Now,
    }
}

fn lines_of(pieces: &[LogPiece]) -> Vec<LogLine> {
    let mut joiner = LineJoiner::default();
    let mut lines = Vec::new();
    for piece in pieces {
        joiner.push(piece, |found| {
            assert_eq!(found.count(), found.lines().count());
            lines.extend(found.lines());
        });
    }
    lines
}

/// The pieces of one stream, cut behind so many bytes each, again and again.
fn cut_up(stream: LogStream, text: &[u8], cuts: &[usize]) -> Vec<LogPiece> {
    let mut pieces = Vec::new();
    let mut offset = 0;
    for (record, cut) in (0..).zip(cuts.iter().cycle()) {
        if offset == text.len() {
            break;
        }
        let end = text.len().min(offset + cut);
        pieces.push(said(record, stream, offset as u64, &text[offset..end]));
        offset = end;
    }
    pieces
}

fn texts(lines: &[LogLine]) -> Vec<(Vec<u8>, bool, Option<u64>)> {
    let told = |line: &LogLine| {
        let offset = line.cursor.offset(line.stream);
        (line.bytes.clone(), line.partial, offset)
    };
    lines.iter().map(told).collect()
}

#[test]
fn whoever_goes_on_behind_a_full_disk_misses_nothing_and_is_told_of_it_once() {
    let lost = LogPiece {
        place: at(1),
        what: Piece::Gap {
            stream: LogStream::Stdout,
            bytes: 100,
            time: DateTime::UNIX_EPOCH,
            uncounted: Some(at(2)),
        },
    };
    let lines = lines_of(&[
        opened(),
        said(0, LogStream::Stdout, 0, b"one\n"),
        lost,
        said(2, LogStream::Stdout, 4, b"two\nth"),
        said(3, LogStream::Stdout, 10, b"ree\n"),
    ]);
    let places: Vec<_> = lines
        .into_iter()
        .map(|line| (line.bytes, line.cursor.0.record, line.cursor.0.delivered[0]))
        .collect();
    assert_eq!(
        places,
        [
            (b"one".to_vec(), 0, Some(4)),
            (vec![], 2, Some(4)),
            (b"two".to_vec(), 2, Some(8)),
            (b"three".to_vec(), 3, Some(14)),
        ]
    );
}

#[test]
fn a_line_of_exactly_the_limit_is_whole_and_a_longer_one_is_cut_before_a_character() {
    let mut text = vec![b'a'; MAX_LINE];
    text.push(b'\n');
    text.extend(vec![b'b'; MAX_LINE - 1]);
    text.extend("日本\n".bytes());
    for cuts in [vec![text.len()], vec![1], vec![MAX_LINE], vec![7, 65_000]] {
        let mut pieces = vec![opened()];
        pieces.extend(cut_up(LogStream::Stdout, &text, &cuts));
        let lines = lines_of(&pieces);
        let told: Vec<_> = lines
            .iter()
            .map(|line| (line.bytes.len(), line.partial))
            .collect();
        let expected = [(MAX_LINE, false), (MAX_LINE - 1, true), (6, false)];
        assert_eq!(told, expected, "in pieces of {cuts:?}");
        assert_eq!(lines[2].bytes, "日本".as_bytes());
    }
}

#[test]
fn streams_do_not_mix_and_what_is_unfinished_comes_at_the_end() {
    let lines = lines_of(&[
        opened(),
        said(0, LogStream::Stdout, 0, b"out"),
        said(1, LogStream::Stderr, 0, b"err\nhalf"),
        said(2, LogStream::Stdout, 3, b"put\n"),
        now(3),
    ]);
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.bytes.as_slice(), line.partial))
        .collect();
    assert_eq!(
        told,
        [(&b"err"[..], false), (b"output", false), (b"half", true)]
    );
    // The unfinished output begins in record 0: whoever goes on behind `err` needs it.
    assert_eq!(lines[0].cursor, LogCursor::new(at(0), [Some(0), Some(4)]));
    assert_eq!(lines[1].cursor, LogCursor::new(at(1), [Some(7), Some(4)]));
    assert_eq!(lines[2].cursor, LogCursor::new(at(3), [Some(7), Some(8)]));
}

/// Bytes with newlines, characters of several bytes and what is no text, some of them longer than a line may be.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => Just(b"\n".to_vec()),
        4 => Just(b"plain".to_vec()),
        2 => Just("\u{1f600}".as_bytes().to_vec()),
        1 => Just(b"\xff\x80\r".to_vec()),
        1 => (MAX_LINE - 3..MAX_LINE + 3).prop_map(|length| vec![b'x'; length]),
    ];
    proptest::collection::vec(part, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_cut_of_the_output_gives_the_lines_of_the_whole(
        text in output(),
        cuts in proptest::collection::vec(prop_oneof![1_usize..9, 60_000_usize..70_000], 1..8),
    ) {
        let pieces = |cuts: &[usize]| {
            let mut pieces = vec![opened()];
            pieces.extend(cut_up(LogStream::Stdout, &text, cuts));
            pieces.push(now(1 << 40));
            pieces
        };
        let whole = lines_of(&pieces(&[text.len().max(1)]));
        let cut = lines_of(&pieces(&cuts));
        prop_assert!(texts(&whole) == texts(&cut));
        let mut joined = Vec::new();
        for line in &cut {
            prop_assert!(line.bytes.len() <= MAX_LINE);
            joined.extend(&line.bytes);
            if !line.partial {
                joined.push(b'\n');
            }
            prop_assert_eq!(line.cursor.offset(LogStream::Stdout), Some(joined.len() as u64));
        }
        prop_assert!(joined == text);
    }

    #[test]
    fn whoever_goes_on_behind_any_line_gets_the_rest(
        text in output(),
        cuts in proptest::collection::vec(prop_oneof![1_usize..9, 60_000_usize..70_000], 1..8),
        chosen in any::<prop::sample::Index>(),
    ) {
        let mut pieces = vec![opened()];
        pieces.extend(cut_up(LogStream::Stdout, &text, &cuts));
        let all = lines_of(&pieces);
        prop_assume!(!all.is_empty());
        let chosen = chosen.index(all.len());
        let cursor = all[chosen].cursor;
        let from = cursor.offset(LogStream::Stdout).unwrap_or(0);
        // As the log is read again from there: records from the cursor's on, without what was handed out.
        let mut again = vec![LogPiece { place: cursor.place(), what: Piece::Opened { cursor } }];
        for piece in &pieces[1..] {
            let Piece::Data { offset, bytes, .. } = &piece.what else { continue };
            let skip = from.saturating_sub(*offset).min(bytes.len() as u64);
            if piece.place < cursor.place() {
                prop_assert_eq!(skip as usize, bytes.len(), "a record before the cursor is not needed");
            } else if skip < bytes.len() as u64 {
                let rest = &bytes[usize::try_from(skip).expect("small")..];
                again.push(said(piece.place.record, LogStream::Stdout, offset + skip, rest));
            }
        }
        prop_assert!(texts(&lines_of(&again)) == texts(&all[chosen + 1..]));
    }
}
