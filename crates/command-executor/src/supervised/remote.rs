//! Attempts on another host: how they are started and looked at through its agent.
//!
//! Owns: what is believed of an agent's answers. Invariant: "there is no run directory" counts as "never started" only when no
//! order to start can be under way.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use service_shim::StartFailureKind;
use service_shim::agent::protocol::{Failure, FailureKind};
use service_shim::protocol::LaunchOrder;

use super::error::{AdoptError, LaunchError};
use super::order::SupervisedLaunch;
use super::program::Started;
use super::shore::Sight;
use crate::agent::{HostLink, RemoteSight, RequestError, START_VALIDITY, carried};

/// Starts a shim there and sends it its order.
pub(super) async fn start(
    host: &HostLink,
    order: SupervisedLaunch,
) -> Result<UnixStream, LaunchError> {
    let agent = host.agent().map_err(LaunchError::Unreachable)?;
    let validity = u64::try_from(START_VALIDITY.as_nanos()).unwrap_or(u64::MAX);
    let before_ns = agent.boot_ns().saturating_add(validity);
    let under_way = host.begin_start();
    let begun = agent
        .start_shim(
            &order.run_root,
            &order.instance_id,
            order.log.mode,
            before_ns,
        )
        .await
        .map_err(|error| host.explain(error));
    let stream = match begun {
        Ok(stream) => stream,
        Err(RequestError::Refused(failure)) => {
            under_way.answered();
            return Err(refused(&order, failure));
        }
        Err(error) => return Err(LaunchError::Unclear(error.into())),
    };
    under_way.answered();
    let lost = |error| LaunchError::Unclear(host.explain(error).into());
    let line = LaunchOrder::encode(order.into_spec());
    stream.write(&line).await.map_err(lost)?;
    carried(stream).map_err(lost)
}

/// One look at a run directory there, which starts a shim to take over where none serves it.
pub(super) async fn look(host: &HostLink, run_dir: &Path) -> Result<Sight, AdoptError> {
    loop {
        let seen = host.agent()?.look(run_dir).await;
        return match seen.map_err(|error| host.explain(error)) {
            Ok(RemoteSight::Ended(exit)) => Ok(Sight::Ended(exit)),
            Ok(RemoteSight::Missing(_)) if host.wait_for_starts().await => continue,
            Ok(RemoteSight::Missing(exit)) => Ok(Sight::Ended(exit)),
            Ok(RemoteSight::Served(stream)) => Ok(Sight::Served(stream)),
            Ok(RemoteSight::Adopting(stream)) => {
                Ok(Sight::Adopting(Started { stream, shim: None }))
            }
            Err(error) => Err(error.into()),
        };
    }
}

/// The agent has started nothing, and left nothing.
fn refused(order: &SupervisedLaunch, failure: Failure) -> LaunchError {
    let kind = match failure.kind {
        FailureKind::Exists => io::ErrorKind::AlreadyExists,
        FailureKind::NotFound => io::ErrorKind::NotFound,
        FailureKind::Permission => io::ErrorKind::PermissionDenied,
        _ => {
            return LaunchError::Refused {
                kind: StartFailureKind::System,
                message: failure.message,
            };
        }
    };
    LaunchError::RunDirectory {
        path: order.run_dir(),
        source: io::Error::new(kind, failure.message),
    }
}
