//! The last records of a log, read again and again.
//!
//! Owns: how many are asked for, and where the new ones begin among them. An engine finds the last records of a log from its end,
//! while for those since some time it goes through all that it keeps.

use std::cmp::Ordering;

use container_engine::LogRecord;
use service_shim::log::Stream;

use super::past::stream_of;

/// The last record that was taken, in the engine's own order. Only for engines whose records bear the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    stream: Stream,
    at_ns: u64,
    /// How many of its stream in succession bear this time: pieces of one line do.
    count: usize,
}

impl Mark {
    /// After one more record.
    fn after(before: Option<Self>, record: &LogRecord) -> Self {
        let (stream, at_ns) = (stream_of(record.source), record.time_ns);
        let same = before.filter(|mark| (mark.stream, mark.at_ns) == (stream, at_ns));
        Self {
            stream,
            at_ns,
            count: same.map_or(0, |mark| mark.count) + 1,
        }
    }

    /// After all of these; what it was when there are none.
    pub(super) fn of(before: Option<Self>, records: &[LogRecord]) -> Option<Self> {
        let after = |mark, record| Some(Self::after(mark, record));
        records.iter().fold(before, after)
    }

    /// Where among these, the last ones of the log or all of it, those begin that came after it. `None`: it is not among them,
    /// or what of its line was before them cannot be told.
    pub(super) fn behind(self, records: &[LogRecord], is_all: bool) -> Option<usize> {
        let is_it = |record: &LogRecord| {
            (stream_of(record.source), record.time_ns) == (self.stream, self.at_ns)
        };
        let mut places = records.iter().enumerate();
        let mut places = std::iter::from_fn(|| places.find(|(_, record)| is_it(record)));
        // The first of them may be in the middle of a line, whose beginning is not among them.
        let (first, _) = places.next().filter(|(at, _)| is_all || *at > 0)?;
        let last = match self.count {
            1 => first,
            more => places.nth(more - 2)?.0,
        };
        Some(last + 1)
    }
}

/// How many records are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Length {
    records: usize,
    most: usize,
}

impl Length {
    pub(super) fn new() -> Self {
        Self {
            records: LEAST,
            most: MOST,
        }
    }

    pub(super) fn records(self) -> u64 {
        u64::try_from(self.records).unwrap_or(u64::MAX)
    }

    /// More, as they did not reach back far enough; `None` when so many are too many to hold.
    pub(super) fn longer(self) -> Option<Self> {
        let records = self.records.saturating_mul(GROWTH);
        (records <= self.most).then_some(Self { records, ..self })
    }

    /// For the next time, after so many new ones of so many bytes.
    pub(super) fn after(self, new: usize, bytes: usize) -> Self {
        let each = bytes.checked_div(new).unwrap_or(0).max(1);
        let most = (MOST_BYTES / each).clamp(LEAST, MOST);
        let wanted = new.saturating_mul(2).clamp(LEAST, most);
        let records = match wanted.cmp(&self.records) {
            Ordering::Less => self.records.div_ceil(2).max(wanted),
            Ordering::Equal | Ordering::Greater => wanted,
        };
        Self { records, most }
    }
}

/// What fits into one small answer.
const LEAST: usize = 64;
const GROWTH: usize = 8;
/// Some megabytes of ordinary lines.
const MOST: usize = 32 * 1024;
/// Held while it is looked for where the new ones begin.
const MOST_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use container_engine::LogSource::{Stderr, Stdout};

    use super::*;

    fn records(of: &[(container_engine::LogSource, u64)]) -> Vec<LogRecord> {
        let record = |&(source, time_ns): &(container_engine::LogSource, u64)| LogRecord {
            source,
            time_ns,
            bytes: b"x".to_vec().into(),
        };
        of.iter().map(record).collect()
    }

    fn mark(of: &[(container_engine::LogSource, u64)]) -> Mark {
        Mark::of(None, &records(of)).expect("some")
    }

    #[test]
    fn new_ones_begin_behind_the_last_that_was_taken() {
        let taken = mark(&[(Stdout, 1), (Stderr, 3), (Stdout, 2)]);
        let seen = records(&[(Stderr, 3), (Stdout, 2), (Stderr, 2), (Stdout, 4)]);
        assert_eq!(
            taken.behind(&seen, false),
            Some(2),
            "one that was stamped earlier, too"
        );
        assert_eq!(taken.behind(&seen[..2], false), Some(2), "there is none");
        assert_eq!(
            taken.behind(&seen[1..], false),
            None,
            "it may be the rest of a line"
        );
        assert_eq!(taken.behind(&seen[2..], false), None, "it is not there");
        assert_eq!(taken.behind(&[], false), None);
        assert_eq!(
            taken.behind(&seen[1..], true),
            Some(1),
            "nothing was before"
        );
    }

    #[test]
    fn pieces_of_a_line_are_counted() {
        let taken = mark(&[(Stdout, 1), (Stdout, 5), (Stdout, 5)]);
        let seen = records(&[
            (Stdout, 1),
            (Stdout, 5),
            (Stderr, 6),
            (Stdout, 5),
            (Stdout, 5),
        ]);
        assert_eq!(taken.behind(&seen, false), Some(4));
        assert_eq!(
            taken.behind(&seen[..2], false),
            None,
            "what was taken is not all there"
        );
    }

    #[test]
    fn lengths_follow_what_comes_and_stay_within_what_can_be_held() {
        let length = Length::new();
        assert_eq!(length.records(), 64);
        let longer = length.longer().expect("few");
        assert_eq!(longer.records(), 512);
        let much = longer.after(3000, 300_000);
        assert_eq!(much.records(), 6000);
        assert_eq!(
            much.after(0, 0).records(),
            3000,
            "it gets shorter by and by"
        );
        let large = Length::new().after(1000, 16 * 1024 * 1000);
        assert_eq!(large.records(), 512, "of 8 MiB");
        assert!(large.longer().is_none());
    }
}
