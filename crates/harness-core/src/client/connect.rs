//! The way to a running daemon.
//!
//! Owns: what a failure to connect means: no daemon, one that does not answer, one that does not let us. The lock of the
//! state directory decides whether there is one; the endpoint file only says where.

use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::future;
use harness_wire::ConnectError as WireError;
use harness_wire::{Client, ClientTls, ConnectOptions, Hello, PkiError};
use service_orchestration::blocking;

use super::connection::Connection;
use super::launch::Starter;
use super::recover::Departure;
use super::remote::Remote;
use super::{ClientError, ConnectError};
use crate::dirs::Dirs;
use crate::files::{Endpoint, is_being_started, is_locked, start_lock};

/// Asks a daemon. Cheap to clone; clones share the connection.
#[derive(Clone, Debug)]
pub struct HarnessClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    way: Way,
    // A lock, because clones on several threads replace a connection that broke. It is held for a clone or a swap.
    current: Mutex<Connection>,
}

/// Which daemon, and how it is found.
#[derive(Clone, Debug)]
pub(super) enum Way {
    /// The one of these directories, and how the next one is brought up when it is killed.
    Local(Dirs, Option<Starter>),
    /// Another one, at which this client has enrolled.
    Remote(Remote),
}

/// Whether a daemon owns these directories. It may be starting or ending, and not answer.
///
/// # Errors
/// [`ConnectError::Unreadable`] when the state directory cannot be read.
pub fn is_running(dirs: &Dirs) -> Result<bool, ConnectError> {
    is_locked(dirs.state()).map_err(|error| ConnectError::Unreadable(Box::new(error)))
}

impl HarnessClient {
    /// Connects to the daemon of these directories.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancellation
    /// Dropping the future drops the connection.
    pub async fn connect(dirs: &Dirs) -> Result<Self, ConnectError> {
        Self::by(Way::Local(dirs.clone(), None)).await
    }

    /// Connects to a daemon at which this client has enrolled ([`Remote::enrol`]), and renews the certificate when due.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect_remote(remote: &Remote) -> Result<Self, ConnectError> {
        let client = Self::by(Way::Remote(remote.clone())).await?;
        remote.renew_if_due(&client).await;
        Ok(client)
    }

    async fn by(way: Way) -> Result<Self, ConnectError> {
        let connection = connect(&way).await?;
        Ok(Self::over(way, connection))
    }

    pub(super) fn over(way: Way, connection: Connection) -> Self {
        Self {
            shared: Arc::new(Shared {
                way,
                current: Mutex::new(connection),
            }),
        }
    }

    /// The name and version that the daemon gave when the connection opened.
    pub fn daemon(&self) -> (String, String) {
        let connection = self.current();
        let peer = &connection.client().agreed().peer;
        (peer.program.clone(), peer.version.clone())
    }

    /// The connection, made anew if it has ended: to the next daemon, if this client may bring one up.
    pub(super) async fn connection(&self) -> Result<Connection, ClientError> {
        let connection = self.current();
        if !connection.is_over() {
            return Ok(connection);
        }
        match connect(&self.shared.way).await {
            Ok(connection) => {
                self.replace(&connection);
                Ok(connection)
            }
            // Nothing was asked of the one that is gone, so that any call may go to the next.
            Err(error) if self.shared.way.starter_for(&error).is_some() => {
                self.reconnect(Departure::Killed).await
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn way(&self) -> &Way {
        &self.shared.way
    }

    fn current(&self) -> Connection {
        self.shared
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn replace(&self, connection: &Connection) {
        *self
            .shared
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = connection.clone();
    }
}

/// On the heap: the handshakes' 11 KiB would else lie in the future of every call, which may have to connect again.
pub(super) fn connect(
    way: &Way,
) -> Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send + '_>> {
    match way {
        Way::Local(dirs, _) => Box::pin(connect_here(dirs)),
        Way::Remote(remote) => Box::pin(connect_remotely(remote)),
    }
}

async fn connect_remotely(remote: &Remote) -> Result<Connection, ConnectError> {
    let (address, tls) = remote.tls().map_err(ConnectError::Certificates)?;
    match Client::connect(&address, &tls, &options()).await {
        Ok((client, driver)) => Ok(Connection::new(client, driver)),
        Err(error) => Err(classify(error, address, remote.directory().to_owned())),
    }
}

fn options() -> ConnectOptions {
    ConnectOptions::new(Hello::new("harness", env!("CARGO_PKG_VERSION")))
}

async fn connect_here(dirs: &Dirs) -> Result<Connection, ConnectError> {
    match connect_now(dirs).await {
        Ok(connection) => Ok(connection),
        Err(error) => connect_after(dirs, error).await,
    }
}

/// Where there is no daemon because somebody is bringing one up or replacing one: a connection to what comes of that.
/// Else the error.
pub(super) async fn connect_after(
    dirs: &Dirs,
    error: ConnectError,
) -> Result<Connection, ConnectError> {
    if !error.is_absence() || !is_being_started(dirs.state()) {
        return Err(error);
    }
    let state = dirs.state().to_owned();
    let started = async {
        let _unreadable = blocking::unblock(move || start_lock(&state).map(drop)).await;
    };
    let too_late = async {
        Timer::after(STARTER_PATIENCE).await;
    };
    future::or(started, too_late).await;
    connect_now(dirs).await
}

pub(super) async fn connect_now(dirs: &Dirs) -> Result<Connection, ConnectError> {
    let give_up = Instant::now() + LAST_BREATH;
    let mut may_be_late = true;
    loop {
        match connect_once(dirs).await {
            // The clock may have left the certificates behind. The daemon finds out when somebody comes, and has made new
            // ones by now.
            Err(ConnectError::Refused { source, .. })
                if may_be_late && matches!(*source, WireError::Refused { .. }) =>
            {
                may_be_late = false;
            }
            // Its socket goes before its lock: a daemon that was just killed still seems to be one.
            Err(error) if is_refused(&error) && Instant::now() < give_up => {
                Timer::after(AGAIN).await;
            }
            other => return other,
        }
    }
}

/// Whether nobody listens where a daemon said that it does.
fn is_refused(error: &ConnectError) -> bool {
    use harness_wire::ConnectError as Wire;
    let ConnectError::NoAnswer {
        source: Some(source),
        ..
    } = error
    else {
        return false;
    };
    matches!(&**source, Wire::Unreachable { source, .. } if source.kind() == ErrorKind::ConnectionRefused)
}

async fn connect_once(dirs: &Dirs) -> Result<Connection, ConnectError> {
    let state = dirs.state().to_owned();
    let Some(endpoint) = Endpoint::read(&state)? else {
        return Err(if is_running(dirs)? {
            ConnectError::NoAnswer {
                state,
                source: None,
            }
        } else {
            ConnectError::NotRunning { state }
        });
    };
    let tls = match ClientTls::load(dirs.pki(), LOCAL_CLIENT) {
        Ok(tls) => tls,
        Err(PkiError::Absent { .. }) if !is_running(dirs)? => {
            return Err(ConnectError::NotRunning { state });
        }
        Err(error) => return Err(ConnectError::Certificates(error)),
    };
    match Client::connect(&endpoint.listen, &tls, &options()).await {
        Ok((client, driver)) => Ok(Connection::new(client, driver)),
        // Somebody else may listen there since the daemon died: what it says means nothing.
        Err(_) if !is_running(dirs)? => Err(ConnectError::NotRunning { state }),
        Err(error) => Err(classify(error, endpoint.listen, state)),
    }
}

fn classify(
    error: harness_wire::ConnectError,
    address: String,
    state: std::path::PathBuf,
) -> ConnectError {
    use harness_wire::ConnectError as Wire;
    match error {
        Wire::Incompatible { ours, theirs, .. } => ConnectError::Version {
            address,
            ours,
            theirs,
        },
        error @ (Wire::Refused { .. } | Wire::Greeting { .. }) => ConnectError::Refused {
            address,
            source: Box::new(error),
        },
        error => ConnectError::NoAnswer {
            state,
            source: Some(Box::new(error)),
        },
    }
}

/// The client that every local program of this user is. The daemon makes its certificate.
pub(crate) const LOCAL_CLIENT: &str = "local";
/// How long a daemon may hold its lock once nobody listens any more.
const LAST_BREATH: Duration = Duration::from_secs(2);
/// Longer than whoever brings a daemon up waits for it.
const STARTER_PATIENCE: Duration = Duration::from_secs(75);
const AGAIN: Duration = Duration::from_millis(10);
