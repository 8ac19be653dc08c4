//! Turns a launch order into a running service.
//!
//! Owns: the order of the steps, which is what makes a crash between any two of them harmless: lock, `launch.json`,
//! the process (which inherits the lock), `identity.json`. Never decides whether to start.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use rustix::fs::{FlockOperation, OFlags};
use rustix::io::Errno;

use super::cgroup::Cgroup;
use super::notify::NotifySocket;
use super::order::Order;
use super::tree::Tree;
use super::{Host, Pipe, Runner, StdinPipe};
use crate::identity::ProcessRef;
use crate::log::{LogWriter, Stream};
use crate::policy::LogMode;
use crate::protocol::{StartFailure, StartFailureKind};
use crate::run_dir::{self, RunDir};
use crate::spec::{LAYOUT_VERSION, LaunchRecord, LaunchSpec};
use crate::sys;
use crate::users::{self, Account};

/// Starts the service and returns what watches over it from now on.
pub(crate) fn start(
    run: RunDir,
    spec: LaunchSpec,
    host: Host,
) -> Result<Runner, Box<(RunDir, StartFailure)>> {
    match try_start(&run, spec, host) {
        Ok(parts) => Ok(Runner::new(run, parts)),
        Err(failure) => Err(Box::new((run, failure))),
    }
}

/// What a runner is made of.
pub(super) struct Parts {
    pub(super) host: Host,
    pub(super) record: LaunchRecord,
    pub(super) lock: OwnedFd,
    pub(super) log: LogWriter,
    pub(super) pipes: Vec<Pipe>,
    pub(super) children: Option<OwnedFd>,
    pub(super) listener: UnixListener,
    pub(super) notify: Option<NotifySocket>,
    pub(super) stdin: Option<StdinPipe>,
    pub(super) tree: Tree,
    pub(super) main: ProcessRef,
}

fn try_start(run: &RunDir, spec: LaunchSpec, host: Host) -> Result<Parts, StartFailure> {
    let lock = take_lock(run, host)?;
    // Whoever waited for the order may have been given up, and its attempt declared over.
    if !matches!(run.exit(), Ok(None)) {
        return Err(StartFailure {
            kind: StartFailureKind::Locked,
            message: "its end is recorded already".to_owned(),
        });
    }
    let account = account(&spec)?;
    let mut log = LogWriter::open(&spec.log, spec.attempt).map_err(|error| {
        failure(
            StartFailureKind::Log,
            format!("cannot write logs in {}", spec.log.dir.display()),
            error,
        )
    })?;
    let system = |what: &'static str| {
        move |error: io::Error| failure(StartFailureKind::System, what.to_owned(), error)
    };
    log.begin();
    let outputs = Outputs::open(run, &spec, &log, account.as_ref())
        .map_err(system("cannot make the output pipes"))?;
    let stdin =
        make_stdin(run, &spec, account.as_ref()).map_err(system("cannot make the input pipe"))?;
    let listener = bind_control(run).map_err(system("cannot make the control socket"))?;
    let notify = match spec.notify {
        true => Some(
            NotifySocket::open(run, &spec.instance_id, account.is_some())
                .map_err(system("cannot make the notify socket"))?,
        ),
        false => None,
    };
    let children = match host {
        Host::Process => {
            Some(sys::watch_children().map_err(system("cannot watch for ended children"))?)
        }
        Host::Thread => None,
    };
    let mut record = LaunchRecord {
        layout: LAYOUT_VERSION,
        instance_id: spec.instance_id.clone(),
        attempt: spec.attempt,
        program: spec.program.clone(),
        log: spec.log.clone(),
        stop: spec.stop,
        notify: spec.notify,
        stdin: spec.stdin,
        uid: account.as_ref().map(|account| account.uid.as_raw()),
        cgroup: None,
    };
    if spec.cgroup {
        record.cgroup = Cgroup::place(&spec.instance_id);
    }
    run.write_json(run_dir::LAUNCH, &record)
        .map_err(system("cannot write launch.json"))?;
    let cgroup = record.cgroup.as_deref().and_then(Cgroup::create);

    let (notify, notify_address) = notify.unzip();
    let order = Order {
        spec: &spec,
        account: account.as_ref(),
        notify_address,
        host,
    };
    let (main, cgroup) =
        order.spawn(&outputs, stdin.as_ref().map(|(end, _)| end), &lock, cgroup)?;
    run.write_json(run_dir::IDENTITY, main.identity())
        .map_err(system("cannot write identity.json"))?;
    let tree = Tree::new(&spec.instance_id, host == Host::Process, cgroup);
    let stdin = stdin.map(|(_, pipe)| pipe);
    Ok(Parts {
        host,
        record,
        lock,
        log,
        pipes: outputs.pipes,
        children,
        listener,
        notify,
        stdin,
        tree,
        main,
    })
}

/// Takes the lock that keeps a second start out. The service inherits it.
pub(super) fn take_lock(run: &RunDir, host: Host) -> Result<OwnedFd, StartFailure> {
    let refused = |error: Errno| {
        let kind = if error == Errno::WOULDBLOCK {
            StartFailureKind::Locked
        } else {
            StartFailureKind::System
        };
        failure(
            kind,
            format!("cannot lock {}", run.path().display()),
            error.into(),
        )
    };
    let lock = run
        .open_file(run_dir::LOCK, OFlags::RDWR | OFlags::CREATE)
        .map_err(refused)?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(refused)?;
    serve_alone(&lock, host).map_err(refused)?;
    Ok(lock)
}

/// Keeps other shims from serving the same attempt: a record lock ends with this process, unlike the inherited one.
pub(super) fn serve_alone(lock: &OwnedFd, host: Host) -> Result<(), Errno> {
    match host {
        Host::Process => {
            match rustix::fs::fcntl_lock(lock, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::ACCESS | Errno::AGAIN) => Err(Errno::WOULDBLOCK),
                other => other,
            }
        }
        // It would cover the whole process, and end when any thread closes any descriptor of the file.
        Host::Thread => Ok(()),
    }
}

/// Opens the control socket; a predecessor's is replaced.
pub(super) fn bind_control(run: &RunDir) -> io::Result<UnixListener> {
    let path = run.short_path(run_dir::CONTROL);
    let listener = match UnixListener::bind(&path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            run.unlink(run_dir::CONTROL);
            UnixListener::bind(&path)?
        }
        other => other?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn account(spec: &LaunchSpec) -> Result<Option<Account>, StartFailure> {
    if spec.user.is_none() && spec.group.is_none() {
        return Ok(None);
    }
    let unknown = |error| {
        failure(
            StartFailureKind::User,
            "cannot switch user".to_owned(),
            error,
        )
    };
    let account = users::resolve(spec.user.as_deref(), spec.group.as_deref()).map_err(unknown)?;
    // Already that user: nothing to switch, and nothing that needs permission.
    let is_own =
        account.uid == rustix::process::geteuid() && account.gid == rustix::process::getegid();
    Ok((!is_own).then_some(account))
}

/// Where the service writes.
pub(super) struct Outputs {
    pipes: Vec<Pipe>,
    pub(super) files: Vec<OwnedFd>,
}

impl Outputs {
    fn open(
        run: &RunDir,
        spec: &LaunchSpec,
        log: &LogWriter,
        account: Option<&Account>,
    ) -> io::Result<Outputs> {
        let mut outputs = Outputs {
            pipes: Vec::new(),
            files: Vec::new(),
        };
        for stream in Stream::ALL {
            match spec.log.mode {
                LogMode::Capture => {
                    run.make_fifo(fifo_name(stream))?;
                    let (fifo, end) = open_output(run, stream)?;
                    if let Some(account) = account {
                        // So that the service may open /dev/stdout again.
                        rustix::fs::fchown(&fifo, Some(account.uid), Some(account.gid))?;
                    }
                    outputs.pipes.push(Pipe::new(stream, fifo));
                    outputs.files.push(end);
                }
                LogMode::File => outputs.files.push(log.direct_file(stream)?),
            }
        }
        Ok(outputs)
    }
}

/// Opens one FIFO twice: for draining without waiting, and for the service, which keeps both ends of it open.
fn open_output(run: &RunDir, stream: Stream) -> io::Result<(OwnedFd, OwnedFd)> {
    let drain = reopen_output(run, stream)?;
    // A second open, for blocking or not is a property of the open file and the service expects to block.
    let service = run.open_file(fifo_name(stream), OFlags::RDWR)?;
    Ok((drain, service))
}

/// Opens the end of a FIFO that is drained, as large as the system allows.
pub(super) fn reopen_output(run: &RunDir, stream: Stream) -> io::Result<OwnedFd> {
    let fifo = run.open_fifo(fifo_name(stream), OFlags::RDWR)?;
    // Refused once the user's pipes hold too many pages: the default size works too.
    let _ = rustix::pipe::fcntl_setpipe_size(&fifo, PIPE_BYTES);
    Ok(fifo)
}

fn fifo_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Stdout => run_dir::STDOUT,
        Stream::Stderr => run_dir::STDERR,
    }
}

/// The reading end for the service and the writing end for us.
fn make_stdin(
    run: &RunDir,
    spec: &LaunchSpec,
    account: Option<&Account>,
) -> io::Result<Option<(OwnedFd, StdinPipe)>> {
    if !spec.stdin {
        return Ok(None);
    }
    run.make_fifo(run_dir::STDIN)?;
    // In this order: a FIFO without a reader cannot be opened for writing without waiting.
    let reader = run.open_fifo(run_dir::STDIN, OFlags::RDONLY)?;
    let writer = run.open_fifo(run_dir::STDIN, OFlags::WRONLY)?;
    if let Some(account) = account {
        rustix::fs::fchown(&reader, Some(account.uid), Some(account.gid))?;
    }
    rustix::fs::fcntl_setfl(&reader, OFlags::empty())?;
    Ok(Some((reader, StdinPipe::new(writer))))
}

/// Puts what was tried and what the system said into one line.
pub(super) fn failure(kind: StartFailureKind, what: String, error: io::Error) -> StartFailure {
    StartFailure {
        kind,
        message: format!("{what}: {error}"),
    }
}

// 256 KiB: large enough to let a burst pass while the shim is busy. An unprivileged user has 64 MiB for all pipes
// (pipe-user-pages-soft); past that the system refuses and the default of 64 KiB stays.
const PIPE_BYTES: usize = 256 * 1024;
