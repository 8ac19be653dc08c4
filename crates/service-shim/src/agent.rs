//! What serves a daemon on another host: it starts shims, leads to them, and tells what is there, over its own stdin and
//! stdout.
//!
//! Owns: nothing that outlives it. It keeps no state, stops no service and has no opinion: when its stdin ends, or nothing
//! was said for a minute, it ends, and what it has started goes on. Commands that it runs for somebody end with it.
//!
//! Start reading at [`protocol`] for what can be asked, at [`mux`] for the streams, at `server` for the loop.

mod carry;
mod command;
mod facts;
mod follow;
pub mod frame;
pub mod mux;
mod netlink;
mod open;
pub mod protocol;
mod receive;
pub mod record;
mod server;
mod work;

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::Mode;
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};

use crate::log::now_ns;
use crate::procfs;
use crate::spec::RawString;
use protocol::{AGENT_VERSION, Hello};
use server::Server;

/// The shim's program, as the agent starts it.
#[derive(Debug, Clone)]
pub(crate) struct OwnProgram {
    pub(crate) path: PathBuf,
    pub(crate) flag: Option<&'static str>,
}

/// The hash of a file's content as [`protocol::Request::Put`] wants it.
pub fn sha256(content: &[u8]) -> String {
    receive::hexadecimal(&Sha256::digest(content))
}

/// What this machine is, as an agent on it would tell.
pub fn facts() -> protocol::Facts {
    facts::gather()
}

/// Serves until stdin ends; returns an exit code: 0 it has, 65 what came was no request, 71 the system gives no means.
pub(crate) fn main(flag: Option<&'static str>) -> i32 {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let Ok(path) = std::env::current_exe() else {
        return EXIT_SYSTEM;
    };
    let program = OwnProgram { path, flag };
    let hello = hello(&program);
    let served = Server::new(program, &hello).and_then(Server::serve);
    match served {
        Ok(()) => EXIT_SERVED,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            eprintln!("{error}");
            EXIT_DATA
        }
        Err(error) => {
            eprintln!("cannot serve: {error}");
            EXIT_SYSTEM
        }
    }
}

fn hello(program: &OwnProgram) -> Hello {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = RawString::from_bytes(program.path.as_os_str().as_bytes().to_vec());
    let flag = program.flag.map(RawString::from);
    Hello {
        v: AGENT_VERSION,
        shim: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        boot_id: procfs::boot_id().unwrap_or_default(),
        uid: rustix::process::geteuid().as_raw(),
        home: home
            .filter(|home| home.is_absolute())
            .unwrap_or_else(|| "/".into()),
        arch: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
        boot_ns: boot_ns(),
        real_ns: now_ns(),
        program: std::iter::once(path).chain(flag).collect(),
        base: None,
        weaker: Vec::new(),
    }
}

/// Nanoseconds by the clock that never jumps and goes on while the machine sleeps.
fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let rest = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

const EXIT_SERVED: i32 = 0;
const EXIT_DATA: i32 = 65;
const EXIT_SYSTEM: i32 = 71;
