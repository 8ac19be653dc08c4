//! Brings a shim to a run directory, and looks what is there: what whoever launches services does on its own machine, and an
//! agent for somebody on another one.
//!
//! Owns: how a shim is started, and the order of the questions to a run directory. Never decides that something is started,
//! and waits for nobody: everything here blocks only for as long as a file or a spawn takes.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use crate::entry::Task;
use crate::exit::ExitRecord;
use crate::policy::LogMode;
use crate::run_dir::{RunDir, is_instance_id, remove_run_dir};
use crate::spec::LAYOUT_VERSION;

/// What a run directory says at first sight.
#[derive(Debug)]
pub enum Sight {
    /// The attempt is over, or was never started.
    Ended(ExitRecord),
    /// A shim serves it: the connection to it.
    Served(UnixStream),
    /// None does. Another one finds out more: [`Task::Adopt`].
    Unserved(RunDir),
}

/// One look at the run directory of an attempt.
///
/// # Errors
/// It cannot be read: nothing is known of the attempt.
pub fn look(path: &Path) -> io::Result<Sight> {
    let run = match RunDir::open(path) {
        Ok(run) => run,
        // The directory is made before anything else: nothing was ever started.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Sight::Ended(never_started(path)));
        }
        Err(error) => return Err(error),
    };
    if let Some(exit) = run.exit()? {
        return Ok(Sight::Ended(exit));
    }
    match run.connect() {
        Ok(stream) => Ok(Sight::Served(stream)),
        Err(error) if is_unserved(&error) => Ok(Sight::Unserved(run)),
        Err(error) => Err(error),
    }
}

/// Whether the service of a run directory is alive, whatever is known of it elsewhere.
pub fn is_alive(path: &Path) -> bool {
    let Ok(run) = RunDir::open(path) else {
        return false;
    };
    let has_ended = matches!(run.exit(), Ok(Some(_)));
    !has_ended && matches!(run.identity(), Ok(Some(identity)) if identity.is_alive())
}

/// The instance ids of the run directories below a root, ended ones too; none when there is no such root.
///
/// # Errors
/// The root cannot be read.
pub fn list(run_root: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(run_root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().into_string();
        names.extend(name.ok().filter(|name| is_instance_id(name)));
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes the run directory of a new attempt, and with it a hold on its output, taken before anybody could write to it.
///
/// # Errors
/// It exists already, or the system refuses; then there is none.
pub fn make_run_dir(
    run_root: &Path,
    instance_id: &str,
    mode: LogMode,
) -> io::Result<(RunDir, Vec<OwnedFd>)> {
    let run = RunDir::create(run_root, instance_id)?;
    let output = match mode {
        LogMode::Capture => run.make_output(),
        LogMode::File => Ok(Vec::new()),
    };
    match output {
        Ok(output) => Ok((run, output)),
        Err(error) => {
            drop(remove_run_dir(run.path()));
            Err(error)
        }
    }
}

/// Starts the program of a shim on a run directory; `flag` is what makes a shim of it, where it is more than that.
/// Answers with the first connection to it.
///
/// # Errors
/// It cannot be started.
pub fn start_shim(
    program: &Path,
    flag: Option<&str>,
    task: Task,
    run: &RunDir,
) -> io::Result<(UnixStream, Child)> {
    let (stream, end) = UnixStream::pair()?;
    let verb = match task {
        Task::Run => "run",
        Task::Adopt => "adopt",
    };
    let mut command = Command::new(program);
    // Only what stays on the posix_spawn path: a fork of a large program is slow.
    command
        .args(flag.map(OsStr::new))
        .arg(verb)
        .arg(std::path::absolute(run.path())?);
    command
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(end)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn()?;
    Ok((stream, child))
}

fn is_unserved(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn never_started(path: &Path) -> ExitRecord {
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let name = path.file_name();
    ExitRecord {
        layout: LAYOUT_VERSION,
        instance_id: name
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
