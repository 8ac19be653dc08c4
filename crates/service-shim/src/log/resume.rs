//! Where to go on with output that somebody else keeps, and which of it is here already.
//!
//! Owns: the place and the comparison. Plain values: never reads a file and never asks anybody.
//!
//! Invariant: times rise within a stream, as far as the records of one stream are compared. They need not between the
//! streams: an engine stamps each by itself, and gives all pieces of a line the time of its first. A clock that was set
//! back by more than the time since the last record may cost or double what lies in between.

use super::format::Stream;

/// Where an attempt's output ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// The time from which on to ask again, itself included: nothing that is missing is older.
    pub since_ns: u64,
    /// The last of each stream; none of one that nothing was ever written to.
    pub streams: [Option<StreamPoint>; 2],
    /// The stream of the very last record.
    pub last: Stream,
}

/// The last records of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPoint {
    /// Their time, in nanoseconds since 1970.
    pub at_ns: u64,
    /// How many in succession have it.
    pub count: u64,
}

/// Whether a record is here already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is: leave it out.
    Stored,
    /// It is not.
    New,
    /// It is not, and something before it is gone: what stands last here was not sent again. Said once.
    NewAfterGap,
}

/// Tells records that are here from those that are not, in what is sent again.
#[derive(Debug, Clone)]
pub struct Resume {
    point: Option<ResumePoint>,
    seen: [u64; 2],
    is_checked: bool,
}

impl ResumePoint {
    /// From the ends of the streams, and whether a line goes on there.
    pub(super) fn new(tail: &Tail) -> Option<ResumePoint> {
        let last = tail.last?;
        let times = tail.points.map(|point| point.map(|point| point.at_ns));
        let end = times[last.index()]?;
        // What comes next may have been stamped before what was last.
        let disordered = end.saturating_sub(MAX_DISORDER_NS);
        let mut since_ns = match times {
            [Some(out), Some(err)] => disordered.max(out.min(err)),
            _ => disordered,
        };
        for stream in Stream::ALL {
            // The rest of an unfinished line has the time of its beginning, however long ago.
            if let (true, Some(at_ns)) = (tail.is_open[stream.index()], times[stream.index()]) {
                since_ns = since_ns.min(at_ns);
            }
        }
        Some(ResumePoint {
            since_ns,
            streams: tail.points,
            last,
        })
    }
}

impl Resume {
    /// Compares with what is here; with nothing, everything is new.
    pub fn new(point: Option<ResumePoint>) -> Resume {
        Resume {
            point,
            seen: [0, 0],
            is_checked: false,
        }
    }

    /// Judges the next record that is sent, in the order in which they are.
    pub fn judge(&mut self, stream: Stream, at_ns: u64) -> Known {
        let Some(point) = self.point else {
            return Known::New;
        };
        if let Some(end) = point.streams[stream.index()] {
            let seen = &mut self.seen[stream.index()];
            if at_ns < end.at_ns {
                return Known::Stored;
            }
            if at_ns == end.at_ns && *seen < end.count {
                *seen += 1;
                return Known::Stored;
            }
        }
        let is_first = !std::mem::replace(&mut self.is_checked, true);
        let last = point.last.index();
        let is_last_here = point.streams[last].is_none_or(|end| self.seen[last] == end.count);
        if is_first && !is_last_here {
            Known::NewAfterGap
        } else {
            Known::New
        }
    }
}

/// What the end of an index tells about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Tail {
    pub(super) points: [Option<StreamPoint>; 2],
    pub(super) last: Option<Stream>,
    /// Whether the last record of the stream ended in the middle of a line.
    pub(super) is_open: [bool; 2],
}

impl Tail {
    /// Whether a record of this time goes on with the run of equal times.
    pub(super) fn is_same_time(&self, stream: Stream, at_ns: u64) -> bool {
        self.points[stream.index()].is_some_and(|point| point.at_ns == at_ns)
    }

    /// Takes in a record that stands in the index now.
    pub(super) fn push(&mut self, stream: Stream, at_ns: u64, is_whole: bool) {
        let at = stream.index();
        let before = self.points[at].filter(|point| point.at_ns == at_ns);
        let count = before.map_or(0, |point| point.count).saturating_add(1);
        self.points[at] = Some(StreamPoint { at_ns, count });
        self.last = Some(stream);
        self.is_open[at] = !is_whole;
    }

    /// How many records have the last time of each stream, for the header of the next segment.
    pub(super) fn run(&self) -> [u32; 2] {
        self.points.map(|point| {
            let count = point.map_or(0, |point| point.count);
            u32::try_from(count).unwrap_or(u32::MAX)
        })
    }
}

// Docker stamps a record before it waits for its turn to write it: by so much the streams may be out of order.
const MAX_DISORDER_NS: u64 = 10_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_left_out_and_what_follows_at_the_same_instant_is_not() {
        let mut resume = Resume::new(Some(point(Some((50, 2)), None)));
        assert_eq!(resume.judge(Stream::Stdout, 49), Known::Stored);
        assert_eq!(resume.judge(Stream::Stdout, 50), Known::Stored);
        assert_eq!(resume.judge(Stream::Stdout, 50), Known::Stored);
        assert_eq!(resume.judge(Stream::Stdout, 50), Known::New);
        assert_eq!(resume.judge(Stream::Stderr, 49), Known::New);
    }

    #[test]
    fn a_last_record_that_is_not_sent_again_is_a_gap_that_is_told_once() {
        let mut resume = Resume::new(Some(point(Some((50, 1)), Some((40, 1)))));
        assert_eq!(resume.judge(Stream::Stderr, 60), Known::NewAfterGap);
        assert_eq!(resume.judge(Stream::Stdout, 61), Known::New);
    }

    #[test]
    fn a_stream_whose_end_is_long_ago_is_no_gap() {
        let mut resume = Resume::new(Some(point(Some((50, 1)), Some((4, 7)))));
        assert_eq!(resume.judge(Stream::Stdout, 50), Known::Stored);
        assert_eq!(resume.judge(Stream::Stderr, 51), Known::New);
    }

    #[test]
    fn a_run_that_is_only_half_there_is_a_gap() {
        let mut resume = Resume::new(Some(point(Some((50, 3)), None)));
        assert_eq!(resume.judge(Stream::Stdout, 50), Known::Stored);
        assert_eq!(resume.judge(Stream::Stdout, 51), Known::NewAfterGap);
    }

    #[test]
    fn nothing_here_makes_everything_new() {
        assert_eq!(Resume::new(None).judge(Stream::Stdout, 0), Known::New);
    }

    #[test]
    fn an_unfinished_line_is_asked_for_from_its_beginning() {
        let second = 1_000_000_000;
        let mut tail = Tail::default();
        assert_eq!(ResumePoint::new(&tail), None);
        tail.push(Stream::Stdout, 5 * second, false);
        tail.push(Stream::Stderr, 500 * second, true);
        let since = |tail: &Tail| ResumePoint::new(tail).expect("records").since_ns;
        assert_eq!(since(&tail), 5 * second);
        tail.push(Stream::Stdout, 5 * second, true);
        assert_eq!(
            since(&tail),
            5 * second,
            "stamped by the time of the last record"
        );
        tail.push(Stream::Stderr, 501 * second, true);
        assert_eq!(since(&tail), 491 * second);
        tail.push(Stream::Stdout, 500 * second, true);
        assert_eq!(since(&tail), 500 * second);
    }

    /// Both last at their streams; the very last is of stdout.
    fn point(out: Option<(u64, u64)>, err: Option<(u64, u64)>) -> ResumePoint {
        ResumePoint {
            since_ns: 0,
            streams: [out, err].map(|end| end.map(|(at_ns, count)| StreamPoint { at_ns, count })),
            last: Stream::Stdout,
        }
    }
}
