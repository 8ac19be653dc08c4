//! What a run directory there tells, in the words of the shim's protocol.
//!
//! Owns: the translation. Pure. What a shell cannot tell apart is named here: a program that returns 128 and the number of a
//! signal looks like one that this signal has ended.

use service_shim::agent::protocol::{Failure, FailureKind};
use service_shim::protocol::StartFailure;
use service_shim::{
    Escalation, ExitRecord, Identity, LAYOUT_VERSION, Leftovers, Signal, StartFailureKind,
    StopReport,
};

use super::reply::Reply;

/// What a run directory says at one sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// There is none.
    Missing,
    /// It is one of the shim.
    Foreign,
    /// Somebody is about to start the service.
    Starts,
    Runs,
    /// It runs, and nobody is beside it.
    Orphan,
    /// Neither it nor who was beside it is there, and no end is written down.
    Lost,
    Ended,
}

impl Sight {
    pub(super) fn parse(word: &str) -> Option<Sight> {
        Some(match word.trim() {
            "missing" => Sight::Missing,
            "foreign" => Sight::Foreign,
            "starts" => Sight::Starts,
            "runs" => Sight::Runs,
            "orphan" => Sight::Orphan,
            "lost" => Sight::Lost,
            "ended" => Sight::Ended,
            _ => return None,
        })
    }
}

/// All that is known of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) sight: Sight,
    pub(super) identity: Option<Identity>,
    pub(super) runner: u32,
    pub(super) attempt: u64,
    pub(super) is_stopping: bool,
    /// Of one that has ended.
    pub(super) exit: Option<ExitRecord>,
}

impl Known {
    /// From the answer to a look.
    ///
    /// # Errors
    /// [`Failure`]: it makes no sense, or the directory belongs to a shim that has not ended.
    pub(super) fn read(reply: &Reply, instance_id: &str) -> Result<Known, Failure> {
        let senseless = || Failure::new(FailureKind::System, "a run directory cannot be read");
        let sight = reply.one("sight").and_then(|word| Sight::parse(&word));
        let sight = sight.ok_or_else(senseless)?;
        let attempt = reply.number("attempt").unwrap_or_default();
        let exit = match sight {
            Sight::Ended => Some(exit(reply, instance_id, attempt).ok_or_else(senseless)?),
            Sight::Foreign => Some(foreign(reply)?),
            _ => None,
        };
        Ok(Known {
            sight,
            identity: reply.one("identity").and_then(|line| identity(&line)),
            runner: reply
                .number("runner")
                .and_then(|pid| u32::try_from(pid).ok())
                .unwrap_or_default(),
            attempt,
            is_stopping: reply.one("stopping").is_some(),
            exit,
        })
    }
}

/// That of one that was never started: there is nothing to be found of it.
pub(super) fn never_started(instance_id: &str, at_ns: u64) -> ExitRecord {
    ExitRecord {
        layout: LAYOUT_VERSION,
        instance_id: instance_id.to_owned(),
        attempt: 0,
        pid: None,
        code: None,
        signal: None,
        exit_unknown: true,
        failure: None,
        ended_at_ns: at_ns,
        stop: None,
    }
}

/// The end of an attempt that a shim served.
fn foreign(reply: &Reply) -> Result<ExitRecord, Failure> {
    let record = reply.one("json");
    let record = record.and_then(|text| ExitRecord::from_json(text.as_bytes()).ok());
    record.ok_or_else(|| {
        let message = "its shim serves it, and the sh runner cannot: take the shim for that host until it has ended";
        Failure::new(FailureKind::System, message)
    })
}

fn identity(line: &str) -> Option<Identity> {
    let mut fields = line.split_whitespace();
    Some(Identity {
        boot_id: fields.next()?.to_owned(),
        pid: fields.next()?.parse().ok()?,
        start_ticks: fields.next()?.parse().ok()?,
        pidfd_inode: None,
    })
}

/// From the lines of the file `exit`: how, what, when, who; how it was ended; and names, or why nothing was started.
fn exit(reply: &Reply, instance_id: &str, attempt: u64) -> Option<ExitRecord> {
    let mut lines = reply.all("exit");
    let (first, second) = (lines.next()?, lines.next()?);
    let mut fields = first.split_whitespace();
    let (how, value) = (fields.next()?, fields.next()?);
    let mut exit = ExitRecord {
        attempt,
        ended_at_ns: fields.next()?.parse().ok()?,
        ..never_started(instance_id, 0)
    };
    exit.exit_unknown = how == "unknown";
    exit.ended_at_ns = exit.ended_at_ns.max(1);
    exit.pid = fields.next().and_then(|pid| pid.parse().ok());
    match how {
        "code" => (exit.code, exit.signal) = end_of(value.parse().ok()?),
        "failed" => {
            exit.failure = Some(StartFailure {
                kind: kind(&lines.next()?),
                message: lines.collect::<Vec<_>>().join(" "),
            });
            return Some(exit);
        }
        _ => {}
    }
    exit.stop = stop(&second, lines);
    Some(exit)
}

fn stop(line: &str, names: impl Iterator<Item = String>) -> Option<StopReport> {
    let mut fields = line.split_whitespace();
    let requested = match fields.next()? {
        "none" => return None,
        number => number.parse().ok().and_then(Signal::from_number),
    };
    let escalation = match fields.next()? {
        "killed" => Escalation::Killed,
        "tree-term" => Escalation::TreeTerm,
        _ => Escalation::None,
    };
    let count = fields.next()?.parse().ok()?;
    let mut leftovers = Leftovers::default();
    names.for_each(|name| leftovers.add(&name));
    leftovers.count = count;
    Some(StopReport {
        requested,
        escalation,
        leftovers,
        took_ms: fields.next().and_then(|took| took.parse().ok()),
    })
}

/// The code or the signal behind what a shell says of an end.
pub(super) fn end_of(code: i32) -> (Option<i32>, Option<Signal>) {
    let signal = code.checked_sub(OF_SIGNALS).and_then(Signal::from_number);
    match signal {
        Some(signal) => (None, Some(signal)),
        None => (Some(code), None),
    }
}

fn kind(word: &str) -> StartFailureKind {
    match word.trim() {
        "not-found" => StartFailureKind::NotFound,
        "permission" => StartFailureKind::Permission,
        "working-directory" => StartFailureKind::WorkingDirectory,
        "log" => StartFailureKind::Log,
        "order" => StartFailureKind::Order,
        _ => StartFailureKind::System,
    }
}

/// What shells add to the number of a signal.
const OF_SIGNALS: i32 = 128;
