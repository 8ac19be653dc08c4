//! What a container has said before the attempt that it is started for.
//!
//! Owns: where that ends in each stream, by the engine's own records: the time of the last one, and how many bear it. Some
//! engines tell whole seconds only, so that a time alone parts nothing.

use container_engine::{ContainerId, Engine, EngineError, LogRecord, LogSource, LogsQuery};
use futures_lite::StreamExt;
use serde::{Deserialize, Serialize};
use service_shim::log::{Known, Resume, ResumePoint, Stream};

/// The end of what is not this attempt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Past {
    /// The time of the last record of each stream, in nanoseconds since 1970 by the engine's clock.
    pub(super) at_ns: [u64; 2],
    /// How many records of the stream have it.
    pub(super) counts: [u64; 2],
}

impl Past {
    /// What was said before this time, of a container that runs again since.
    pub(super) fn until(at_ns: u64) -> Self {
        Self {
            at_ns: [at_ns; 2],
            counts: [0, 0],
        }
    }

    /// And what an earlier attempt has taken of it: whoever read to the end after the next run had begun has some of that.
    pub(super) fn and_taken(mut self, taken: Option<ResumePoint>) -> Self {
        let streams = taken.map_or([None, None], |point| point.streams);
        for (at, taken) in streams.into_iter().enumerate() {
            let own = (self.at_ns[at], self.counts[at]);
            let taken = taken.map_or(own, |taken| (taken.at_ns, taken.count));
            (self.at_ns[at], self.counts[at]) = own.max(taken);
        }
        self
    }

    /// Looks at the output of a container that does not run; nothing when it has said nothing.
    pub(super) async fn of(
        engine: &Engine,
        id: &ContainerId,
        tty: bool,
    ) -> Result<Option<Self>, EngineError> {
        let query = LogsQuery {
            tail: Some(ENOUGH),
            tty: Some(tty),
            ..LogsQuery::default()
        };
        let last = Self::ask(engine, id, &query).await?;
        let Some((past, seen, first_ns)) = last else {
            return Ok(None);
        };
        let last_ns = past.at_ns[0];
        if seen < ENOUGH || first_ns < last_ns {
            return Ok(Some(past));
        }
        // All that was asked for is of one time: there may be more of it.
        let query = LogsQuery {
            since_ns: Some(last_ns),
            tty: Some(tty),
            ..LogsQuery::default()
        };
        Ok(Self::ask(engine, id, &query).await?.map(|(past, ..)| past))
    }

    /// With how many records there were, and the earliest time of any.
    async fn ask(
        engine: &Engine,
        id: &ContainerId,
        query: &LogsQuery,
    ) -> Result<Option<(Self, u64, u64)>, EngineError> {
        let mut records = engine.logs(id, query).await?;
        let mut found: Option<(Self, u64, u64)> = None;
        while let Some(record) = records.next().await {
            let LogRecord {
                source, time_ns, ..
            } = record?;
            let none = Self::until(time_ns);
            let (past, seen, first_ns) = found.get_or_insert((none, 0, time_ns));
            if time_ns > past.at_ns[0] {
                *past = none;
            }
            if time_ns == past.at_ns[0] {
                past.counts[index(stream_of(source))] += 1;
            }
            *seen += 1;
            *first_ns = time_ns.min(*first_ns);
        }
        Ok(found)
    }
}

/// Tells records that are this attempt's and not here yet from all others.
#[derive(Debug)]
pub(super) struct Sieve {
    past: Option<Past>,
    seen: [u64; 2],
    resume: Resume,
    since_ns: Option<u64>,
}

impl Sieve {
    pub(super) fn new(past: Option<Past>, point: Option<ResumePoint>) -> Self {
        let begin = past.map(|past| past.at_ns[0].min(past.at_ns[1]));
        Self {
            past,
            seen: [0, 0],
            resume: Resume::new(point),
            // Never further back than to where the attempt begins.
            since_ns: point.map(|point| point.since_ns).max(begin),
        }
    }

    /// The time from which on to ask for records.
    pub(super) fn since_ns(&self) -> Option<u64> {
        self.since_ns
    }

    /// Judges the next record that is sent, in the order in which they are.
    pub(super) fn judge(&mut self, stream: Stream, at_ns: u64) -> Known {
        if let Some(past) = self.past {
            let end_ns = past.at_ns[index(stream)];
            let seen = &mut self.seen[index(stream)];
            if at_ns < end_ns {
                return Known::Stored;
            }
            if at_ns == end_ns && *seen < past.counts[index(stream)] {
                *seen += 1;
                return Known::Stored;
            }
        }
        self.resume.judge(stream, at_ns)
    }
}

pub(super) fn stream_of(source: LogSource) -> Stream {
    match source {
        LogSource::Stderr => Stream::Stderr,
        LogSource::Stdout => Stream::Stdout,
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

/// Records at the end that show it, unless they all have one time.
const ENOUGH: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Stderr, Stdout};
    use service_shim::log::StreamPoint;

    fn new(sieve: &mut Sieve, records: &[(Stream, u64)]) -> Vec<usize> {
        let judged = records.iter().enumerate();
        judged
            .filter(|(_, (stream, at))| sieve.judge(*stream, *at) != Known::Stored)
            .map(|(at, _)| at)
            .collect()
    }

    #[test]
    fn what_an_earlier_run_said_is_left_out_also_where_times_are_whole_seconds() {
        let past = Past {
            at_ns: [50, 50],
            counts: [2, 1],
        };
        let sent = [
            (Stdout, 49),
            (Stdout, 50),
            (Stderr, 50),
            (Stdout, 50),
            (Stdout, 50),
            (Stderr, 50),
            (Stderr, 51),
        ];
        let mut sieve = Sieve::new(Some(past), None);
        assert_eq!(sieve.since_ns(), Some(50));
        assert_eq!(new(&mut sieve, &sent), [4, 5, 6]);
    }

    #[test]
    fn a_stream_that_said_nothing_yet_is_not_filled_with_what_was_before() {
        let past = Past {
            at_ns: [50, 50],
            counts: [0, 1],
        };
        // It asks from well before what it has, to find what was stamped late.
        let point = ResumePoint {
            since_ns: 10,
            streams: [
                Some(StreamPoint {
                    at_ns: 60,
                    count: 1,
                }),
                None,
            ],
            last: Stdout,
        };
        let mut sieve = Sieve::new(Some(past), Some(point));
        assert_eq!(sieve.since_ns(), Some(50));
        let sent = [(Stderr, 40), (Stderr, 50), (Stdout, 60), (Stderr, 61)];
        assert_eq!(new(&mut sieve, &sent), [3]);
    }

    #[test]
    fn what_an_earlier_attempt_took_of_this_run_is_left_out() {
        let taken = ResumePoint {
            since_ns: 10,
            streams: [
                Some(StreamPoint {
                    at_ns: 60,
                    count: 1,
                }),
                Some(StreamPoint {
                    at_ns: 40,
                    count: 3,
                }),
            ],
            last: Stdout,
        };
        let past = Past::until(50).and_taken(Some(taken));
        assert_eq!(Past::until(50).and_taken(None), Past::until(50));
        let sent = [
            (Stderr, 49),
            (Stderr, 50),
            (Stdout, 55),
            (Stderr, 57),
            (Stdout, 60),
            (Stdout, 60),
        ];
        let mut sieve = Sieve::new(Some(past), None);
        assert_eq!(sieve.since_ns(), Some(50));
        assert_eq!(new(&mut sieve, &sent), [1, 3, 5]);
    }

    #[test]
    fn one_that_is_new_has_no_past() {
        let mut sieve = Sieve::new(None, None);
        assert_eq!(sieve.since_ns(), None);
        assert_eq!(new(&mut sieve, &[(Stdout, 0), (Stderr, 0)]), [0, 1]);
    }
}
