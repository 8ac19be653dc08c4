//! Takes over an attempt whose shim has died.
//!
//! Owns: finding out what became of the service. Never starts it, and never calls it gone while its lock or its
//! identity says otherwise.

use std::io;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::cgroup::Cgroup;
use super::end::{self, MainEnd};
use super::notify::NotifySocket;
use super::start::{Parts, bind_control, failure, reopen_output, serve_alone};
use super::tree::{self, Tree};
use super::{Host, Pipe, Runner, StdinPipe};
use crate::exit::ExitRecord;
use crate::identity::{Identity, ProcessRef};
use crate::log::{LogWriter, Stream};
use crate::policy::{LogMode, LogPolicy, StopPolicy};
use crate::protocol::{NotifyState, StartFailure, StartFailureKind};
use crate::run_dir::{self, RunDir};
use crate::spec::{LAYOUT_VERSION, LaunchRecord, RawString};

/// What an attempt was found to be.
pub(crate) enum Adoption {
    /// Its service, or at least some of its processes, run: serve it.
    Alive(Box<Runner>),
    /// It is over, and recorded.
    Ended(ExitRecord),
}

/// Takes the attempt over.
///
/// # Errors
/// Another shim serves it, or the system refuses.
pub(crate) fn adopt(run: RunDir, host: Host) -> Result<Adoption, StartFailure> {
    let system = |error| {
        failure(
            StartFailureKind::System,
            format!("cannot adopt {}", run.path().display()),
            error,
        )
    };
    if let Some(exit) = run.exit().map_err(system)? {
        return Ok(Adoption::Ended(exit));
    }
    let lock = run
        .open_file(run_dir::LOCK, OFlags::RDWR | OFlags::CREATE)
        .map_err(|error| system(error.into()))?;
    serve_alone(&lock, host).map_err(|error| match error {
        Errno::WOULDBLOCK => StartFailure {
            kind: StartFailureKind::Locked,
            message: "another shim serves it".to_owned(),
        },
        other => system(other.into()),
    })?;
    // Somebody may have finished it between our first look and the lock.
    if let Some(exit) = run.exit().map_err(system)? {
        return Ok(Adoption::Ended(exit));
    }
    let launch = match run.launch() {
        Ok(launch) => launch,
        Err(error) => match end::unnamed(&run) {
            Some(exit) => return Ok(Adoption::Ended(exit)),
            None => return Err(system(error)),
        },
    };
    let Some(record) = launch else {
        // The record comes before the process: nothing was ever started.
        let exit = end::record(&never_launched(&run), None, MainEnd::Unknown);
        end::write(&run, &exit);
        return Ok(Adoption::Ended(exit));
    };
    let found = find_main(&run, &record, &lock).map_err(system)?;
    let Some((main, is_recorded)) = found else {
        return finish_without_main(&run, &record)
            .map(Adoption::Ended)
            .map_err(system);
    };
    if !is_recorded {
        run.write_json(run_dir::IDENTITY, main.identity())
            .map_err(system)?;
    }
    let mut runner = take_over(run, record, lock, main, host).map_err(|error| {
        failure(
            StartFailureKind::System,
            "cannot adopt the service".to_owned(),
            error,
        )
    })?;
    if !runner.main.is_alive() {
        let end = MainEnd::of_stranger(&runner.main, host);
        runner.main_ended(end);
    }
    Ok(Adoption::Alive(Box::new(runner)))
}

/// The main process as recorded or, when the shim died before it could record it, as the marker shows it.
fn find_main(
    run: &RunDir,
    record: &LaunchRecord,
    lock: &std::os::fd::OwnedFd,
) -> io::Result<Option<(ProcessRef, bool)>> {
    if let Some(identity) = run.identity()? {
        return Ok(ProcessRef::open(&identity)?.map(|main| (main, true)));
    }
    let give_up = Instant::now() + EXEC_TIME;
    loop {
        if let Some(main) = tree::find_unrecorded(&record.instance_id) {
            return Ok(Some((main, false)));
        }
        // Free: no process has inherited it. Held: one is between fork and exec, and shows its marker soon.
        let is_free = rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if is_free || Instant::now() >= give_up {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn take_over(
    run: RunDir,
    record: LaunchRecord,
    lock: std::os::fd::OwnedFd,
    main: ProcessRef,
    host: Host,
) -> io::Result<Runner> {
    let log = LogWriter::open(&record.log, record.attempt)?;
    let pipes = match record.log.mode {
        LogMode::Capture => reopen_outputs(&run)?,
        LogMode::File => Vec::new(),
    };
    let listener = bind_control(&run)?;
    let notify = if record.notify {
        Some(reopen_notify(&run, &record)?)
    } else {
        None
    };
    let stdin = if record.stdin {
        reopen_stdin(&run)
    } else {
        None
    };
    let cgroup = record.cgroup.as_deref().and_then(Cgroup::open);
    let tree = Tree::new(&record.instance_id, false, cgroup);
    let parts = Parts {
        host,
        record,
        lock,
        log,
        pipes,
        children: None,
        listener,
        notify,
        stdin,
        tree,
        main,
    };
    Ok(Runner::new(run, parts))
}

fn reopen_outputs(run: &RunDir) -> io::Result<Vec<Pipe>> {
    Stream::ALL
        .into_iter()
        .map(|stream| Ok(Pipe::new(stream, reopen_output(run, stream)?)))
        .collect()
}

fn reopen_notify(run: &RunDir, record: &LaunchRecord) -> io::Result<NotifySocket> {
    let (mut notify, _) = NotifySocket::open(run, &record.instance_id, record.uid.is_some())?;
    notify.state = run
        .read_json::<NotifyState>(run_dir::NOTIFY_STATE)?
        .unwrap_or_default();
    Ok(notify)
}

/// The service's input again, if it still reads it.
fn reopen_stdin(run: &RunDir) -> Option<StdinPipe> {
    run.open_fifo(run_dir::STDIN, OFlags::WRONLY)
        .ok()
        .map(StdinPipe::new)
}

/// The main process is gone without a trace: end what is left of its tree, keep what is left in its pipes.
fn finish_without_main(run: &RunDir, record: &LaunchRecord) -> io::Result<ExitRecord> {
    let identity: Option<Identity> = run.identity()?;
    let cgroup = record.cgroup.as_deref().and_then(Cgroup::open);
    let tree = Tree::new(&record.instance_id, false, cgroup);
    let stop = end_leftovers(&tree, identity.as_ref(), &record.stop);
    // A boot ago the pipes were emptied by the power cut, and their files are as good as any others.
    let mut log = LogWriter::open(&record.log, record.attempt)?;
    if record.log.mode == LogMode::Capture {
        for pipe in reopen_outputs(run).unwrap_or_default() {
            log.drain_last(pipe.stream, std::os::fd::AsFd::as_fd(&pipe.fifo));
        }
    }
    log.end();
    let mut exit = end::record(
        record,
        identity.map(|identity| identity.pid),
        MainEnd::Unknown,
    );
    exit.stop = stop;
    if let Some(cgroup) = &tree.cgroup {
        cgroup.remove();
    }
    end::write(run, &exit);
    Ok(exit)
}

/// Ends what the main process left behind, as the ladder does while somebody serves.
fn end_leftovers(
    tree: &Tree,
    main: Option<&Identity>,
    stop: &StopPolicy,
) -> Option<crate::StopReport> {
    use super::ladder::{Effect, Input, Ladder};
    use crate::signal::Signal;

    let mut ladder = Ladder::new(stop);
    let mut members = tree.members(main);
    let mut effects = ladder.step(
        if members.is_empty() {
            &Input::AllGone
        } else {
            &Input::MainEnded
        },
        Instant::now(),
    );
    while !ladder.is_over() {
        for effect in effects {
            let signal = if effect == Effect::KillRest {
                Signal::KILL
            } else {
                Signal::TERM
            };
            for member in members.iter().filter(|_| effect != Effect::Announce) {
                if effect == Effect::AskRest {
                    ladder.note_leftover(&member.name);
                }
                // One that may not be signalled stays, and so do we: the attempt is not over while it runs.
                drop(member.process.signal(signal));
            }
        }
        wait_for_one(&members, ladder.deadline());
        members = tree.members(main);
        effects = ladder.step(
            if members.is_empty() {
                &Input::AllGone
            } else {
                &Input::Tick
            },
            Instant::now(),
        );
    }
    ladder.report()
}

fn wait_for_one(members: &[tree::Member], until: Option<Instant>) {
    use rustix::event::{PollFd, PollFlags};

    let mut fds: Vec<_> = members
        .iter()
        .map(|member| PollFd::new(&member.process, PollFlags::IN))
        .collect();
    let limit = until.map(|until| super::timespec(until.saturating_duration_since(Instant::now())));
    // Woken too early, we only look once more.
    let _ = rustix::event::poll(&mut fds, limit.as_ref());
}

/// What is known of an attempt whose shim never came as far as writing it down: the name of its directory.
fn never_launched(run: &RunDir) -> LaunchRecord {
    let name = run
        .path()
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    LaunchRecord {
        layout: LAYOUT_VERSION,
        instance_id: name.unwrap_or_default(),
        attempt: 0,
        program: RawString::from(""),
        log: LogPolicy::new(""),
        stop: StopPolicy::default(),
        notify: false,
        stdin: false,
        uid: None,
        cgroup: None,
    }
}

// From fork to exec takes well under a millisecond, more on a machine that swaps.
const EXEC_TIME: Duration = Duration::from_secs(2);
