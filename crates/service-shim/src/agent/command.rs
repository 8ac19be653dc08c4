//! A command that runs for somebody on the other side, and ends with them.
//!
//! Owns: its process and its pipes. Its group is killed while it has not been waited for: until then the kernel gives its
//! number to nobody else. What it leaves behind when it ends by itself stays.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::protocol::{Failure, FailureKind};
use super::record::{CommandExit, HEAD, Record};
use super::work::{Inbox, Port, Step, Work};
use crate::log::Stream;
use crate::runner::candidates;
use crate::spec::RawString;
use crate::sys;

/// A command that runs.
pub(super) struct Command {
    pid: u32,
    pidfd: OwnedFd,
    stdin: Option<OwnedFd>,
    outputs: [Option<OwnedFd>; 2],
    /// Once it is set, the process was waited for.
    exit: Option<CommandExit>,
    is_timed_out: bool,
    /// When it is killed; once it has ended, when nobody waits for those any more who have its pipes.
    deadline: Option<Instant>,
}

impl Command {
    /// Starts it. To be called by the thread that lives as long as the agent: when it ends, the command does.
    pub(super) fn start(
        argv: &[RawString],
        env: &[(RawString, RawString)],
        cwd: Option<&Path>,
        timeout: Option<Duration>,
    ) -> Result<Command, Failure> {
        let Some(program) = argv.first() else {
            return Err(Failure::new(FailureKind::Request, "no program is named"));
        };
        let words = Words::of(program, argv, env, cwd)
            .map_err(|_| Failure::new(FailureKind::Request, "a NUL in a word of the command"))?;
        let system = |error: Errno| Failure::system("cannot start a command", &error.into());
        let (stdin, stdin_writer) = pipe_with(PipeFlags::CLOEXEC).map_err(system)?;
        let (stdout_reader, stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(system)?;
        let (stderr_reader, stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(system)?;
        for own in [&stdin_writer, &stdout_reader, &stderr_reader] {
            rustix::io::ioctl_fionbio(own, true).map_err(system)?;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let nothing = rustix::fs::open(c"/dev/null", flags, Mode::empty()).map_err(system)?;
        let exec = sys::Exec {
            candidates: &words.candidates,
            args: &words.args,
            env: &words.env,
            stdin: stdin.as_fd(),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
            lock: nothing.as_fd(),
            cwd: words.cwd.as_deref(),
            ids: None,
            umask: 0o022,
            no_new_privs: false,
            reset_oom_score: false,
            cgroup: None,
            death_signal: Some(Signal::KILL.as_raw()),
        };
        let (pid, pidfd) = sys::spawn(&exec).map_err(|(stage, error)| {
            let what = match stage {
                sys::Stage::WorkingDirectory => "cannot enter the working directory".to_owned(),
                sys::Stage::Fork | sys::Stage::Prepare | sys::Stage::User | sys::Stage::Program => {
                    format!("cannot run `{program}`")
                }
            };
            Failure::system(&what, &error.into())
        })?;
        Ok(Command {
            pid,
            pidfd,
            stdin: Some(stdin_writer),
            outputs: [Some(stdout_reader), Some(stderr_reader)],
            exit: None,
            is_timed_out: false,
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        })
    }

    /// Its process, once it runs its program.
    pub(super) fn pid(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }

    fn feed(&mut self, inbox: &mut Inbox, port: &mut Port<'_>) {
        while let Some(bytes) = inbox.front() {
            let Some(stdin) = &self.stdin else {
                inbox.discard(port);
                return;
            };
            match rustix::io::write(stdin, bytes) {
                Ok(written) => inbox.take(written, port),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.stdin = None,
            }
        }
        if inbox.is_over() {
            self.stdin = None;
        }
    }

    fn tell_output(&mut self, stream: Stream, port: &mut Port<'_>) {
        let mut buffer = [0; 16 * 1024];
        while let Some(pipe) = &self.outputs[stream.index()] {
            let room = port.room().saturating_sub(HEAD).min(buffer.len());
            if room == 0 {
                return;
            }
            match rustix::io::read(pipe, &mut buffer[..room]) {
                Ok(read @ 1..) => tell(port, &output(stream, &buffer[..read])),
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => self.outputs[stream.index()] = None,
            }
        }
    }

    /// Looks whether it has ended, and waits for it when it has.
    fn observe(&mut self) {
        if self.exit.is_some() {
            return;
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let exit = match waitid(WaitId::PidFd(self.pidfd.as_fd()), look) {
            Ok(None) | Err(Errno::INTR) => return,
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                _ if self.is_timed_out => CommandExit::TimedOut,
                (Some(code), _) => CommandExit::Code(code),
                (None, signal) => CommandExit::Signal(signal.unwrap_or_default()),
            },
            Err(_) => CommandExit::Signal(0),
        };
        self.exit = Some(exit);
        self.deadline = Some(Instant::now() + LINGER);
    }

    fn kill(&self) {
        if let (None, Some(group)) = (self.exit, self.pid()) {
            // It is gone, or it is not allowed, because it has become somebody else: nothing is left to do.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Work for Command {
    fn waits_for<'a>(
        &'a self,
        has_input: bool,
        has_room: bool,
        fds: &mut Vec<(BorrowedFd<'a>, PollFlags)>,
    ) {
        if let Some(stdin) = self.stdin.as_ref().filter(|_| has_input) {
            fds.push((stdin.as_fd(), PollFlags::OUT));
        }
        for pipe in self.outputs.iter().flatten().filter(|_| has_room) {
            fds.push((pipe.as_fd(), PollFlags::IN));
        }
        if self.exit.is_none() {
            fds.push((self.pidfd.as_fd(), PollFlags::IN));
        }
    }

    fn step(&mut self, inbox: &mut Inbox, port: &mut Port<'_>) -> Result<Step, Failure> {
        self.feed(inbox, port);
        // First: what it wrote before its end is read after it.
        self.observe();
        for stream in Stream::ALL {
            self.tell_output(stream, port);
        }
        let is_late = self.deadline.is_some_and(|at| at <= Instant::now());
        match self.exit {
            None if is_late => {
                self.kill();
                self.is_timed_out = true;
                self.deadline = None;
            }
            None => {}
            Some(exit) => {
                if is_late {
                    self.outputs = [None, None];
                }
                let is_dry = self.outputs.iter().all(Option::is_none);
                if is_dry {
                    self.deadline = None;
                }
                if is_dry && port.room() >= HEAD {
                    tell(port, &Record::Exit(exit));
                    port.end();
                    return Ok(Step::Over);
                }
            }
        }
        Ok(Step::Goes)
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.kill();
            if let Ok(pidfd) = self.pidfd.try_clone() {
                let wait = move || waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
                // Without a thread it stays a zombie until we end.
                drop(std::thread::Builder::new().spawn(wait));
            }
        }
    }
}

/// Everything as the kernel wants it.
struct Words {
    candidates: Vec<CString>,
    args: Vec<CString>,
    env: Vec<CString>,
    cwd: Option<CString>,
}

impl Words {
    fn of(
        program: &RawString,
        argv: &[RawString],
        env: &[(RawString, RawString)],
        cwd: Option<&Path>,
    ) -> Result<Words, std::ffi::NulError> {
        let path = env.iter().find(|(name, _)| name.as_bytes() == b"PATH");
        let path = path.map(|(_, value)| OsStr::from_bytes(value.as_bytes()));
        let assignment = |(name, value): &(RawString, RawString)| {
            CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
        };
        Ok(Words {
            candidates: candidates(program, path)?,
            args: argv
                .iter()
                .map(|word| CString::new(word.as_bytes()))
                .collect::<Result<_, _>>()?,
            env: env.iter().map(assignment).collect::<Result<_, _>>()?,
            cwd: cwd
                .map(|cwd| CString::new(cwd.as_os_str().as_bytes()))
                .transpose()?,
        })
    }
}

fn output(stream: Stream, bytes: &[u8]) -> Record {
    Record::Output {
        stream,
        attempt: 0,
        at_ns: 0,
        bytes: bytes.to_vec(),
    }
}

fn tell(port: &mut Port<'_>, record: &Record) {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    port.send(&bytes);
}

/// Whoever still has its pipes when it has ended may go on for ever.
const LINGER: Duration = Duration::from_secs(1);
