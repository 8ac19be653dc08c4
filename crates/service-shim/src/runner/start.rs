//! Turns a launch order into a running service.
//!
//! Owns: the order of the steps, which is what makes a crash between any two of them harmless: lock, `launch.json`,
//! the process (which inherits the lock), `identity.json`. Never decides whether to start.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixListener;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::cgroup::Cgroup;
use super::notify::NotifySocket;
use super::tree::{MARKER, Tree};
use super::{Host, Pipe, Runner, StdinPipe};
use crate::identity::ProcessRef;
use crate::log::{LogWriter, Stream};
use crate::policy::LogMode;
use crate::protocol::{StartFailure, StartFailureKind};
use crate::run_dir::{self, RunDir};
use crate::spec::{LAYOUT_VERSION, LaunchRecord, LaunchSpec, RawString};
use crate::sys;
use crate::users::{self, Account};

/// Starts the service and returns what watches over it from now on.
pub(crate) fn start(run: RunDir, spec: LaunchSpec, host: Host) -> Result<Runner, Box<(RunDir, StartFailure)>> {
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
    let account = account(&spec)?;
    let mut log = LogWriter::open(&spec.log, spec.attempt)
        .map_err(|error| failure(StartFailureKind::Log, format!("cannot write logs in {}", spec.log.dir.display()), error))?;
    let system = |what: &'static str| move |error: io::Error| failure(StartFailureKind::System, what.to_owned(), error);
    log.begin();
    let outputs = Outputs::open(run, &spec, &log, account.as_ref()).map_err(system("cannot make the output pipes"))?;
    let stdin = make_stdin(run, &spec, account.as_ref()).map_err(system("cannot make the input pipe"))?;
    let listener = bind_control(run).map_err(system("cannot make the control socket"))?;
    let notify = match spec.notify {
        true => Some(
            NotifySocket::open(run, &spec.instance_id, account.is_some())
                .map_err(system("cannot make the notify socket"))?,
        ),
        false => None,
    };
    let children = match host {
        Host::Process => Some(sys::watch_children().map_err(system("cannot watch for ended children"))?),
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
    let cgroup = if spec.cgroup { Cgroup::create(&spec.instance_id) } else { None };
    record.cgroup = cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
    run.write_json(run_dir::LAUNCH, &record).map_err(system("cannot write launch.json"))?;

    let (notify, notify_address) = notify.unzip();
    let order = Order { spec: &spec, account: account.as_ref(), notify_address, host };
    let (main, cgroup) = order.spawn(&outputs, stdin.as_ref().map(|(end, _)| end), &lock, cgroup)?;
    run.write_json(run_dir::IDENTITY, main.identity()).map_err(system("cannot write identity.json"))?;
    let tree = Tree::new(&spec.instance_id, host == Host::Process, cgroup);
    let stdin = stdin.map(|(_, pipe)| pipe);
    Ok(Parts { host, record, lock, log, pipes: outputs.pipes, children, listener, notify, stdin, tree, main })
}

/// Takes the lock that keeps a second start out. The service inherits it.
pub(super) fn take_lock(run: &RunDir, host: Host) -> Result<OwnedFd, StartFailure> {
    let refused = |error: Errno| {
        let kind = if error == Errno::WOULDBLOCK { StartFailureKind::Locked } else { StartFailureKind::System };
        failure(kind, format!("cannot lock {}", run.path().display()), error.into())
    };
    let lock = run.open_file(run_dir::LOCK, OFlags::RDWR | OFlags::CREATE).map_err(refused)?;
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(refused)?;
    serve_alone(&lock, host).map_err(refused)?;
    Ok(lock)
}

/// Keeps other shims from serving the same attempt: a record lock ends with this process, unlike the inherited one.
pub(super) fn serve_alone(lock: &OwnedFd, host: Host) -> Result<(), Errno> {
    match host {
        Host::Process => match rustix::fs::fcntl_lock(lock, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::ACCESS | Errno::AGAIN) => Err(Errno::WOULDBLOCK),
            other => other,
        },
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
    let unknown = |error| failure(StartFailureKind::User, "cannot switch user".to_owned(), error);
    let account = users::resolve(spec.user.as_deref(), spec.group.as_deref()).map_err(unknown)?;
    // Already that user: nothing to switch, and nothing that needs permission.
    let is_own = account.uid == rustix::process::geteuid() && account.gid == rustix::process::getegid();
    Ok((!is_own).then_some(account))
}

/// Where the service writes.
struct Outputs {
    pipes: Vec<Pipe>,
    files: Vec<OwnedFd>,
}

impl Outputs {
    fn open(run: &RunDir, spec: &LaunchSpec, log: &LogWriter, account: Option<&Account>) -> io::Result<Outputs> {
        let mut outputs = Outputs { pipes: Vec::new(), files: Vec::new() };
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
fn make_stdin(run: &RunDir, spec: &LaunchSpec, account: Option<&Account>) -> io::Result<Option<(OwnedFd, StdinPipe)>> {
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

/// Everything about the process that is to be made.
struct Order<'a> {
    spec: &'a LaunchSpec,
    account: Option<&'a Account>,
    notify_address: Option<OsString>,
    host: Host,
}

impl Order<'_> {
    fn spawn(
        &self,
        outputs: &Outputs,
        stdin: Option<&OwnedFd>,
        lock: &OwnedFd,
        mut cgroup: Option<Cgroup>,
    ) -> Result<(ProcessRef, Option<Cgroup>), StartFailure> {
        let spec = self.spec;
        let nul = |_| {
            let message = format!("cannot run `{}`: a NUL in its name, arguments, environment or directory", spec.program);
            StartFailure { kind: StartFailureKind::Order, message }
        };
        let env = self.environment();
        let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let candidates = candidates(&spec.program, path).map_err(nul)?;
        let args = std::iter::once(&spec.program).chain(&spec.args);
        let args = args.map(|arg| CString::new(arg.as_bytes())).collect::<Result<Vec<_>, _>>().map_err(nul)?;
        let env = env.into_iter().map(assignment).collect::<Result<Vec<_>, _>>().map_err(nul)?;
        let cwd = spec.cwd.as_ref().map(|cwd| CString::new(cwd.as_os_str().as_bytes())).transpose().map_err(nul)?;
        let nothing;
        let stdin = match stdin {
            Some(stdin) => stdin,
            None => {
                nothing = rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                    .map_err(|error| failure(StartFailureKind::System, "cannot open /dev/null".to_owned(), error.into()))?;
                &nothing
            }
        };
        loop {
            let exec = sys::Exec {
                candidates: &candidates,
                args: &args,
                env: &env,
                stdin: stdin.as_fd(),
                stdout: outputs.files[0].as_fd(),
                stderr: outputs.files[1].as_fd(),
                lock: lock.as_fd(),
                cwd: cwd.as_deref(),
                ids: self.account.map(|account| sys::Ids { uid: account.uid, gid: account.gid, groups: &account.groups }),
                umask: spec.umask,
                no_new_privs: spec.no_new_privs,
                reset_oom_score: self.host == Host::Process && rustix::process::geteuid().is_root(),
                cgroup: cgroup.as_ref().map(AsFd::as_fd),
                death_signal: (self.host == Host::Thread).then(|| spec.stop.signal.number()),
            };
            match sys::spawn(&exec) {
                Ok((pid, pidfd)) => {
                    let main = ProcessRef::from_pidfd(pid, pidfd)
                        .and_then(|main| main.ok_or_else(|| io::Error::other("it is gone without having been waited for")))
                        .map_err(|error| failure(StartFailureKind::System, "cannot identify the service".to_owned(), error))?;
                    return Ok((main, cgroup));
                }
                Err((sys::Stage::Fork, _)) if cgroup.is_some() => {
                    // The group cannot be entered (a parent group hands out controllers): go on without.
                    if let Some(cgroup) = cgroup.take() {
                        cgroup.remove();
                    }
                }
                Err((stage, error)) => {
                    if let Some(cgroup) = cgroup.take() {
                        cgroup.remove();
                    }
                    return Err(self.explain(stage, error, path_text(&candidates)));
                }
            }
        }
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let own = |text: &RawString| OsString::from_vec(text.as_bytes().to_vec());
        let mut env: Vec<_> = self.spec.env.iter().map(|(name, value)| (own(name), own(value))).collect();
        env.retain(|(name, _)| name != MARKER && name != NOTIFY_SOCKET);
        env.push((MARKER.into(), self.spec.instance_id.clone().into()));
        if let Some(address) = &self.notify_address {
            env.push((NOTIFY_SOCKET.into(), address.clone()));
        }
        if let Some(entry) = self.account.and_then(|account| account.entry.as_ref()) {
            let of_user = [("USER", &entry.name), ("LOGNAME", &entry.name), ("HOME", &entry.home), ("SHELL", &entry.shell)];
            for (name, value) in of_user {
                if !env.iter().any(|(known, _)| known == name) {
                    env.push((name.into(), value.into()));
                }
            }
        }
        env
    }

    fn explain(&self, stage: sys::Stage, error: Errno, tried: String) -> StartFailure {
        let program = &self.spec.program;
        let (kind, what) = match (stage, error) {
            (sys::Stage::Program, Errno::NOENT | Errno::NOTDIR) => {
                (StartFailureKind::NotFound, format!("cannot run `{program}` (tried {tried})"))
            }
            (sys::Stage::Program, Errno::ACCESS | Errno::PERM | Errno::NOEXEC) => {
                (StartFailureKind::Permission, format!("may not run `{program}`"))
            }
            (sys::Stage::Program, _) => (StartFailureKind::System, format!("cannot run `{program}`")),
            (sys::Stage::User, _) => {
                let user = self.spec.user.as_deref().or(self.spec.group.as_deref()).unwrap_or_default();
                (StartFailureKind::Permission, format!("cannot become `{user}`"))
            }
            (sys::Stage::WorkingDirectory, _) => {
                let cwd = self.spec.cwd.as_deref().unwrap_or("".as_ref()).display();
                (StartFailureKind::WorkingDirectory, format!("cannot enter {cwd}"))
            }
            (sys::Stage::Fork | sys::Stage::Prepare, _) => {
                (StartFailureKind::System, format!("cannot make a process for `{program}`"))
            }
        };
        failure(kind, what, error.into())
    }
}

/// Where a program may be: itself when it is a path, else in each directory of `PATH`.
fn candidates(program: &RawString, path: Option<&OsStr>) -> Result<Vec<CString>, std::ffi::NulError> {
    let name = program.as_bytes();
    if name.contains(&b'/') {
        return Ok(vec![CString::new(name)?]);
    }
    let path = path.map_or(DEFAULT_PATH, OsStr::as_bytes);
    let joined = path.split(|byte| *byte == b':').map(|dir| {
        let dir = if dir.is_empty() { b"." } else { dir };
        CString::new([dir, b"/", name].concat())
    });
    joined.collect()
}

fn path_text(candidates: &[CString]) -> String {
    let shown: Vec<_> = candidates.iter().map(|path| path.to_string_lossy()).collect();
    shown.join(", ")
}

fn assignment((name, value): (OsString, OsString)) -> Result<CString, std::ffi::NulError> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
}

/// Puts what was tried and what the system said into one line.
pub(super) fn failure(kind: StartFailureKind, what: String, error: io::Error) -> StartFailure {
    StartFailure { kind, message: format!("{what}: {error}") }
}

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
// 256 KiB: large enough to let a burst pass while the shim is busy. An unprivileged user has 64 MiB for all pipes
// (pipe-user-pages-soft); past that the system refuses and the default of 64 KiB stays.
const PIPE_BYTES: usize = 256 * 1024;
