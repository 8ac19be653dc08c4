//! Who a process is, in a way that a reused PID cannot imitate.
//!
//! Owns: [`Identity`] (what is stored) and [`ProcessRef`] (an open pidfd that was checked against one).
//! Never sends a signal to a number: every signal goes through a pidfd whose identity was compared after it was
//! opened, so no foreign process is ever hit.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};

use crate::procfs;
use crate::signal::Signal;

/// Names one process for ever: across reuse of its PID and across reboots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Which boot of the machine.
    pub boot_id: String,
    /// The process.
    pub pid: u32,
    /// When it was started, in clock ticks since boot.
    pub start_ticks: u64,
    /// The inode of its pidfd, where the kernel has pidfs (6.9 and later): unique for the whole boot.
    pub pidfd_inode: Option<u64>,
}

impl Identity {
    /// Whether exactly this process still runs; one that has ended but was not reaped yet does not.
    pub fn is_alive(&self) -> bool {
        matches!(ProcessRef::open(self), Ok(Some(process)) if process.is_alive())
    }
}

/// A process that was found to be the one meant.
#[derive(Debug)]
pub struct ProcessRef {
    pidfd: OwnedFd,
    identity: Identity,
}

impl ProcessRef {
    /// Opens the process an identity names; none when it is gone and, perhaps, another has its PID.
    ///
    /// # Errors
    /// The system refused to open or to describe a process that exists.
    pub fn open(identity: &Identity) -> io::Result<Option<ProcessRef>> {
        if identity.boot_id != procfs::boot_id()? {
            return Ok(None);
        }
        let Some(pidfd) = open_pidfd(identity.pid)? else {
            return Ok(None);
        };
        if let (Some(expected), Some(found)) = (identity.pidfd_inode, pidfd_inode(&pidfd)?)
            && expected != found
        {
            return Ok(None);
        }
        // Read after the pidfd was opened: if the numbers agree, the pidfd cannot mean anybody else.
        match procfs::stat(identity.pid)? {
            Some(stat) if stat.start_ticks == identity.start_ticks => Ok(Some(ProcessRef {
                pidfd,
                identity: identity.clone(),
            })),
            _ => Ok(None),
        }
    }

    /// Opens whatever process has this PID now and records who it is; none when there is none.
    ///
    /// # Errors
    /// As [`ProcessRef::open`].
    pub fn capture(pid: u32) -> io::Result<Option<ProcessRef>> {
        let Some(pidfd) = open_pidfd(pid)? else {
            return Ok(None);
        };
        ProcessRef::from_pidfd(pid, pidfd)
    }

    /// Describes the process behind a pidfd that was opened for `pid`.
    pub(crate) fn from_pidfd(pid: u32, pidfd: OwnedFd) -> io::Result<Option<ProcessRef>> {
        let Some(stat) = procfs::stat(pid)? else {
            return Ok(None);
        };
        let pidfd_inode = pidfd_inode(&pidfd)?;
        let boot_id = procfs::boot_id()?;
        Ok(Some(ProcessRef {
            pidfd,
            identity: Identity {
                boot_id,
                pid,
                start_ticks: stat.start_ticks,
                pidfd_inode,
            },
        }))
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether it has not ended yet.
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        !matches!(rustix::event::poll(&mut fds, Some(&now)), Ok(n) if n > 0)
    }

    /// Sends it a signal; false when it has ended already.
    ///
    /// # Errors
    /// The system refused, for want of permission.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let number = signal.number();
        match crate::sys::pidfd_send_signal(self.pidfd.as_fd(), number) {
            Ok(()) => Ok(true),
            Err(error) if error == rustix::io::Errno::SRCH => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for ProcessRef {
    /// Readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

fn open_pidfd(pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Ok(None);
    };
    match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Some(pidfd)),
        // EINVAL: the number belongs to a thread that leads no process.
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The inode of a pidfd if it identifies the process; older kernels give every pidfd the same one.
fn pidfd_inode(pidfd: &OwnedFd) -> io::Result<Option<u64>> {
    if u64::try_from(rustix::fs::fstatfs(pidfd)?.f_type).ok() != Some(PIDFS_MAGIC) {
        return Ok(None);
    }
    Ok(Some(rustix::fs::fstat(pidfd)?.st_ino))
}

const PIDFS_MAGIC: u64 = 0x5049_4446;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_start_time_inode_or_boot_is_somebody_else() {
        let me = ProcessRef::capture(std::process::id())
            .expect("procfs")
            .expect("alive")
            .identity;
        assert!(me.is_alive());
        assert!(
            !Identity {
                start_ticks: me.start_ticks + 1,
                ..me.clone()
            }
            .is_alive()
        );
        assert!(
            !Identity {
                boot_id: "another".into(),
                ..me.clone()
            }
            .is_alive()
        );
        if let Some(inode) = me.pidfd_inode {
            assert!(
                !Identity {
                    pidfd_inode: Some(inode + 1),
                    ..me.clone()
                }
                .is_alive()
            );
        }
    }

    #[test]
    fn an_ended_process_is_not_alive_even_before_it_is_reaped() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep");
        let process = ProcessRef::capture(child.id())
            .expect("procfs")
            .expect("alive");
        assert!(process.is_alive());
        assert!(process.signal(Signal::KILL).expect("own child"));
        rustix::event::poll(&mut [PollFd::new(&process, PollFlags::IN)], None).expect("poll");
        assert!(!process.identity().is_alive());
        child.wait().expect("reap");
        assert!(!process.identity().is_alive());
        assert!(!process.signal(Signal::KILL).expect("gone is no error"));
    }
}
