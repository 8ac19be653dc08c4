//! The discovery calls: what is listed, where it is, and registering services that the daemon does not run.
//!
//! Owns: their parameters and answers. A service is named as everywhere, `stack:service`, one replica of it
//! `stack:service/2`. Whoever may register what, [`crate::access`] decides; what is listed, the registry.

mod events;
mod name;
mod view;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use service_orchestration::spec::UnitName;

pub use events::{CursorError, RegistryCursor, RegistryEvent, SnapshotReason, UnregisterReason};
pub use name::{InstanceName, NamePattern, RegistryNameError, ServiceName};
pub(crate) use view::place_of_view;
pub use view::{Health, RegistryEndpoint, RegistryEntry, RegistryResolved, ResolvedEndpoint};

/// Parameters of `registry.list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryListParams {
    /// Only those below this; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<NamePattern>,
    /// Only those that come after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<InstanceName>,
}

/// What is listed, in the order of the names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryList {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// As many as fit into one answer.
    pub items: Vec<RegistryEntry>,
    /// Whether there are more: ask again for those after the last one.
    pub more: bool,
    /// Where in the changes it was seen: `registry.watch` goes on from there.
    pub cursor: RegistryCursor,
}

/// Parameters of `registry.resolve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryResolveParams {
    /// Who is asked for: a service (the instance that others are told of), or one of its replicas.
    pub name: InstanceName,
    /// Who asks.
    #[serde(default)]
    pub from: ResolveFrom,
}

/// Who asks for an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ResolveFrom {
    /// The daemon's machine.
    #[default]
    Here,
    /// A unit of this daemon, wherever it runs.
    Unit(InstanceName),
    /// A machine, by the name that the daemon knows it by.
    Host(String),
    /// A container.
    Container(ContainerPlace),
}

/// A container, as one who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerPlace {
    /// The machine whose engine runs it; `local` is the daemon's own.
    pub host: String,
    /// The networks it is on, by name.
    #[serde(default)]
    pub networks: BTreeMap<String, NetworkEnd>,
}

/// One end of a container's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkEnd {
    /// The container's own address.
    #[serde(default)]
    pub ip: Option<IpAddr>,
    /// The address at which it reaches its machine.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
}

/// Parameters of `registry.publish`. It is a sign of life as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryPublishParams {
    /// Which service, or which replica of it.
    pub name: InstanceName,
    /// Which run of it; absent: one after every run that is known of, which the answer tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
    /// Under which lease of this client: programs that share a certificate have one each. Up to 64 letters, digits, `.`,
    /// `_` and `-`.
    #[serde(default)]
    pub lease: String,
    /// How long it stays listed after each sign of life, in milliseconds: a second to an hour.
    #[serde(default = "usual_ttl")]
    pub ttl_ms: u64,
    /// Its ports, 32 at most; the first one is *the* port of the service.
    #[serde(default)]
    pub endpoints: Vec<PublishEndpoint>,
    /// Whether it may be sent work.
    #[serde(default)]
    pub health: Health,
    /// The address it is reached at; absent: the one that this connection comes from. On the daemon's machine it may be
    /// `0.0.0.0`: all of its addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The machine it runs on, where that is not the one this connection comes from. Deployers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// A port to register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishEndpoint {
    /// Its number.
    pub port: u16,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<UnitName>,
    /// What stands before `://` in its URL; absent: its name where that is one, else not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
}

/// What was registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryPublished {
    /// As which run.
    pub incarnation: u64,
    /// Whether it was any news.
    pub changed: bool,
    /// How long it stays listed after each sign of life, in milliseconds.
    pub ttl_ms: u64,
}

/// Parameters of `registry.renew`: a sign of life for all that is registered under the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryRenewParams {
    /// Which lease of this client.
    #[serde(default)]
    pub lease: String,
}

/// Parameters of `registry.withdraw`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryWithdrawParams {
    /// Which service, or which replica of it.
    pub name: InstanceName,
    /// Which run of it; absent: whichever is listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<u64>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryWithdrawn {
    /// Whether it was listed.
    pub changed: bool,
}

/// Parameters of `registry.watch`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryWatchParams {
    /// Only what is below this; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<NamePattern>,
    /// The cursor of the last item that was seen; absent: begin with a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<RegistryCursor>,
}

/// What precedes the items of `registry.watch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryWatching {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION) of the items.
    pub schema_version: u32,
}

pub(crate) fn usual_ttl() -> u64 {
    USUAL_TTL_MS
}

/// Two of three renewals may be lost on the way.
const USUAL_TTL_MS: u64 = 15_000;
