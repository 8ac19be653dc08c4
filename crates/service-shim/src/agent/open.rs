//! What is done about a request before its stream goes on, each on a thread of its own.
//!
//! Owns: the translation of requests. Never keeps anything.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::carry::Carry;
use super::follow::Follow;
use super::protocol::{Answer, Failure, FailureKind, Request};
use super::receive::Receive;
use super::work::{Opened, Work};
use super::{OwnProgram, boot_ns, facts};
use crate::entry::Task;
use crate::policy::LogMode;
use crate::run_dir::{RunDir, remove_run_dir};
use crate::shore::{self, Sight};

/// Carries out a request, or begins to.
pub(super) fn open(request: Request, program: &OwnProgram) -> Result<Opened, Failure> {
    match request {
        Request::Start {
            run_root,
            instance_id,
            log_mode,
            before_ns,
        } => start(&run_root, &instance_id, log_mode, before_ns, program),
        Request::Look { run_dir } => look(&run_dir, program),
        Request::Connect { run_dir } => {
            let run = RunDir::open(&run_dir).map_err(cannot("open", &run_dir))?;
            let stream = run
                .connect()
                .map_err(cannot("reach the shim in", &run_dir))?;
            carried(Answer::Open, stream.into(), run.hold_output())
        }
        Request::Ended { run_dir } => match RunDir::open(&run_dir).and_then(|run| run.exit()) {
            Ok(exit) => Ok(ended(exit.map(Box::new), false)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(ended(None, true)),
            Err(error) => Err(cannot("read", &run_dir)(error)),
        },
        Request::Alive { run_dir } => Ok(answered(Answer::Alive {
            alive: shore::is_alive(&run_dir),
        })),
        Request::Remove { run_dir } => {
            remove_run_dir(&run_dir).map_err(cannot("remove", &run_dir))?;
            Ok(answered(Answer::Removed))
        }
        Request::List { run_root } => {
            let instance_ids = shore::list(&run_root).map_err(cannot("list", &run_root))?;
            Ok(answered(Answer::Listed { instance_ids }))
        }
        Request::Log {
            dir,
            attempt,
            since_ns,
            follow,
        } => Ok(working(Follow::open(&dir, attempt, since_ns, follow)?)),
        Request::Tcp { address, port } => tcp(address, port),
        Request::Unix { path } => unix(&path),
        Request::FreePort { udp, taken } => free_port(udp, &taken),
        Request::Facts => Ok(answered(Answer::Facts(Box::new(facts::gather())))),
        Request::Put {
            path,
            mode,
            sha256,
            size,
        } => Ok(working(Receive::begin(&path, mode, sha256, size)?)),
        // Its process belongs to the thread that makes it, and this one ends.
        Request::Exec { .. } => Err(Failure::new(
            FailureKind::System,
            "commands are started elsewhere",
        )),
    }
}

fn start(
    run_root: &Path,
    instance_id: &str,
    log_mode: LogMode,
    before_ns: u64,
    program: &OwnProgram,
) -> Result<Opened, Failure> {
    let made = shore::make_run_dir(run_root, instance_id, log_mode);
    let (run, output) = made.map_err(cannot("make a run directory in", run_root))?;
    // After the directory was made: whoever looks for it from now on finds it.
    let started = match boot_ns() <= before_ns {
        true => shore::start_shim(&program.path, program.flag, Task::Run, &run)
            .map_err(cannot("start the shim", &program.path)),
        false => Err(Failure::new(
            FailureKind::Late,
            "the order to start came too late",
        )),
    };
    match started {
        Ok((stream, child)) => {
            let opened = carried(Answer::Open, stream.into(), output)?;
            let child = Some(child);
            Ok(Opened { child, ..opened })
        }
        Err(failure) => {
            drop(remove_run_dir(run.path()));
            Err(failure)
        }
    }
}

fn look(run_dir: &Path, program: &OwnProgram) -> Result<Opened, Failure> {
    // First, for the service may end any moment.
    let run = RunDir::open(run_dir);
    let missing = matches!(&run, Err(error) if error.kind() == std::io::ErrorKind::NotFound);
    let output = run.map_or_else(|_| Vec::new(), |run| run.hold_output());
    match shore::look(run_dir).map_err(cannot("read", run_dir))? {
        Sight::Ended(exit) => Ok(ended(Some(Box::new(exit)), missing)),
        Sight::Served(stream) => carried(Answer::Open, stream.into(), output),
        Sight::Unserved(run) => {
            let started = shore::start_shim(&program.path, program.flag, Task::Adopt, &run);
            let (stream, child) = started.map_err(cannot("start the shim", &program.path))?;
            let opened = carried(Answer::Adopting, stream.into(), output)?;
            let child = Some(child);
            Ok(Opened { child, ..opened })
        }
    }
}

/// On all addresses, as services on hosts mostly listen. Those that are refused stay bound, so that each is offered once.
fn free_port(udp: bool, taken: &[u16]) -> Result<Opened, Failure> {
    let bound = || -> std::io::Result<(OwnedFd, u16)> {
        let anywhere = (Ipv4Addr::UNSPECIFIED, 0);
        if udp {
            let socket = UdpSocket::bind(anywhere)?;
            let port = socket.local_addr()?.port();
            return Ok((socket.into(), port));
        }
        let listener = TcpListener::bind(anywhere)?;
        let port = listener.local_addr()?.port();
        Ok((listener.into(), port))
    };
    let mut refused = Vec::new();
    loop {
        let (socket, port) =
            bound().map_err(|error| Failure::system("cannot find a free port", &error))?;
        if !taken.contains(&port) {
            return Ok(answered(Answer::FreePort { port }));
        }
        refused.push(socket);
    }
}

fn tcp(address: IpAddr, port: u16) -> Result<Opened, Failure> {
    let to = SocketAddr::new(address, port);
    let connected = TcpStream::connect_timeout(&to, CONNECT_TIMEOUT);
    let stream =
        connected.map_err(|error| Failure::system(&format!("cannot reach {to}"), &error))?;
    // Whoever speaks through it decides what belongs together.
    stream
        .set_nodelay(true)
        .map_err(|error| Failure::system("cannot set up a connection", &error))?;
    carried(Answer::Open, stream.into(), Vec::new())
}

fn unix(path: &Path) -> Result<Opened, Failure> {
    let stream = UnixStream::connect(path).map_err(cannot("reach the socket", path))?;
    carried(Answer::Open, stream.into(), Vec::new())
}

fn carried(answer: Answer, socket: OwnedFd, hold: Vec<OwnedFd>) -> Result<Opened, Failure> {
    let carry = Carry::new(socket, hold)
        .map_err(|error| Failure::system("cannot carry a connection", &error))?;
    Ok(Opened {
        answer: Some(answer),
        ..working(carry)
    })
}

fn working(work: impl Work + 'static) -> Opened {
    Opened {
        answer: Some(Answer::Open),
        work: Some(Box::new(work)),
        child: None,
    }
}

fn answered(answer: Answer) -> Opened {
    Opened {
        answer: Some(answer),
        ..Opened::default()
    }
}

fn ended(exit: Option<Box<crate::exit::ExitRecord>>, missing: bool) -> Opened {
    answered(Answer::Ended { exit, missing })
}

fn cannot<'a>(what: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> Failure + 'a {
    move |error| Failure::system(&format!("cannot {what} {}", path.display()), &error)
}

/// As long as anybody waits for a TCP handshake on a network of one's own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
