//! Replaces the daemon that runs by one of another program: the next version, mostly.
//!
//! Owns: that nobody else brings a daemon up between the two, and what is left when the second does not come. Services are
//! left to it as by `daemon stop --keep`. A daemon that somebody runs in the foreground is his to replace.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;

use super::connect::{Way, connect_now};
use super::connection::Connection;
use super::launch::{bring_up_alone, may_start_alone};
use super::{ClientError, ConnectError, DaemonProgram, HarnessClient, LaunchError, is_running};
use crate::dirs::Dirs;
use crate::files::Watch;
use crate::protocol::DaemonInfo;

/// One daemon in the place of another.
#[derive(Clone, Debug)]
pub struct Replaced {
    /// The one that ended, as it was; `None` when none ran.
    pub before: Option<DaemonInfo>,
    /// The one that answers now. What it says of its stacks is what it took over.
    pub after: DaemonInfo,
}

/// Why a daemon was not replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplaceError {
    /// The one that runs cannot be found or talked to, or none runs and none could be started. Nothing was ended.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The one that runs did not do what it was asked.
    #[error(transparent)]
    Call(#[from] ClientError),
    /// It runs in the foreground: in a terminal, or under a supervisor. Nothing was ended.
    #[error(
        "the daemon (process {pid}) runs in the foreground, where it cannot be replaced from here"
    )]
    Foreground {
        /// Its process.
        pid: u32,
    },
    /// It is a program of its own. Nothing was ended.
    #[error("the daemon (process {pid}) is `{program}`, not `{ours}`")]
    Foreign {
        /// Its process.
        pid: u32,
        /// What it is.
        program: String,
        /// What would take its place.
        ours: String,
    },
    /// It was told to end, and did not.
    #[error("the daemon (process {pid}) was told to end, and has not within {waited:?}")]
    Remained {
        /// Its process.
        pid: u32,
        /// How long it had.
        waited: Duration,
    },
    /// It ended, and the next one did not come up. What runs goes on.
    #[error(
        "the daemon of version {version} (process {pid}) has ended, and no other took its place; what runs goes on"
    )]
    Vacant {
        /// The version of the one that ended.
        version: String,
        /// Its process.
        pid: u32,
        /// Why the next one did not come up.
        #[source]
        source: Box<LaunchError>,
    },
}

impl ReplaceError {
    /// What a program that gives up over it exits with.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Launch(error) => error.exit_code(),
            Self::Call(error) => error.exit_code(),
            Self::Foreground { .. } | Self::Foreign { .. } => 1,
            Self::Remained { .. } => 124,
            Self::Vacant { source, .. } => source.exit_code(),
        }
    }
}

impl From<ConnectError> for ReplaceError {
    fn from(error: ConnectError) -> Self {
        Self::Launch(LaunchError::Connect(error))
    }
}

/// Ends the daemon of these directories and brings up this one where it listened; brings it up where none runs.
///
/// What runs goes on, and the next daemon takes it over before it answers. Until then other clients wait instead of
/// bringing one up of their own: their calls go to the next, except those that must not be given twice and were cut off.
/// `ours` is what the program calls itself: a daemon of another name is left alone.
///
/// # Errors
/// [`ReplaceError`]: all but [`ReplaceError::Remained`] and [`ReplaceError::Vacant`] leave a daemon as it was.
///
/// # Cancellation
/// Dropping the future may leave no daemon, or one that goes on starting; what runs goes on.
pub async fn replace_daemon(
    dirs: &Dirs,
    daemon: &DaemonProgram,
    ours: &str,
) -> Result<Replaced, ReplaceError> {
    let only_one = may_start_alone(dirs).await?;
    let Some(connection) = settled(dirs).await? else {
        let connection = bring_up_alone(dirs, daemon, &only_one).await?;
        let after = client(dirs, connection).daemon_status().await?;
        return Ok(Replaced {
            before: None,
            after,
        });
    };
    let old = client(dirs, connection);
    let before = old.daemon_status().await?;
    may_be_replaced(&before, ours)?;
    match old.shutdown(true).await {
        // One that is killed meanwhile has ended, too.
        Ok(()) | Err(ClientError::Lost { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if !until_gone(dirs, GOODBYE).await? {
        return Err(ReplaceError::Remained {
            pid: before.pid,
            waited: GOODBYE,
        });
    }
    let next = DaemonProgram {
        listen: Some(before.listen.clone()),
        allow_remote: is_open_to_others(&before.listen),
        ..daemon.clone()
    };
    let connection = bring_up_alone(dirs, &next, &only_one)
        .await
        .map_err(|source| ReplaceError::Vacant {
            version: before.version.clone(),
            pid: before.pid,
            source: Box::new(source),
        })?;
    let after = client(dirs, connection).daemon_status().await?;
    Ok(Replaced {
        before: Some(before),
        after,
    })
}

/// Waits until no daemon owns these directories: one answers before it lets go of them, and another may come only after
/// that. False when it is too late.
///
/// # Errors
/// [`ConnectError::Unreadable`] when the state directory cannot be read.
pub async fn until_gone(dirs: &Dirs, patience: Duration) -> Result<bool, ConnectError> {
    let deadline = Instant::now() + patience;
    while is_running(dirs)? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        // A lock cannot be waited for by two who must not both get it.
        Timer::after(BETWEEN_LOOKS).await;
    }
    Ok(true)
}

fn may_be_replaced(info: &DaemonInfo, ours: &str) -> Result<(), ReplaceError> {
    let pid = info.pid;
    if info.program != ours {
        return Err(ReplaceError::Foreign {
            pid,
            program: info.program.clone(),
            ours: ours.to_owned(),
        });
    }
    if !info.detached {
        return Err(ReplaceError::Foreground { pid });
    }
    Ok(())
}

/// Whether other machines can reach an address. Whoever started the last daemon has asked for it.
fn is_open_to_others(listen: &str) -> bool {
    let address = listen.parse::<SocketAddr>();
    address.is_ok_and(|address| !address.ip().to_canonical().is_loopback())
}

/// The daemon that runs, once it answers; `None` when none runs.
async fn settled(dirs: &Dirs) -> Result<Option<Connection>, ReplaceError> {
    let watch = Watch::new(dirs.state()).map_err(|source| LaunchError::File {
        action: "watch",
        path: dirs.state().to_owned(),
        source,
    })?;
    let deadline = Instant::now() + GOODBYE;
    loop {
        match connect_now(dirs).await {
            Ok(connection) => return Ok(Some(connection)),
            Err(error) if error.is_not_running() => return Ok(None),
            // It is starting or ending.
            Err(error) if error.is_passing() && Instant::now() < deadline => {}
            Err(error) => return Err(error.into()),
        }
        let changed = async {
            let _unseen = watch.changed().await;
        };
        let again = async {
            Timer::after(LOOK_AGAIN).await;
        };
        future::or(changed, again).await;
    }
}

/// Without a way to bring another up: who holds the lock does that.
fn client(dirs: &Dirs, connection: Connection) -> HarnessClient {
    HarnessClient::over(Way::Local(dirs.clone(), None), connection)
}

/// Longer than a daemon needs to close its sessions.
const GOODBYE: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// The end of a daemon that was killed changes no file.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
