//! Tells a reader that has caught up when it is worth looking again.
//!
//! Owns: one inotify descriptor on one log directory. Never reads the log.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify;

/// Becomes readable when something was written to a log directory.
///
/// Open it before the first read, or what is written between the two goes unseen. Async code wraps the descriptor
/// ([`AsFd`]), waits until it is readable, calls [`drain`](LogWatch::drain) and reads on.
#[derive(Debug)]
pub struct LogWatch {
    inotify: OwnedFd,
}

impl LogWatch {
    /// Watches the directory, which must exist.
    ///
    /// # Errors
    /// It cannot be watched: missing, or the user's limit of inotify instances is reached.
    pub fn open(dir: &Path) -> io::Result<LogWatch> {
        let inotify =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let what = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::CREATE
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, dir, what)?;
        Ok(LogWatch { inotify })
    }

    /// Forgets what has been reported so far; true if there was anything.
    pub fn drain(&self) -> bool {
        let mut any = false;
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        // Non-blocking: ends with EAGAIN once it is empty.
        while let Ok((read, _)) = rustix::io::read(&self.inotify, &mut buffer[..]) {
            any |= !read.is_empty();
        }
        any
    }

    /// Waits until something was written; false when the time is over first.
    ///
    /// # Errors
    /// The system refused to wait.
    pub fn wait(&self, at_most: std::time::Duration) -> io::Result<bool> {
        let limit = Timespec::try_from(at_most).map_err(io::Error::other)?;
        let mut fds = [PollFd::new(&self.inotify, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&limit)) {
            Ok(ready) => Ok(ready > 0 && self.drain()),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for LogWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
