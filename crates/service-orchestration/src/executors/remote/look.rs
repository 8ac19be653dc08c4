//! Looking from one host at another.
//!
//! Owns: how it is found out whether one reaches another: by connecting to what surely listens there.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use async_io::Timer;
use async_net::{TcpListener, TcpStream};
use command_executor::agent::{AgentLink, StreamError};
use futures_lite::future;
use service_registry::Sight;
use service_shim::agent::protocol::FailureKind;

use super::directory::{HostCall, HostDirectory, KnownHost};
use super::reach::{self, ReachError};
use crate::executors::LaunchError;

/// A host that is reached now.
pub(super) type Asked = (KnownHost, AgentLink);

/// A host that is known.
pub(super) async fn known(
    hosts: &dyn HostDirectory,
    call: &HostCall,
) -> Result<KnownHost, LaunchError> {
    let found = hosts.find(call).await;
    found.map_err(|refusal| refused(call, refusal.reason))
}

/// A host that is reached now; none for this machine.
pub(super) async fn asked(
    hosts: &dyn HostDirectory,
    call: Option<&HostCall>,
) -> Result<Option<Asked>, LaunchError> {
    let Some(call) = call else {
        return Ok(None);
    };
    let host = known(hosts, call).await?;
    match reach::agent(&host.link).await {
        Ok(agent) => Ok(Some((host, agent))),
        Err(ReachError::Away(error)) => Err(away(call, error)),
        Err(error) => Err(refused(call, crate::error_chain(&error))),
    }
}

/// Whether one host reaches another at one of these addresses.
///
/// # Errors
/// [`LaunchError::Unreachable`] while one of the two cannot be asked.
pub(super) async fn look(
    hosts: &dyn HostDirectory,
    from: Option<&HostCall>,
    to: Option<&HostCall>,
    at: &[IpAddr],
) -> Result<Sight, LaunchError> {
    let asker = asked(hosts, from).await?;
    let port = match to {
        Some(call) => Some(known(hosts, call).await?.port),
        None => None,
    };
    for address in at {
        // What surely listens there: the sshd of another host, and here something for this moment.
        let held = match port {
            Some(_) => None,
            None => TcpListener::bind((*address, 0)).await.ok(),
        };
        let own = held.as_ref().and_then(|held| held.local_addr().ok());
        let Some(port) = port.or(own.map(|own| own.port())) else {
            continue;
        };
        if answers(from.zip(asker.as_ref()), *address, port).await? {
            return Ok(Sight::Answers(*address));
        }
    }
    Ok(Sight::Silent)
}

/// Whether somebody takes connections there; asked by a host, or by this machine.
async fn answers(
    asker: Option<(&HostCall, &(KnownHost, AgentLink))>,
    address: IpAddr,
    port: u16,
) -> Result<bool, LaunchError> {
    let Some((call, (host, agent))) = asker else {
        let connected = async { TcpStream::connect((address, port)).await.map(drop) };
        let late = async {
            Timer::after(PATIENCE).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        return Ok(future::or(connected, late).await.is_ok());
    };
    let connected = async {
        match agent.tcp(address, port).await {
            Ok(_) => Ok(true),
            Err(StreamError::Failed(failure)) if failure.kind != FailureKind::Busy => Ok(false),
            Err(error) => Err(away(call, host.link.explain(error))),
        }
    };
    let late = async {
        Timer::after(PATIENCE).await;
        Ok(false)
    };
    future::or(connected, late).await
}

pub(super) fn away(
    call: &HostCall,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> LaunchError {
    LaunchError::Unreachable {
        unit: call.name.clone(),
        source: error.into(),
    }
}

pub(super) fn refused(call: &HostCall, reason: String) -> LaunchError {
    LaunchError::NotRunnable {
        program: call.name.clone(),
        reason,
    }
}

/// Longer than a connection within a LAN takes.
const PATIENCE: Duration = Duration::from_secs(3);
