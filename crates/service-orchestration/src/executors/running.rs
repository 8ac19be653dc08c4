//! A running service, as embedders hold it.
//!
//! Owns: what is known of it. It carries its own control handle, so that no executor needs a map.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::AttemptControl;
use super::end::End;
use crate::report::ExitInfo;
use crate::spec::UnitId;

/// A service that runs. A clone speaks of the same run.
#[derive(Clone)]
pub struct RunningService {
    /// The identity of this run.
    pub id: String,
    /// The service's name.
    pub name: String,
    /// The process of the service itself.
    pub pid: Option<u32>,
    /// The container, when it is one.
    pub container_id: Option<String>,
    /// Where it can be reached, when it listens anywhere.
    pub network_info: Option<NetworkInfo>,
    /// When it was launched.
    pub start_time: DateTime<Utc>,
    /// Which run of the service it is.
    pub attempt: u64,
    pub(crate) unit: UnitId,
    pub(crate) log_dir: PathBuf,
    pub(crate) control: Option<Arc<dyn AttemptControl>>,
    pub(crate) end: End,
}

impl RunningService {
    /// Its identity inside the stack.
    pub fn unit(&self) -> &UnitId {
        &self.unit
    }

    /// Waits for its end, and tells how it ended.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing; call again.
    pub async fn wait(&self) -> ExitInfo {
        self.end.wait().await
    }
}

impl fmt::Debug for RunningService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningService")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("pid", &self.pid)
            .field("network_info", &self.network_info)
            .field("start_time", &self.start_time)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// Where a service can be reached from this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Its address.
    pub ip: IpAddr,
    /// Its ports by name; an unnamed one under its number.
    pub ports: BTreeMap<String, u16>,
    /// Its name, where one resolves; else its address again.
    pub hostname: String,
}

impl NetworkInfo {
    /// On this machine, without a known port.
    pub(crate) fn loopback() -> Self {
        Self {
            ip: IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            ports: BTreeMap::new(),
            hostname: "127.0.0.1".into(),
        }
    }
}
