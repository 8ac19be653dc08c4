//! One child of ours: its pidfd, its end, and the only code that signals or reaps it.
//!
//! Invariants: the child is reaped in [`Process::observe`] or [`Process::signal`] and nowhere else. A group is signalled
//! only while its leader is not reaped, because until then the kernel gives the leader's number to nobody else.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_io::Async;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};

use crate::Exit;
use crate::local::stat;

/// A child process, shared by its handle and its event stream.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    pidfd: Async<OwnedFd>,
    leads_group: bool,
    /// Guards that nobody reaps between the check and the signal of another thread; never held across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    life: Life,
    /// Whether somebody may still want to signal what is left of the group.
    keeps_group_number: bool,
}

#[derive(Debug, Clone, Copy)]
enum Life {
    Running,
    /// Ended, and left unreaped so that the group it led keeps its number: others of the group still live.
    Remembered(Exit),
    Reaped(Exit),
}

impl Process {
    /// Takes hold of a child that was just started and that nobody else waits for.
    pub(crate) fn hold(pid: Pid, leads_group: bool) -> io::Result<Self> {
        let pidfd = Async::new(pidfd_open(pid, PidfdFlags::empty())?)?;
        let state = Mutex::new(State {
            life: Life::Running,
            keeps_group_number: true,
        });
        Ok(Self {
            pid,
            pidfd,
            leads_group,
            state,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Waits for the end; cancel-safe, and for any number of callers.
    pub(crate) async fn wait(&self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.observe()? {
                return Ok(exit);
            }
            self.pidfd.readable().await?;
        }
    }

    /// Sends a signal to the group (if it leads one and `to_group`) or to the process; nothing when there is none left.
    pub(crate) fn signal(&self, signal: Signal, to_group: bool) -> io::Result<()> {
        let mut state = self.lock();
        let sent = match state.life {
            Life::Reaped(_) => return Ok(()),
            Life::Running | Life::Remembered(_) if self.leads_group && to_group => {
                kill_process_group(self.pid, signal)
            }
            Life::Running => pidfd_send_signal(self.pidfd.as_fd(), signal),
            Life::Remembered(_) => return Ok(()),
        };
        // Nobody of the group survives a KILL, so there is nothing left to keep its number for.
        if signal == Signal::KILL && to_group && sent.is_ok() {
            self.forget_group(&mut state);
        }
        match sent {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Nobody will signal it any more: its number need not be kept.
    pub(crate) fn release(&self) {
        self.forget_group(&mut self.lock());
    }

    pub(crate) fn has_ended(&self) -> bool {
        !matches!(self.lock().life, Life::Running)
    }

    /// Looks whether it has ended, and reaps it if it has.
    pub(crate) fn observe(&self) -> io::Result<Option<Exit>> {
        let mut state = self.lock();
        if let Life::Remembered(exit) | Life::Reaped(exit) = state.life {
            return Ok(Some(exit));
        }
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let exit = match waitid(WaitId::PidFd(self.pidfd.as_fd()), look) {
            Ok(None) => return Ok(None),
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, Some(signal)) => Exit::Signal(signal),
                (None, None) => Exit::Unknown,
            },
            // The host process ignores SIGCHLD, or reaps what it did not start: it is gone all the same.
            Err(Errno::CHILD) => {
                state.life = Life::Reaped(Exit::Unknown);
                return Ok(Some(Exit::Unknown));
            }
            Err(Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if self.leads_group && state.keeps_group_number && group_has_others(self.pid) {
            state.life = Life::Remembered(exit);
        } else {
            self.reap(&mut state, exit);
        }
        Ok(Some(exit))
    }

    fn forget_group(&self, state: &mut State) {
        state.keeps_group_number = false;
        if let Life::Remembered(exit) = state.life {
            self.reap(state, exit);
        }
    }

    fn reap(&self, state: &mut State, exit: Exit) {
        // It is known to have ended, so this neither blocks nor tells anything new.
        if let Err(error) = waitid(
            WaitId::PidFd(self.pidfd.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        ) {
            tracing::debug!(%error, pid = self.id(), "somebody else reaped our child");
        }
        state.life = Life::Reaped(exit);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a living process other than its leader belongs to the group.
fn group_has_others(leader: Pid) -> bool {
    let leader = leader.as_raw_pid().unsigned_abs();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        // Without /proc the number is kept until the handle is dropped, which is always right.
        return true;
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != leader)
        .any(|pid| stat::lives_in_group(pid, leader))
}
