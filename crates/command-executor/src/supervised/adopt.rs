//! Finds out what became of an attempt, and takes it over when it runs.
//!
//! Owns: the order of the questions: is its end recorded, does a shim serve it, else a new shim looks. Never calls
//! an attempt ended on a guess.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use service_shim::protocol::{self, LineBuffer, Notice, NotifyState, Request};
use service_shim::{ExitRecord, Identity, LAYOUT_VERSION, RunDir, StartFailureKind, Task};

use super::error::AdoptError;
use super::process::{NoticeReader, SupervisedProcess};
use super::program::{ShimChild, ShimProgram, Started};

/// What became of an attempt.
#[derive(Debug)]
pub enum Adopted {
    /// It runs, and is watched again.
    Alive(SupervisedProcess),
    /// It is over, or was never started. `exit_unknown` when nobody saw how.
    Ended(ExitRecord),
}

/// Takes over the attempt of a run directory, whoever launched it. Starts a shim when its own has died.
///
/// Returns at once when the attempt is over. When only leftovers of its tree run, they are ended first.
///
/// # Errors
/// [`AdoptError`]: what became of it is not known, and it must be counted as alive. Calling again is allowed.
///
/// # Cancellation
/// Safe: dropping the future leaves the attempt as it is, perhaps with a new shim.
pub async fn adopt(run_dir: &Path, shim: &ShimProgram) -> Result<Adopted, AdoptError> {
    let (path, program) = (run_dir.to_owned(), shim.clone());
    match blocking::unblock(move || find(&path, &program)).await? {
        Found::Ended(exit) => Ok(Adopted::Ended(exit)),
        Found::Alive(contact) => {
            let silent = |_| AdoptError::Silent {
                path: run_dir.to_owned(),
            };
            let notices = NoticeReader::resume(contact.stream, contact.lines).map_err(silent)?;
            let mut process = SupervisedProcess::new(
                run_dir.to_owned(),
                shim.clone(),
                contact.identity,
                notices,
                contact.child,
            );
            process.remember(contact.notify);
            Ok(Adopted::Alive(process))
        }
    }
}

/// The same, for threads that may block.
pub(super) enum Found {
    Alive(Contact),
    Ended(ExitRecord),
}

/// A subscribed connection to a shim.
pub(super) struct Contact {
    pub(super) identity: Identity,
    pub(super) notify: NotifyState,
    pub(super) stream: UnixStream,
    pub(super) lines: LineBuffer,
    pub(super) child: Option<ShimChild>,
}

/// Asks until there is an answer. Another shim may be coming up or going down at the same moment.
pub(super) fn find(path: &Path, shim: &ShimProgram) -> Result<Found, AdoptError> {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look(path, shim)? {
            return Ok(found);
        }
        if Instant::now() >= give_up {
            return Err(AdoptError::Silent {
                path: path.to_owned(),
            });
        }
        std::thread::sleep(PAUSE);
    }
}

/// One round of questions; none when it is worth asking again.
fn look(path: &Path, shim: &ShimProgram) -> Result<Option<Found>, AdoptError> {
    let unreadable = |source| AdoptError::RunDirectory {
        path: path.to_owned(),
        source,
    };
    let run = match RunDir::open(path) {
        Ok(run) => run,
        // The directory is made before anything else: nothing was ever started.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Found::Ended(never_started(path))));
        }
        Err(error) => return Err(unreadable(error)),
    };
    if let Some(exit) = run.exit().map_err(unreadable)? {
        return Ok(Some(Found::Ended(exit)));
    }
    match run.connect() {
        Ok(stream) => Ok(greet(stream, None).unwrap_or(None)),
        Err(error) if is_unserved(&error) => {
            let program = shim.path();
            let Started {
                stream,
                shim: child,
            } = shim
                .start(Task::Adopt, run)
                .map_err(|source| AdoptError::Shim { program, source })?;
            wait_for_adopter(stream, child)
        }
        Err(error) => Err(unreadable(error)),
    }
}

fn is_unserved(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn wait_for_adopter(
    stream: UnixStream,
    child: Option<ShimChild>,
) -> Result<Option<Found>, AdoptError> {
    let mut talk = Talk {
        stream,
        lines: LineBuffer::default(),
    };
    // No limit: it may have leftovers to end first, for as long as their grace lasts. It always answers or dies.
    let first = talk.next();
    match first {
        Ok(Some(Notice::Started { .. })) => Ok(greet(talk.stream, child).unwrap_or(None)),
        Ok(Some(Notice::Exited { exit })) => {
            reap(child);
            Ok(Some(Found::Ended(exit)))
        }
        Ok(Some(Notice::Failed { failure })) => {
            reap(child);
            match failure.kind {
                // Somebody else was quicker: ask that one.
                StartFailureKind::Locked => Ok(None),
                _ => Err(AdoptError::Refused {
                    message: failure.message,
                }),
            }
        }
        Ok(Some(_) | None) | Err(_) => Ok(None),
    }
}

fn reap(child: Option<ShimChild>) {
    if let Some(child) = child {
        child.reap();
    }
}

/// Subscribes and learns who the service is; none when the shim went away meanwhile.
fn greet(stream: UnixStream, child: Option<ShimChild>) -> io::Result<Option<Found>> {
    let mut talk = Talk {
        stream,
        lines: LineBuffer::default(),
    };
    talk.stream.set_read_timeout(Some(PATIENCE))?;
    talk.stream
        .write_all(&protocol::encode(Request::Subscribe))?;
    talk.stream.write_all(&protocol::encode(Request::Status))?;
    while let Some(notice) = talk.next()? {
        match notice {
            Notice::Status(status) => {
                let Some(identity) = status.identity else {
                    return Ok(None);
                };
                talk.stream.set_read_timeout(None)?;
                let Talk { stream, lines } = talk;
                let contact = Contact {
                    identity,
                    notify: status.notify,
                    stream,
                    lines,
                    child,
                };
                return Ok(Some(Found::Alive(contact)));
            }
            Notice::Exited { exit } => {
                reap(child);
                return Ok(Some(Found::Ended(exit)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// A connection that is read on a thread that may block.
struct Talk {
    stream: UnixStream,
    lines: LineBuffer,
}

impl Talk {
    fn next(&mut self) -> io::Result<Option<Notice>> {
        let mut buffer = [0u8; 4096];
        loop {
            while let Some(line) = self.lines.next_line() {
                // A notice of a later version is not for us.
                if let Ok(notice) = protocol::decode(&line) {
                    return Ok(Some(notice));
                }
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => self.lines.push(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn never_started(path: &Path) -> ExitRecord {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    ExitRecord {
        layout: LAYOUT_VERSION,
        instance_id: path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        attempt: 0,
        pid: None,
        code: None,
        signal: None,
        exit_unknown: true,
        failure: None,
        ended_at_ns: u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
        stop: None,
    }
}

/// Where an attempt is and how to reach it, for requests that may have to bring up a new shim.
#[derive(Debug, Clone)]
pub(super) struct Address {
    pub(super) run_dir: PathBuf,
    pub(super) shim: ShimProgram,
}

// A shim answers within microseconds; a machine that swaps may need longer.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);
