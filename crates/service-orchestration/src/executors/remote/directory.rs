//! Which hosts there are, as whoever embeds us knows them.
//!
//! Owns: the question and the form of the answer. Knows no host.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use command_executor::agent::HostLink;
use serde::{Deserialize, Serialize};

use crate::spec::RemoteTarget;

/// A host as a stack file names it: what it says besides the name goes before what is known of the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostCall {
    /// Its name.
    pub name: String,
    /// Who logs in.
    #[serde(default)]
    pub user: Option<String>,
    /// The port of its sshd.
    #[serde(default)]
    pub port: Option<u16>,
    /// The private key that logs in.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

impl HostCall {
    /// The host of this name, as it is known.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            user: None,
            port: None,
            key: None,
        }
    }

    /// The host of a target.
    pub fn of(target: &RemoteTarget) -> Self {
        Self {
            name: target.host.clone(),
            user: target.user.clone(),
            port: target.port,
            key: target.ssh_key.clone(),
        }
    }
}

/// A host that is known.
#[derive(Clone, Debug)]
pub struct KnownHost {
    /// The way to it.
    pub link: HostLink,
    /// Where other machines reach it, as far as that is known: neither loopback, nor behind another host.
    pub address: Option<IpAddr>,
    /// The port of its sshd.
    pub port: u16,
    /// The host that it is reached through.
    pub jump: Option<String>,
}

/// Why a host cannot be used, and what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct HostRefusal {
    /// As a sentence: `there is no host` and its name, what to do.
    pub reason: String,
}

/// Knows hosts. It keeps one connection to each, however often it is asked.
#[async_trait]
pub trait HostDirectory: Send + Sync + fmt::Debug {
    /// The host that is meant. Whether it can be reached now, its link tells.
    ///
    /// # Errors
    /// [`HostRefusal`]: it is not known, or what is known of it is wrong.
    async fn find(&self, call: &HostCall) -> Result<KnownHost, HostRefusal>;
}

#[async_trait]
impl<D: HostDirectory + ?Sized> HostDirectory for std::sync::Arc<D> {
    async fn find(&self, call: &HostCall) -> Result<KnownHost, HostRefusal> {
        D::find(self, call).await
    }
}
