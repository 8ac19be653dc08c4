//! The cap of many logs together: when to look, what has to go, and how large a segment may become.
//!
//! Owns: the decision which rotated segments go, and the count of bytes until the next look. Every writer keeps the cap
//! by itself while it writes, so nobody watches, and nothing happens while nobody writes. Never touches the newest
//! segment of any log: that is its writer's alone.
//!
//! Invariant: after a look, everything counted is within [`ROOM`] of the cap or can only be reduced by other writers; the
//! bytes that all writers may add before they look again fit into the rest.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::format::{self, Kind, RECORD_LEN, Record, Stream};
use crate::policy::LogTotal;

/// What one writer knows of the caps that it shares with others.
#[derive(Debug)]
pub(crate) struct Share {
    totals: Vec<LogTotal>,
    /// Bytes it may write before it has to look again.
    credit: u64,
    /// The size at which a segment is closed, so that what cannot be removed stays a part of the whole.
    max_segment_bytes: u64,
}

impl Share {
    pub(crate) fn new(totals: &[LogTotal]) -> Share {
        let is_free = totals.is_empty();
        Share {
            totals: totals.to_owned(),
            credit: if is_free { u64::MAX } else { 0 },
            max_segment_bytes: u64::MAX,
        }
    }

    pub(crate) fn credit(&self) -> u64 {
        self.credit
    }

    pub(crate) fn max_segment_bytes(&self) -> u64 {
        self.max_segment_bytes
    }

    /// Notes that bytes were added to the log, and a record of them.
    pub(crate) fn spend(&mut self, bytes: u64) {
        if !self.totals.is_empty() {
            self.credit = self.credit.saturating_sub(bytes + RECORD_LEN as u64);
        }
    }

    /// Looks at every log under the caps, and removes what is too much. Whether it still is: then only the newest
    /// segments are left, and the asker has to give up its own.
    pub(crate) fn look(&mut self) -> bool {
        self.credit = u64::MAX;
        self.max_segment_bytes = u64::MAX;
        let mut is_over = false;
        for total in &self.totals {
            let mut found = Vec::new();
            collect(&total.dir, DEPTH, &mut found);
            let logs = found.len() as u64;
            let step = total.max_bytes / (STEPS * logs.max(FEW));
            self.credit = self.credit.min(step.max(MIN_STEP));
            let segment = total.max_bytes / (2 * logs).max(SEGMENTS);
            self.max_segment_bytes = self.max_segment_bytes.min(segment.max(MIN_STEP));
            is_over |= reduce(&mut found, total.max_bytes / ROOM.1 * ROOM.0);
        }
        is_over
    }
}

/// The log of one unit, as far as the decision needs it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kept {
    /// The attempt that writes it now.
    live: Option<u64>,
    /// Oldest first.
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    number: u64,
    bytes: u64,
    began_ns: u64,
    /// The attempt that ran when it was begun.
    attempt: u64,
}

/// Which segments go so that no more than `room` bytes stay: those of attempts that have ended first, then those of
/// living ones, oldest first among both. Never the newest of a log, and never one before an older one of the same log.
fn excess(logs: &[Kept], room: u64) -> Vec<(usize, u64)> {
    let bytes = |log: &Kept| {
        log.segments
            .iter()
            .map(|segment| segment.bytes)
            .sum::<u64>()
    };
    let mut kept: u64 = logs.iter().map(bytes).sum();
    let mut candidates = Vec::new();
    for (place, log) in logs.iter().enumerate() {
        let mut began_ns = 0;
        for pair in log.segments.windows(2) {
            let (segment, next) = (pair[0], pair[1]);
            // A clock that was set back must not make a hole.
            began_ns = segment.began_ns.max(began_ns);
            // It may hold output of every attempt up to the one that closed it.
            let is_live = log.live.is_some_and(|attempt| next.attempt >= attempt);
            candidates.push((is_live, began_ns, place, segment));
        }
    }
    candidates.sort_by_key(|(is_live, began_ns, place, segment)| {
        (*is_live, *began_ns, *place, segment.number)
    });
    let mut gone = Vec::new();
    for (_, _, place, segment) in candidates {
        if kept <= room {
            break;
        }
        kept -= segment.bytes;
        gone.push((place, segment.number));
    }
    gone
}

/// Removes what is too much; whether what stays still is.
fn reduce(found: &mut [Found], room: u64) -> bool {
    let sum: u64 = found.iter().map(Found::bytes).sum();
    if sum <= room {
        return false;
    }
    // Only now is it worth the time to open them.
    let logs: Vec<Kept> = found.iter().map(Found::kept).collect();
    let mut kept: u64 = logs
        .iter()
        .flat_map(|log| &log.segments)
        .map(|segment| segment.bytes)
        .sum();
    for (place, number) in excess(&logs, room) {
        let segments = logs[place].segments.iter();
        kept -= segments
            .filter(|segment| segment.number == number)
            .map(|segment| segment.bytes)
            .sum::<u64>();
        remove(&found[place].dir, number);
    }
    kept > room
}

/// Removes a closed segment. The index first: a segment without one does not exist for readers.
pub(super) fn remove(dir: &OwnedFd, number: u64) {
    let mut names = vec![format::index_name(number)];
    names.extend(Stream::ALL.map(|stream| format::data_name(number, stream)));
    for name in names {
        // What cannot be removed now is tried again at the next look; another writer may have been faster.
        let _ = rustix::fs::unlinkat(dir, name.as_str(), AtFlags::empty());
    }
}

/// A directory with segments.
#[derive(Debug)]
struct Found {
    dir: OwnedFd,
    /// By number.
    sizes: std::collections::BTreeMap<u64, u64>,
}

impl Found {
    fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }

    /// What its headers say. A segment without one is being made, or being removed: not ours to judge.
    fn kept(&self) -> Kept {
        let mut segments = Vec::new();
        let mut newest = None;
        for (number, bytes) in &self.sizes {
            let name = format::index_name(*number);
            let Ok(index) = format::open_in(&self.dir, &name, OFlags::RDONLY) else {
                continue;
            };
            if let Ok(Some(header)) = format::read_header(&index) {
                segments.push(Segment {
                    number: *number,
                    bytes: *bytes,
                    began_ns: header.created_ns,
                    attempt: header.attempt,
                });
                newest = Some((index, header.attempt));
            }
        }
        let mut live = None;
        if let (Some((index, attempt)), Some(segment)) = (newest, segments.last_mut()) {
            live = match last_record(&index) {
                None => Some(attempt),
                Some(record) if record.kind == Kind::End => None,
                Some(record) => Some(record.attempt),
            };
            if is_direct(&index) {
                // Written by the service itself, which nobody can bound: it would cost the others their output.
                segment.bytes = 0;
            }
        }
        Kept { live, segments }
    }
}

fn last_record(index: &OwnedFd) -> Option<Record> {
    let records = format::records_in(format::size(index).ok()?);
    let mut bytes = [0u8; RECORD_LEN];
    let at = format::position(records.checked_sub(1)?);
    let read = rustix::io::pread(index, &mut bytes, at).ok()?;
    (read == RECORD_LEN)
        .then(|| Record::decode(&bytes))
        .flatten()
}

/// Whether a service writes, or wrote, the data files itself: such a segment begins with the word of it.
fn is_direct(index: &OwnedFd) -> bool {
    let mut bytes = [0u8; RECORD_LEN * LOOK_AHEAD];
    let read = rustix::io::pread(index, &mut bytes, format::position(0)).unwrap_or(0);
    let records = bytes[..read].chunks_exact(RECORD_LEN);
    records
        .map_while(Record::decode)
        .any(|record| record.direct)
}

/// Every log at or below a directory. What cannot be read does not count: whoever may not see it does not write it.
fn collect(path: &Path, depth: u32, found: &mut Vec<Found>) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let Ok(dir) = rustix::fs::open(path, flags, Mode::empty()) else {
        return;
    };
    let Ok(entries) = Dir::read_from(&dir) else {
        return;
    };
    let mut sizes = std::collections::BTreeMap::new();
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().to_str() else {
            continue;
        };
        if entry.file_type() == FileType::Directory && !name.starts_with('.') {
            if depth > 0 {
                collect(&path.join(name), depth - 1, found);
            }
        } else if let Some(number) = segment_of(name)
            && let Ok(stat) = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
        {
            *sizes.entry(number).or_insert(0) += u64::try_from(stat.st_size).unwrap_or(0);
        }
    }
    if !sizes.is_empty() {
        found.push(Found { dir, sizes });
    }
}

fn segment_of(name: &str) -> Option<u64> {
    let (number, suffix) = name.split_once('.')?;
    ["idx", "out", "err"]
        .contains(&suffix)
        .then(|| number.parse().ok())?
}

/// Stacks, and units in them.
const DEPTH: u32 = 2;
/// What a look leaves of a cap: the rest is for what is written until the next one.
const ROOM: (u64, u64) = (3, 4);
/// How many times all logs together look while they write as much as the cap: four times what the rest needs, since
/// those who looked when there were fewer logs may write more.
const STEPS: u64 = 16;
const FEW: u64 = 8;
/// How many segments make up a cap at least: newest ones, which stay, are then half of it at the most.
const SEGMENTS: u64 = 64;
/// Looking more often would cost more than moving the bytes.
const MIN_STEP: u64 = 4096;
/// A segment that the service writes itself has the record of it behind those of a few attempts that wrote nothing.
const LOOK_AHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn log(live: Option<u64>, segments: &[(u64, u64, u64)]) -> Kept {
        let segments = segments
            .iter()
            .zip(1..)
            .map(|((bytes, began_ns, attempt), number)| Segment {
                number,
                bytes: *bytes,
                began_ns: *began_ns,
                attempt: *attempt,
            })
            .collect();
        Kept { live, segments }
    }

    #[test]
    fn what_is_within_the_room_stays() {
        let logs = [log(Some(1), &[(10, 1, 1), (10, 2, 1)])];
        assert_eq!(excess(&logs, 20), []);
        assert_eq!(excess(&[], 0), []);
    }

    #[test]
    fn ended_attempts_go_before_living_ones_and_the_oldest_first() {
        let logs = [
            log(Some(2), &[(10, 1, 1), (10, 5, 1), (10, 6, 2), (10, 9, 2)]),
            log(None, &[(10, 3, 1), (10, 7, 1), (10, 8, 1)]),
        ];
        // The second of the first log was closed by attempt 2: it may hold some of its output.
        let order = [(0, 1), (1, 1), (1, 2), (0, 2), (0, 3)];
        for count in 0..=order.len() {
            let room = 70 - 10 * count as u64;
            assert_eq!(excess(&logs, room), order[..count]);
        }
    }

    #[test]
    fn the_newest_of_each_log_stays_whatever_the_room() {
        let logs = [
            log(None, &[(10, 1, 1)]),
            log(Some(1), &[(10, 1, 1), (10, 2, 1)]),
        ];
        assert_eq!(excess(&logs, 0), [(1, 1)]);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_hole() {
        let logs = [
            log(Some(1), &[(10, 90, 1), (10, 1, 1), (10, 2, 1)]),
            log(Some(1), &[(10, 50, 1), (10, 60, 1)]),
        ];
        assert_eq!(excess(&logs, 30), [(1, 1), (0, 1)]);
    }

    #[test]
    fn only_names_of_segments_count() {
        assert_eq!(segment_of("000012.idx"), Some(12));
        assert_eq!(segment_of("000012.err"), Some(12));
        for name in ["daemon.log", "000012", "x.out", "1.out.old"] {
            assert_eq!(segment_of(name), None, "{name}");
        }
    }
}
