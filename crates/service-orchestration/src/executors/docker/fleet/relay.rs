//! A socket of this machine that leads to the engine of a host, for what the engine's own command line does: fetching and building
//! images, terminals.
//!
//! Owns: the socket, and a thread that carries its connections, which ends with this value. Never looks at what it carries. Who may
//! connect is root there: only the owner of the directory may enter it.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use async_channel::{Receiver, Sender};
use async_executor::{LocalExecutor, Task};
use async_io::Async;
use futures_lite::{future, io as streams};

use crate::executors::docker::site::There;

/// See the module.
#[derive(Debug)]
pub(super) struct Relay {
    path: PathBuf,
    /// Its end tells the thread to end.
    _open: Sender<()>,
}

impl Relay {
    /// Listens there, instead of whoever did before.
    pub(super) fn at(path: &Path, there: There) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(directory)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = Async::new(UnixListener::bind(path)?)?;
        let (open, ended) = async_channel::bounded(1);
        let run = move || async_io::block_on(run(listener, there, ended));
        thread::Builder::new()
            .name("engine-relay".into())
            .spawn(run)?;
        Ok(Self {
            path: path.to_owned(),
            _open: open,
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Nobody listens behind it any more; the next who does replaces it.
        drop(fs::remove_file(&self.path));
    }
}

async fn run(listener: Async<UnixListener>, there: There, ended: Receiver<()>) {
    let carrying = LocalExecutor::new();
    let accepting = async {
        let mut tasks: Vec<Task<()>> = Vec::new();
        loop {
            match listener.accept().await {
                Ok((near, _)) => {
                    let there = there.clone();
                    tasks.retain(|task| !task.is_finished());
                    tasks.push(carrying.spawn(async move { carry(near, &there).await }));
                }
                Err(error) => {
                    tracing::warn!(%error, host = there.name(), "a connection to its engine is not carried");
                    // Descriptors may be free again after a moment.
                    async_io::Timer::after(PAUSE).await;
                }
            }
        }
    };
    let ended = async {
        // Nobody sends on it: it ends with its other end.
        let _ = ended.recv().await;
    };
    carrying.run(future::or(ended, accepting)).await;
}

async fn carry(near: Async<UnixStream>, there: &There) {
    let far = match there.connect().await.and_then(Async::new) {
        Ok(far) => far,
        Err(error) => {
            let host = there.name();
            tracing::warn!(
                host,
                error = crate::error_chain(&error),
                "its engine is not reached"
            );
            return;
        }
    };
    // Each direction ends by itself; a failure of one ends both.
    let out = one_way(&near, &far);
    let back = one_way(&far, &near);
    drop(future::try_zip(out, back).await);
}

async fn one_way(from: &Async<UnixStream>, to: &Async<UnixStream>) -> io::Result<()> {
    streams::copy(from, to).await?;
    // Fails when nobody is there any more, which the other direction finds, too.
    drop(to.get_ref().shutdown(Shutdown::Write));
    Ok(())
}

/// Before a connection is taken again after one could not be.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
