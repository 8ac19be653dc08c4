//! Shared connections that nobody of this process has opened.
//!
//! Owns: finding them by their sockets, and ending them. Only what lies in a directory of the caller's own is looked at.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_io::Timer;
use futures_lite::FutureExt;

use crate::blocking::unblock;
use crate::{Command, Executor, Target};

/// Ends every shared connection whose socket lies in this directory or in one right in it, whoever has opened it, and every
/// command over it. One that hangs is left behind.
pub async fn close_below(directory: impl Into<PathBuf>) {
    let directory = directory.into();
    for socket in unblock(move || sockets(&directory)).await {
        let closed = async { drop(close(&socket).await) };
        let late = async {
            Timer::after(PATIENCE).await;
        };
        closed.or(late).await;
    }
}

async fn close(socket: &Path) -> Result<(), crate::ExecuteError> {
    let mut path = OsString::from("ControlPath=");
    path.push(socket.to_string_lossy().replace('%', "%%"));
    let mut command = Command::new("ssh");
    command.args(["-F", "none", "-o"]).arg(path);
    // It is named by its socket, but the client wants a name.
    command.args(["-O", "exit", "--", "host"]);
    Executor::local()
        .execute(&Target::Command, command)
        .await
        .map(drop)
}

fn sockets(directory: &Path) -> Vec<PathBuf> {
    let mut sockets = Vec::new();
    let mut directories = vec![directory.to_owned()];
    for depth in 0..=1 {
        for directory in std::mem::take(&mut directories) {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_socket() => sockets.push(entry.path()),
                    Ok(kind) if kind.is_dir() && depth == 0 => directories.push(entry.path()),
                    Ok(_) | Err(_) => {}
                }
            }
        }
    }
    sockets
}

/// The client asks its own other process, on this machine.
const PATIENCE: Duration = Duration::from_secs(5);
