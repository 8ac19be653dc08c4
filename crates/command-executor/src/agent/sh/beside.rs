//! Commands on a host that its own shell serves, each in a session of its own.
//!
//! Owns: the script around a command, and how many there are at once: a server takes ten sessions over a connection.
//!
//! Invariant: a command ends with its stream and with the shell of the connection. A host learns of a cut cable when its sshd
//! does.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::ChildStderr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, future};
use service_shim::agent::protocol::{Answer, Failure, FailureKind};
use service_shim::agent::record::{CommandExit, Record};
use service_shim::log::Stream;

use super::bridge::Bridge;
use super::log::send;
use super::record::end_of;
use crate::agent::connect::{StartedAgent, start};
use crate::agent::stream::{AgentStream, StreamError};

/// What is run.
pub(super) struct Order {
    /// What a shell reads to become it.
    pub(super) script: OsString,
    pub(super) timeout_ms: Option<u64>,
}

/// How many sessions may be had.
#[derive(Debug)]
pub(super) struct Sessions {
    free: Receiver<()>,
    back: Sender<()>,
}

/// One of them.
pub(super) struct Permit(Sender<()>);

impl Sessions {
    pub(super) fn new() -> Sessions {
        let (back, free) = async_channel::bounded(MOST_SESSIONS);
        for _ in 0..MOST_SESSIONS {
            back.try_send(()).expect("there is room for all of them");
        }
        Sessions { free, back }
    }

    /// Waits for one.
    pub(super) async fn enter(&self) -> Permit {
        // We hold the other end.
        let _ = self.free.recv().await;
        Permit(self.back.clone())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

/// What became of a command.
enum End {
    Exited(CommandExit),
    /// Nobody said how.
    Lost,
    /// Nobody listens any more.
    Gone,
}

/// Runs it, and tells what it says and how it ends.
pub(super) async fn run(
    bridge: &Bridge,
    order: Order,
    stream: &AgentStream,
) -> Result<(), Failure> {
    let _permit = bridge.sessions.enter().await;
    let no_session = |error| Failure::system("cannot begin a session there", &error);
    let script = order.script.into_vec();
    let words = [
        OsString::from("exec"),
        script.len().to_string().into(),
        bridge.tie.clone(),
        bridge.words.0.join(" ").into(),
        SCRIPT.into(),
    ];
    let command = bridge.way.doing(&bridge.words, CLEAN, &words);
    let command = command.map_err(|error| Failure::new(FailureKind::Request, error.to_string()))?;
    let StartedAgent { pipes, stderr } = start(command).await.map_err(no_session)?;
    let stderr = Async::new(stderr).map_err(no_session)?;
    stream.say(&Answer::Open);
    let group = AtomicU32::new(0);
    let input = input(stream, pipes.writer, &script);
    let output = output(stream, pipes.reader, stderr, &group);
    let late = async {
        match order.timeout_ms {
            Some(timeout) => Timer::after(Duration::from_millis(timeout)).await,
            None => future::pending().await,
        };
        End::Exited(CommandExit::TimedOut)
    };
    let end = output.or(input).or(late).await;
    let group = group.into_inner();
    if group > 1
        && !matches!(
            end,
            End::Exited(CommandExit::Code(_) | CommandExit::Signal(_))
        )
    {
        // Where the shell is gone, what watches it there ends the command.
        drop(bridge.shell.ask("kill_group", [group.to_string()]).await);
    }
    drop(pipes.hold);
    match end {
        End::Exited(exit) => {
            // Fails when nobody wants to know any more.
            drop(send(stream, &Record::Exit(exit)).await);
            stream.end();
            Ok(())
        }
        End::Lost => {
            let message =
                "the session of the command has ended, and nobody said how the command has";
            Err(Failure::new(FailureKind::System, message))
        }
        End::Gone => Ok(()),
    }
}

/// First what it becomes, then what it is told. Ends only when nobody listens any more.
async fn input(
    stream: &AgentStream,
    mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    script: &[u8],
) -> End {
    // What it does not take, it has no use for: its end tells the rest.
    let mut is_taken = writer.write_all(script).await.is_ok();
    loop {
        match stream.read().await {
            Ok(Some(bytes)) => {
                if is_taken {
                    let written = writer.write_all(&bytes).await;
                    is_taken = written.is_ok() && writer.flush().await.is_ok();
                }
                stream.taken(bytes.len());
            }
            Ok(None) => break,
            Err(_) => return End::Gone,
        }
    }
    drop(writer.close().await);
    drop(writer);
    stream.gone().await;
    End::Gone
}

/// All that it says, until it has ended. Whoever still has its pipes then may go on for ever, and is waited for a moment.
async fn output(
    stream: &AgentStream,
    stdout: Box<dyn AsyncRead + Send + Unpin>,
    stderr: Async<ChildStderr>,
    group: &AtomicU32,
) -> End {
    let (ended, has_ended) = async_channel::bounded::<()>(1);
    let out = async {
        let said = tell_stdout(stream, stdout, group);
        let over = async {
            let _ = has_ended.recv().await;
            Timer::after(LINGER).await;
        };
        said.or(over).await;
    };
    let err = async {
        let code = tell_stderr(stream, stderr).await;
        drop(ended);
        code
    };
    match future::zip(out, err).await.1 {
        Some(code) => End::Exited(match end_of(code) {
            (_, Some(signal)) => CommandExit::Signal(signal.number()),
            (code, None) => CommandExit::Code(code.unwrap_or_default()),
        }),
        None => End::Lost,
    }
}

/// The first line is the number of its group.
async fn tell_stdout(
    stream: &AgentStream,
    mut stdout: Box<dyn AsyncRead + Send + Unpin>,
    group: &AtomicU32,
) {
    let mut head = Some(Vec::new());
    let mut piece = vec![0; PIECE];
    loop {
        let Ok(length @ 1..) = stdout.read(&mut piece).await else {
            return;
        };
        let mut bytes = piece[..length].to_vec();
        if let Some(begin) = &mut head {
            begin.extend_from_slice(&bytes);
            let Some(at) = begin.iter().position(|byte| *byte == b'\n') else {
                continue;
            };
            let number = String::from_utf8_lossy(&begin[..at]).trim().parse();
            group.store(number.unwrap_or_default(), Ordering::Relaxed);
            bytes = begin.split_off(at + 1);
            head = None;
        }
        if !bytes.is_empty() && say(stream, Stream::Stdout, bytes).await.is_err() {
            return;
        }
    }
}

/// The last line is how it has ended: whatever could be a part of it is held back. None where it never comes.
async fn tell_stderr(stream: &AgentStream, mut stderr: Async<ChildStderr>) -> Option<i32> {
    let mut held = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = stderr.read(&mut piece).await.unwrap_or(0);
        held.extend_from_slice(&piece[..read]);
        let at = held
            .windows(TRAILER.len())
            .rposition(|word| word == TRAILER);
        let code = at.and_then(|at| {
            let rest = held[at + TRAILER.len()..].strip_suffix(b"\n")?;
            std::str::from_utf8(rest).ok()?.trim().parse().ok()
        });
        let keep = match (at, code) {
            (Some(at), _) if held.len() - at <= MOST_TRAILER => at,
            _ if read == 0 => held.len(),
            _ => held.len().saturating_sub(MOST_TRAILER),
        };
        let said: Vec<u8> = held.drain(..keep).collect();
        if !said.is_empty() && say(stream, Stream::Stderr, said).await.is_err() {
            return None;
        }
        if code.is_some() || read == 0 {
            return code;
        }
    }
}

async fn say(stream: &AgentStream, side: Stream, bytes: Vec<u8>) -> Result<(), StreamError> {
    let record = Record::Output {
        stream: side,
        attempt: 0,
        at_ns: 0,
        bytes,
    };
    send(stream, &record).await
}

/// With nothing of the environment of a login. How long the order is, what to watch, the shell, and what that does.
const CLEAN: &str = r#"exec env -i "PATH=$PATH" LC_ALL=C $3 -c "$4" exec "$1" "$2""#;

/// How long the order is, and what to watch. The order comes first on stdin, the rest of which is the command's.
const SCRIPT: &str = r#"
read -r _ _ _ _ group _ </proc/$$/stat
printf '%s\n' "$group"
order=$(dd bs=1 count="$1" 2>/dev/null)
case $order in *': whole') ;; *) exit 255 ;; esac
# What a shell says of how something has ended is not the command's.
exec 3>&2 2>/dev/null
watcher=
if [ -p "$2" ]; then
	(read -r _ <"$2"; kill -KILL 0) </dev/null >/dev/null 2>&1 3>&- &
	watcher=$!
fi
(
	exec 2>&3 3>&-
	eval "$order"
	if [ -n "$order_dir" ]; then cd -- "$order_dir" || exit 126; fi
	unset LC_ALL PWD OLDPWD SHLVL
	order_exec "$order_program"
)
code=$?
[ -z "$watcher" ] || kill -KILL "$watcher"
printf '\0exit %s\n' "$code" >&3
"#;

const TRAILER: &[u8] = b"\0exit ";

/// With a code of three digits, and more than it needs.
const MOST_TRAILER: usize = 32;

/// Less than the ten that a server takes over a connection by itself: the shell has one, and somebody may log in.
const MOST_SESSIONS: usize = 7;

const PIECE: usize = 16 * 1024;

/// As long as an agent waits for whoever has the pipes of what has ended.
const LINGER: Duration = Duration::from_secs(1);
