//! What is asked of an agent, and what it answers: the JSON in the frames of [`super::frame`].
//!
//! Owns: the wire types of version 1. A reader ignores fields that it does not know; a request of an unknown kind is
//! refused, and the connection goes on.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::exit::ExitRecord;
use crate::policy::LogMode;
use crate::spec::RawString;

/// The version of this protocol.
pub const AGENT_VERSION: u32 = 1;

/// Who an agent is, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`AGENT_VERSION`] of the writer.
    pub v: u32,
    /// The version of its program.
    pub shim: String,
    /// The agent's process.
    pub pid: u32,
    /// Which boot of the host.
    pub boot_id: String,
    /// Whom it runs as.
    pub uid: u32,
    /// That user's home; `/` where there is none.
    pub home: PathBuf,
    /// The processor's architecture, as Rust names it.
    pub arch: String,
    /// The operating system.
    pub os: String,
    /// Its clock that never jumps and goes on while the host sleeps, in nanoseconds.
    pub boot_ns: u64,
    /// Its clock of the day, in nanoseconds since 1970.
    pub real_ns: u64,
    /// What runs its program again, with other arguments behind; nothing where an older one does not tell.
    #[serde(default)]
    pub program: Vec<RawString>,
    /// Below which directory our files lie; below the home where that is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<PathBuf>,
    /// What is weaker there than with a shim, each as words for people; nothing where a shim's agent answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weaker: Vec<String>,
}

impl Hello {
    /// Below which directory our files lie.
    pub fn base(&self) -> &std::path::Path {
        self.base.as_deref().unwrap_or(&self.home)
    }
}

/// What is asked for on a new stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// Make a run directory and start a shim in it. The stream then leads to the shim, which waits for its launch order;
    /// see [`crate::protocol`]. What the service writes is held for as long as the stream is there.
    Start {
        /// Where run directories are made; made itself when missing.
        run_root: PathBuf,
        /// The new directory's name.
        instance_id: String,
        /// How the output will be kept.
        log_mode: LogMode,
        /// By [`Hello::boot_ns`]'s clock: refused when it comes later than this, for its sender has given up then.
        before_ns: u64,
    },
    /// What became of the attempt of a run directory? The stream leads to its shim where it runs, and to a new one where the
    /// old one has died.
    Look {
        /// Which.
        run_dir: PathBuf,
    },
    /// The stream shall lead to the shim of a run directory, if one serves it.
    Connect {
        /// Which.
        run_dir: PathBuf,
    },
    /// Is the end of an attempt recorded?
    Ended {
        /// Its run directory.
        run_dir: PathBuf,
    },
    /// Is its service alive, whatever is recorded?
    Alive {
        /// Its run directory.
        run_dir: PathBuf,
    },
    /// Remove a run directory. One that is gone is no error.
    Remove {
        /// Which.
        run_dir: PathBuf,
    },
    /// Which run directories are there?
    List {
        /// Below which directory.
        run_root: PathBuf,
    },
    /// The records of a log, as [`super::record`] writes them.
    Log {
        /// The log directory.
        dir: PathBuf,
        /// Of this attempt and later ones.
        attempt: u64,
        /// From the first record at or after this time on, in nanoseconds since 1970.
        since_ns: Option<u64>,
        /// Whether to go on with what is written later.
        follow: bool,
    },
    /// The stream shall lead to a TCP address, as the host reaches it.
    Tcp {
        /// Which address.
        address: IpAddr,
        /// Which port.
        port: u16,
    },
    /// The stream shall lead to a unix socket of the host that listens.
    Unix {
        /// Which; absolute.
        path: PathBuf,
    },
    /// Run a command, as the leader of a session of its own. What is sent is its stdin; what comes is told by
    /// [`super::record`] too. It is killed, and its process group, when the stream is dropped or the agent ends.
    Exec {
        /// The program and its arguments; a name is looked for in the `PATH` of `env`.
        argv: Vec<RawString>,
        /// The whole environment.
        env: Vec<(RawString, RawString)>,
        /// Where it runs; the agent's directory where absent.
        cwd: Option<PathBuf>,
        /// When it is killed.
        timeout_ms: Option<u64>,
    },
    /// Which port is free?
    FreePort {
        /// For UDP, instead of TCP.
        udp: bool,
        /// None of these.
        taken: Vec<u16>,
    },
    /// What is this host?
    Facts,
    /// Take a file: its bytes are sent, then the end, which is answered by an end once the file has its name. It is refused
    /// before any byte when the disk has no room for it.
    Put {
        /// Its absolute path. What is there is replaced; directories are made, for the user alone.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Of its content, in hexadecimal.
        sha256: String,
        /// In bytes.
        size: u64,
    },
}

/// The answer to a request that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// The stream leads there now, or takes what was offered.
    Open,
    /// A shim was started to take over: the stream leads to it.
    Adopting,
    /// The attempt is over. Without a record, none is there; the answer to [`Request::Look`] has one always.
    Ended {
        /// How it ended.
        exit: Option<Box<ExitRecord>>,
        /// There is no run directory: it was never started, or was removed.
        #[serde(default)]
        missing: bool,
    },
    /// To [`Request::Alive`].
    Alive {
        /// Whether it is.
        alive: bool,
    },
    /// It is removed.
    Removed,
    /// To [`Request::List`].
    Listed {
        /// Their names.
        instance_ids: Vec<String>,
    },
    /// To [`Request::FreePort`].
    FreePort {
        /// Nothing listened on it, on any address, when it was looked for.
        port: u16,
    },
    /// To [`Request::Facts`].
    Facts(Box<Facts>),
}

/// Why a request was not carried out, or a stream has ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What a caller can do differently.
    pub kind: FailureKind,
    /// What was tried, and what the system said.
    pub message: String,
}

/// The class of a [`Failure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FailureKind {
    /// This agent does not know such a request, or cannot make sense of it.
    Request,
    /// It is not there.
    NotFound,
    /// It is there already.
    Exists,
    /// It is not allowed.
    Permission,
    /// Nobody listens there.
    Refused,
    /// It came too late.
    Late,
    /// The agent has as much to do as it can.
    Busy,
    /// The content is not the one that was announced.
    Content,
    /// The other side gave it up.
    Cancelled,
    /// Anything else that the system said.
    System,
    /// A later version's, which this one does not know.
    #[serde(other)]
    Unknown,
}

/// What a host is, as far as whoever runs services there needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// Its own name.
    pub hostname: String,
    /// The kernel's release.
    pub kernel: String,
    /// Its interfaces, with their addresses.
    pub interfaces: Vec<Interface>,
    /// Its routes of IPv4.
    pub routes: Vec<Route>,
    /// Whether control groups are of version 2.
    pub cgroup2: bool,
    /// Whether the kernel has WireGuard, loaded or built in.
    pub wireguard: bool,
    /// The programs of interest that are in the agent's `PATH`.
    pub programs: Vec<String>,
    /// The sockets of container engines: the one that `DOCKER_HOST` of the login names, else those that are there.
    pub engines: Vec<PathBuf>,
    /// How many processors there are.
    pub processors: u32,
    /// Its memory.
    pub memory_bytes: u64,
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// Its addresses, with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where to: a network and the length of its prefix; 0 for the default route.
    pub to: (IpAddr, u8),
    /// Through whom; none where the network is on the interface itself.
    pub gateway: Option<IpAddr>,
    /// By which interface.
    pub interface: String,
}

impl Failure {
    /// With what was tried.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Failure {
        let message = message.into();
        Failure { kind, message }
    }

    /// What the system said about something that was tried.
    pub fn system(what: &str, error: &std::io::Error) -> Failure {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::NotFound => FailureKind::NotFound,
            ErrorKind::AlreadyExists => FailureKind::Exists,
            ErrorKind::PermissionDenied => FailureKind::Permission,
            ErrorKind::ConnectionRefused => FailureKind::Refused,
            ErrorKind::InvalidInput => FailureKind::Request,
            _ => FailureKind::System,
        };
        Failure::new(kind, format!("{what}: {error}"))
    }
}
