//! Waits for something to change in a directory (Linux: inotify).
//!
//! Owns: the kernel's watch. Says only that something changed: the caller looks again, and sets its own deadline.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use async_io::Async;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// A watch on one directory. Changes from the moment it is made are seen.
#[derive(Debug)]
pub(crate) struct Watch {
    inotify: Async<OwnedFd>,
}

impl Watch {
    /// Watches files of a directory being made, replaced, removed, or closed after writing (which frees their locks).
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // Not `CLOSE_NOWRITE`: whoever looks at a file when woken would wake itself again.
        let changes = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::CLOSE_WRITE;
        inotify::add_watch(&inotify, directory, changes | WatchFlags::ONLYDIR)?;
        Ok(Self {
            inotify: Async::new_nonblocking(inotify)?,
        })
    }

    /// Waits until something has changed since the last call.
    ///
    /// # Cancellation
    /// Dropping the future loses no change.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        self.inotify.readable().await?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        loop {
            match reader.next() {
                Ok(_) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
