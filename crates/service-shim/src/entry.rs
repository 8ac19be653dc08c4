//! The ways into the shim: a program of its own, a program that embeds it, a thread.
//!
//! Owns: what the process is turned into before it serves, and its exit codes: 0 served to the end, 64 called
//! wrongly, 69 nothing was started or adopted, 100 another one serves this attempt. The same program is the forwarder
//! of [`crate::forward`], which has exit codes of its own.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};

use crate::agent;
use crate::exit::ExitRecord;
use crate::forward;
use crate::log::now_ns;
use crate::protocol::{
    LaunchOrder, LineBuffer, Notice, PROTOCOL_VERSION, StartFailure, StartFailureKind,
};
use crate::run_dir::RunDir;
use crate::runner::{self, Adoption, Connection, Host};
use crate::spec::{LAYOUT_VERSION, LaunchSpec};
use crate::sys;

/// The first argument that turns a program which calls [`run_if_asked`] into a shim.
pub const EMBEDDED_FLAG: &str = "--harness-shim";

/// The argument that turns the shim's program into a forwarder; the address to listen on and the one to carry
/// connections to follow.
pub const FORWARD_VERB: &str = "forward";

/// The argument that turns the shim's program into an agent.
pub const AGENT_VERB: &str = "agent";

/// What a shim is to do with a run directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Start what the order on the connection says.
    Run,
    /// Take over from a shim that died.
    Adopt,
}

/// The main of the shim's program: `harness-shim run DIR`, `harness-shim adopt DIR`, `harness-shim forward LISTEN TO`,
/// `harness-shim agent` or `harness-shim --version`.
///
/// `run` and `adopt` serve an attempt; standard input is the first control connection. `forward` listens on one TCP
/// address of this machine, says `READY=1` to `NOTIFY_SOCKET` and carries every connection to the other address, until
/// a signal ends it; 64 called wrongly, 71 the system gives no means, 73 `LISTEN` cannot be had. `agent` serves whoever has
/// its stdin and stdout, as [`crate::agent`] says, until they end; 65 nobody sound has, 71 the system gives no means.
/// Never returns.
pub fn main() -> ! {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    std::process::exit(run(&args, None))
}

/// For programs that embed the shim: call it first thing in `main`, before any thread is started.
///
/// Returns at once unless the program was started as a shim or forwarder (its first argument is [`EMBEDDED_FLAG`], what
/// follows is as for [`main`]); then it serves and never returns.
pub fn run_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == EMBEDDED_FLAG) {
        let rest: Vec<OsString> = args.collect();
        std::process::exit(run(&rest, Some(EMBEDDED_FLAG)))
    }
    IS_EMBEDDED.store(true, Ordering::Relaxed);
}

/// Whether this program has called [`run_if_asked`], so that it can be started again as a shim.
pub fn is_embedded() -> bool {
    IS_EMBEDDED.load(Ordering::Relaxed)
}

/// Serves one attempt on a thread of this program, for hosts that have no shim program.
///
/// `stream` is the first control connection, as the shim's standard input would be. What is weaker than with a
/// process: when this program ends, the service receives its stop signal and its output is no longer moved; its
/// descendants are found by session and marker only; nothing but the caller keeps two threads of one program from
/// serving the same directory.
///
/// # Errors
/// The thread cannot be made.
pub fn serve_on_thread(
    task: Task,
    run: RunDir,
    stream: UnixStream,
) -> io::Result<std::thread::JoinHandle<()>> {
    let thread = std::thread::Builder::new()
        .name("harness-shim".to_owned())
        .stack_size(THREAD_STACK);
    thread.spawn(move || {
        // The exit code has no taker here; everything it says was said on the connection.
        let _ = serve(task, run, stream, Host::Thread);
    })
}

/// `flag` is what came before the arguments.
fn run(args: &[OsString], flag: Option<&'static str>) -> i32 {
    if let [verb, addresses @ ..] = args
        && verb == FORWARD_VERB
    {
        return forward::main(addresses, std::env::var_os("NOTIFY_SOCKET").as_deref());
    }
    let task = match args {
        [verb] if verb == AGENT_VERB => return agent::main(flag),
        [verb] if verb == VERSION_FLAG => {
            println!("harness-shim {}", env!("CARGO_PKG_VERSION"));
            return EXIT_SERVED;
        }
        [verb, _] if verb == "run" => Task::Run,
        [verb, _] if verb == "adopt" => Task::Adopt,
        _ => return EXIT_USAGE,
    };
    become_shim();
    let (Ok(stream), Ok(run)) = (first_connection(), RunDir::open(Path::new(&args[1]))) else {
        return EXIT_UNAVAILABLE;
    };
    serve(task, run, stream, Host::Process)
}

/// Cuts everything that ties this process to whoever started it.
fn become_shim() {
    sys::close_from(3);
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Fails only for the leader of a process group, which a program started by hand may be.
    let _ = rustix::process::setsid();
    // Whatever the service leaves behind becomes our child. A kernel without it leaves marker and session.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    sys::ignore_signals();
    if rustix::process::geteuid().is_root() {
        // When memory runs out, the service goes before the one who can tell how it ended.
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(c"/proc/self/oom_score_adj", flags, Mode::empty()) {
            let _ = rustix::io::write(&file, b"-999");
        }
    }
}

fn first_connection() -> io::Result<UnixStream> {
    let stream = sys::take_stdin()?;
    // Otherwise a second copy of the connection stays open for as long as we live.
    let nothing = rustix::fs::open(
        c"/dev/null",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(UnixStream::from(stream))
}

fn serve(task: Task, run: RunDir, stream: UnixStream, host: Host) -> i32 {
    match task {
        Task::Run => serve_new(run, stream, host),
        Task::Adopt => serve_adopted(run, stream, host),
    }
}

fn serve_new(run: RunDir, mut stream: UnixStream, host: Host) -> i32 {
    let (spec, input) = match read_order(&mut stream) {
        Ok(Some(order)) => order,
        // Whoever started us is gone before it has said what to run.
        Ok(None) => return EXIT_UNAVAILABLE,
        Err(failure) => {
            let mut connection = Connection::new(stream, LineBuffer::default(), true);
            connection.send(Notice::Failed { failure });
            connection.flush();
            return EXIT_UNAVAILABLE;
        }
    };
    let (instance_id, attempt) = (spec.instance_id.clone(), spec.attempt);
    let mut connection = Connection::new(stream, input, true);
    match runner::start(run, spec, host) {
        Ok(mut runner) => {
            runner.greet(connection);
            if host == Host::Process {
                sys::trim_heap();
            }
            runner.serve();
            EXIT_SERVED
        }
        Err(refused) => {
            let (run, failure) = *refused;
            let is_locked = failure.kind == StartFailureKind::Locked;
            if !is_locked {
                runner::write_exit(&run, &never_started(instance_id, attempt, failure.clone()));
            }
            connection.send(Notice::Failed { failure });
            connection.flush();
            if is_locked {
                EXIT_LOCKED
            } else {
                EXIT_UNAVAILABLE
            }
        }
    }
}

fn serve_adopted(run: RunDir, stream: UnixStream, host: Host) -> i32 {
    let mut connection = Connection::new(stream, LineBuffer::default(), true);
    match runner::adopt(run, host) {
        Ok(Adoption::Alive(mut runner)) => {
            runner.greet(connection);
            runner.serve();
            EXIT_SERVED
        }
        Ok(Adoption::Ended(exit)) => {
            connection.send(Notice::Exited { exit });
            connection.flush();
            EXIT_SERVED
        }
        Err(failure) => {
            let is_locked = failure.kind == StartFailureKind::Locked;
            connection.send(Notice::Failed { failure });
            connection.flush();
            if is_locked {
                EXIT_LOCKED
            } else {
                EXIT_UNAVAILABLE
            }
        }
    }
}

/// The launch order, and what was read behind it. None when the connection ended first.
fn read_order(stream: &mut UnixStream) -> Result<Option<(LaunchSpec, LineBuffer)>, StartFailure> {
    let mut input = LineBuffer::default();
    let mut buffer = [0u8; 8192];
    let line = loop {
        if let Some(line) = input.next_line() {
            break line;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(read) => input.push(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Ok(None),
        }
    };
    let refused = |message| StartFailure {
        kind: StartFailureKind::Order,
        message,
    };
    let order: LaunchOrder = serde_json::from_slice(&line)
        .map_err(|error| refused(format!("cannot read the launch order: {error}")))?;
    if order.v != PROTOCOL_VERSION {
        return Err(refused(format!(
            "the launch order is of version {}, this shim knows {PROTOCOL_VERSION}",
            order.v
        )));
    }
    Ok(Some((order.launch, input)))
}

fn never_started(instance_id: String, attempt: u64, failure: StartFailure) -> ExitRecord {
    ExitRecord {
        layout: LAYOUT_VERSION,
        instance_id,
        attempt,
        pid: None,
        code: None,
        signal: None,
        exit_unknown: false,
        failure: Some(failure),
        ended_at_ns: now_ns(),
        stop: None,
    }
}

static IS_EMBEDDED: AtomicBool = AtomicBool::new(false);

const VERSION_FLAG: &str = "--version";
const EXIT_SERVED: i32 = 0;
const EXIT_USAGE: i32 = 64;
const EXIT_UNAVAILABLE: i32 = 69;
const EXIT_LOCKED: i32 = 100;
// The loop keeps its buffers on the heap; the deepest call writes JSON.
const THREAD_STACK: usize = 256 * 1024;
