//! Which program stands beside a service, and how it is started.
//!
//! Owns: the search for it, and the shims that are our children. The shim must not inherit anything from us but its
//! connection: no environment, no descriptor, no terminal.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Mutex;

use async_io::Async;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use service_shim::{EMBEDDED_FLAG, FORWARD_VERB, RunDir, Task, shore};

use crate::{blocking, driver, open_files};

/// How shims are started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimProgram(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A program that is a shim.
    Program(PathBuf),
    /// A program that becomes one when its first argument says so.
    Embedded(PathBuf),
    /// No program: a thread of this one.
    Thread,
}

/// A shim that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) stream: UnixStream,
    pub(super) shim: Option<ShimChild>,
}

impl ShimProgram {
    /// Looks for the program: `HARNESS_SHIM`, `harness-shim` beside the running program, then in `PATH`, then the
    /// running program itself when its main began with [`service_shim::run_if_asked`]. Without any of them shims run
    /// on threads of this program, with the weaker promises of [`service_shim::serve_on_thread`].
    pub fn find() -> ShimProgram {
        if let Some(path) = std::env::var_os("HARNESS_SHIM").filter(|path| !path.is_empty()) {
            return ShimProgram::at(path);
        }
        let own = std::env::current_exe().ok();
        let beside = own
            .as_ref()
            .and_then(|own| own.parent())
            .map(|dir| dir.join(NAME));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let in_path = std::env::split_paths(&path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(NAME));
        if let Some(found) = beside
            .into_iter()
            .chain(in_path)
            .find(|path| is_executable(path))
        {
            return ShimProgram::at(found);
        }
        match own {
            Some(own) if service_shim::is_embedded() => ShimProgram(Kind::Embedded(own)),
            _ => ShimProgram::thread(),
        }
    }

    /// A program whose main is [`service_shim::main`].
    pub fn at(path: impl Into<PathBuf>) -> ShimProgram {
        ShimProgram(Kind::Program(path.into()))
    }

    /// A program whose main begins with [`service_shim::run_if_asked`].
    pub fn embedded_in(path: impl Into<PathBuf>) -> ShimProgram {
        ShimProgram(Kind::Embedded(path.into()))
    }

    /// A thread of this program, for each attempt.
    pub fn thread() -> ShimProgram {
        ShimProgram(Kind::Thread)
    }

    /// The program by itself, where it is one: it can be brought to other hosts.
    pub fn program(&self) -> Option<PathBuf> {
        match &self.0 {
            Kind::Program(path) => Some(path.clone()),
            Kind::Embedded(_) | Kind::Thread => None,
        }
    }

    /// The program and arguments of a forwarder, which listens on `listen` and carries every TCP connection to `to`; none
    /// for [`ShimProgram::thread`], which has no program to start.
    ///
    /// To be launched like any service, with `notify`: it says that it is ready once it listens. It ends when it is
    /// signalled, or with 64 for addresses that make no sense (`listen` must be one address of this machine and have a
    /// port), 71 when the system gives no means, 73 when `listen` cannot be had; the reason is its one line of stderr.
    pub fn forwarder(
        &self,
        listen: SocketAddr,
        to: SocketAddr,
    ) -> Option<(PathBuf, Vec<OsString>)> {
        let (path, flag) = match &self.0 {
            Kind::Program(path) => (path, None),
            Kind::Embedded(path) => (path, Some(EMBEDDED_FLAG)),
            Kind::Thread => return None,
        };
        // A bare name is looked up by whoever starts it; a path is meant from here, wherever the forwarder is to run.
        let is_name = path.components().count() == 1;
        let path = match std::path::absolute(path) {
            Ok(absolute) if !is_name => absolute,
            Ok(_) | Err(_) => path.clone(),
        };
        let args = flag.into_iter().map(OsString::from).chain([
            OsString::from(FORWARD_VERB),
            listen.to_string().into(),
            to.to_string().into(),
        ]);
        Some((path, args.collect()))
    }

    /// What stands for the shim in a message.
    pub(super) fn path(&self) -> PathBuf {
        match &self.0 {
            Kind::Program(path) | Kind::Embedded(path) => path.clone(),
            Kind::Thread => PathBuf::from("(thread)"),
        }
    }

    /// Starts a shim on a run directory and returns its first connection. Blocks for as long as a spawn takes.
    pub(super) fn start(&self, task: Task, run: RunDir) -> io::Result<Started> {
        sweep();
        let (path, flag) = match &self.0 {
            Kind::Program(path) => (path, None),
            Kind::Embedded(path) => (path, Some(EMBEDDED_FLAG)),
            Kind::Thread => {
                let (stream, end) = UnixStream::pair()?;
                service_shim::serve_on_thread(task, run, end)?;
                return Ok(Started { stream, shim: None });
            }
        };
        let (stream, child) = shore::start_shim(path, flag, task, &run)?;
        // Before it has its order: so its service has the same.
        open_files::restore_for(&child);
        Ok(Started {
            stream,
            shim: Some(ShimChild::new(child)),
        })
    }
}

/// The shim as our child process. Once nobody holds this any more it is waited for in the background, however long it goes
/// on: whoever started it may be stopped at any moment, and then nobody else knows of it.
#[derive(Debug)]
pub(crate) struct ShimChild(Option<Box<Child>>);

impl ShimChild {
    pub(crate) fn new(child: Child) -> ShimChild {
        ShimChild(Some(Box::new(child)))
    }
}

impl Drop for ShimChild {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take()
            && matches!(child.try_wait(), Ok(None))
        {
            driver::run(async move {
                if ended(&child).await.is_err() {
                    unwatched().push(*child);
                } else if matches!(child.try_wait(), Ok(None)) {
                    // It has ended, but a tracer has yet to see it: for as long as that takes it can only be waited for.
                    blocking::unblock_detached(move || drop(child.wait()));
                }
            });
        }
    }
}

/// Returns once the child has ended; it is then still to be reaped.
async fn ended(child: &Child) -> io::Result<()> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    Async::new(pidfd)?.readable().await
}

fn sweep() {
    unwatched().retain_mut(|child| matches!(child.try_wait(), Ok(None)));
}

fn unwatched() -> std::sync::MutexGuard<'static, Vec<Child>> {
    UNWATCHED
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn is_executable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}

/// Children for which there was no descriptor to wait with: they are waited for when the next one is started. A lock because
/// any thread may bring one; held for a few system calls.
static UNWATCHED: Mutex<Vec<Child>> = Mutex::new(Vec::new());

const NAME: &str = "harness-shim";

#[cfg(test)]
mod tests {
    use super::ShimProgram;

    fn words(shim: &ShimProgram) -> Option<Vec<String>> {
        let listen = "[fd00::1]:5432".parse().expect("an address");
        let to = "127.0.0.1:5432".parse().expect("an address");
        let (path, args) = shim.forwarder(listen, to)?;
        let words = [path.into_os_string()].into_iter().chain(args);
        Some(
            words
                .map(|word| word.into_string().expect("text"))
                .collect(),
        )
    }

    #[test]
    fn a_forwarder_is_the_shim_called_otherwise() {
        assert_eq!(
            words(&ShimProgram::at("/usr/bin/harness-shim")).expect("a program"),
            [
                "/usr/bin/harness-shim",
                "forward",
                "[fd00::1]:5432",
                "127.0.0.1:5432"
            ]
        );
        assert_eq!(
            words(&ShimProgram::embedded_in("/opt/daemon")).expect("a program"),
            [
                "/opt/daemon",
                "--harness-shim",
                "forward",
                "[fd00::1]:5432",
                "127.0.0.1:5432"
            ]
        );
        assert_eq!(words(&ShimProgram::thread()), None);
    }

    #[test]
    fn a_path_from_here_is_the_same_from_elsewhere() {
        let here = std::env::current_dir().expect("a directory");
        let first = |path| {
            words(&ShimProgram::at(path))
                .expect("a program")
                .swap_remove(0)
        };
        let expected = here.join("target/harness-shim");
        assert_eq!(
            first("./target/harness-shim"),
            expected.to_str().expect("text")
        );
        assert_eq!(first("harness-shim"), "harness-shim");
    }
}
