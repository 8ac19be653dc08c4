//! Makes the service's process: what it is called with, whom it becomes, and why it could not be made.
//!
//! Owns: the translation of an order into [`sys::Exec`], and of its failure into words.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::Host;
use super::cgroup::Cgroup;
use super::start::{Outputs, failure};
use super::tree::MARKER;
use crate::identity::ProcessRef;
use crate::protocol::{StartFailure, StartFailureKind};
use crate::spec::{LaunchSpec, RawString};
use crate::sys;
use crate::users::Account;

/// Everything about the process that is to be made.
pub(super) struct Order<'a> {
    pub(super) spec: &'a LaunchSpec,
    pub(super) account: Option<&'a Account>,
    pub(super) notify_address: Option<OsString>,
    pub(super) host: Host,
}

impl Order<'_> {
    pub(super) fn spawn(
        &self,
        outputs: &Outputs,
        stdin: Option<&OwnedFd>,
        lock: &OwnedFd,
        mut cgroup: Option<Cgroup>,
    ) -> Result<(ProcessRef, Option<Cgroup>), StartFailure> {
        let spec = self.spec;
        let nul = |_| {
            let message = format!(
                "cannot run `{}`: a NUL in its name, arguments, environment or directory",
                spec.program
            );
            StartFailure {
                kind: StartFailureKind::Order,
                message,
            }
        };
        let env = self.environment();
        let path = env
            .iter()
            .find(|(name, _)| name == "PATH")
            .map(|(_, value)| value.as_os_str());
        let candidates = candidates(&spec.program, path).map_err(nul)?;
        let args = std::iter::once(&spec.program).chain(&spec.args);
        let args = args
            .map(|arg| CString::new(arg.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(nul)?;
        let env = env
            .into_iter()
            .map(assignment)
            .collect::<Result<Vec<_>, _>>()
            .map_err(nul)?;
        let cwd = spec
            .cwd
            .as_ref()
            .map(|cwd| CString::new(cwd.as_os_str().as_bytes()))
            .transpose()
            .map_err(nul)?;
        let nothing;
        let stdin = match stdin {
            Some(stdin) => stdin,
            None => {
                nothing = rustix::fs::open(
                    c"/dev/null",
                    OFlags::RDONLY | OFlags::CLOEXEC,
                    Mode::empty(),
                )
                .map_err(|error| {
                    failure(
                        StartFailureKind::System,
                        "cannot open /dev/null".to_owned(),
                        error.into(),
                    )
                })?;
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
                ids: self.account.map(|account| sys::Ids {
                    uid: account.uid,
                    gid: account.gid,
                    groups: &account.groups,
                }),
                umask: spec.umask,
                no_new_privs: spec.no_new_privs,
                reset_oom_score: self.host == Host::Process && rustix::process::geteuid().is_root(),
                cgroup: cgroup.as_ref().map(AsFd::as_fd),
                death_signal: (self.host == Host::Thread).then(|| spec.stop.signal.number()),
            };
            match sys::spawn(&exec) {
                Ok((pid, pidfd)) => {
                    let main = ProcessRef::from_pidfd(pid, pidfd)
                        .and_then(|main| {
                            main.ok_or_else(|| {
                                io::Error::other("it is gone without having been waited for")
                            })
                        })
                        .map_err(|error| {
                            failure(
                                StartFailureKind::System,
                                "cannot identify the service".to_owned(),
                                error,
                            )
                        })?;
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
        let mut env: Vec<_> = self
            .spec
            .env
            .iter()
            .map(|(name, value)| (own(name), own(value)))
            .collect();
        env.retain(|(name, _)| name != MARKER && name != NOTIFY_SOCKET);
        env.push((MARKER.into(), self.spec.instance_id.clone().into()));
        if let Some(address) = &self.notify_address {
            env.push((NOTIFY_SOCKET.into(), address.clone()));
        }
        if let Some(entry) = self.account.and_then(|account| account.entry.as_ref()) {
            let of_user = [
                ("USER", &entry.name),
                ("LOGNAME", &entry.name),
                ("HOME", &entry.home),
                ("SHELL", &entry.shell),
            ];
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
            (sys::Stage::Program, Errno::NOENT | Errno::NOTDIR) => (
                StartFailureKind::NotFound,
                format!("cannot run `{program}` (tried {tried})"),
            ),
            (sys::Stage::Program, Errno::ACCESS | Errno::PERM | Errno::NOEXEC) => (
                StartFailureKind::Permission,
                format!("may not run `{program}`"),
            ),
            (sys::Stage::Program, _) => {
                (StartFailureKind::System, format!("cannot run `{program}`"))
            }
            (sys::Stage::User, _) => {
                let user = self
                    .spec
                    .user
                    .as_deref()
                    .or(self.spec.group.as_deref())
                    .unwrap_or_default();
                (
                    StartFailureKind::Permission,
                    format!("cannot become `{user}`"),
                )
            }
            (sys::Stage::WorkingDirectory, _) => {
                let cwd = self.spec.cwd.as_deref().unwrap_or("".as_ref()).display();
                (
                    StartFailureKind::WorkingDirectory,
                    format!("cannot enter {cwd}"),
                )
            }
            (sys::Stage::Fork | sys::Stage::Prepare, _) => (
                StartFailureKind::System,
                format!("cannot make a process for `{program}`"),
            ),
        };
        failure(kind, what, error.into())
    }
}

/// Where a program may be: itself when it is a path, else in each directory of `PATH`.
pub(crate) fn candidates(
    program: &RawString,
    path: Option<&OsStr>,
) -> Result<Vec<CString>, std::ffi::NulError> {
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
    let shown: Vec<_> = candidates
        .iter()
        .map(|path| path.to_string_lossy())
        .collect();
    shown.join(", ")
}

fn assignment((name, value): (OsString, OsString)) -> Result<CString, std::ffi::NulError> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat())
}

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
