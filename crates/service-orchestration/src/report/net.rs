//! How units reach each other, and why so.
//!
//! Owns: the shape of `net why -o json` and its like. What an address is, is the registry's to say.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::spec::{Protocol, StackName, UnitKind};

/// Units as one of them sees them, or this machine does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetView {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// The stack.
    pub stack: StackName,
    /// Who asks: a unit; null when it is this machine, outside of every container.
    pub asker: Option<String>,
    /// Where the one who asks is.
    pub from: NetPlace,
    /// The units that were asked about, by name and replica.
    pub items: Vec<NetUnit>,
}

/// One unit, as it is seen by the one who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetUnit {
    /// Its name: `api`, or `api/2` for a replica.
    pub name: String,
    /// Service or task.
    pub kind: UnitKind,
    /// The type of its target.
    pub target: String,
    /// Where it is; null where that is not known here.
    pub place: Option<NetPlace>,
    /// Whether it is published. Else it does not run, and what is said of it is what it would be.
    pub published: bool,
    /// Whether it is the one that others are told of, when they ask for the service.
    pub told: bool,
    /// Whether the one who asks needs it: then it is given the variables, and a container the names.
    pub needed: bool,
    /// The address that it is known to listen on at its place; null where that is its own affair, as in a container.
    pub listens: Option<IpAddr>,
    /// Where its first port is reached; null without a port, and without a way.
    pub address: Option<SocketAddr>,
    /// The numeric address, `${unit.ip}`; null without a way.
    pub ip: Option<IpAddr>,
    /// Why it is that one.
    pub reason: Option<NetReason>,
    /// Why there is no way.
    pub refusal: Option<NetRefusal>,
    /// Its ports, in the order of the file.
    pub endpoints: Vec<NetEndpoint>,
    /// The names by which the one who asks finds it.
    pub names: Vec<NetName>,
    /// The variables that a unit which needs it is given about it, unless it sets them itself.
    pub variables: BTreeMap<String, String>,
}

/// One port of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetEndpoint {
    /// Its name.
    pub name: Option<String>,
    /// The port that it listens on at its place.
    pub port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where its machine listens for it, when it is published.
    pub published: Option<SocketAddr>,
    /// Where the one who asks reaches it.
    pub address: Option<SocketAddr>,
    /// The same with its scheme.
    pub url: Option<String>,
    /// Why it is that one.
    pub reason: Option<NetReason>,
    /// Why there is no way.
    pub refusal: Option<NetRefusal>,
    /// How connections come to a program that may listen on loopback only, from a container.
    pub forwarder: Option<NetForwarder>,
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetPlace {
    /// `host`: directly on a machine; `container`: in a network of its own.
    pub kind: PlaceKind,
    /// The machine; `local` is the daemon's own.
    pub host: String,
    /// Of a container: its networks, as far as they are known before it runs.
    pub networks: BTreeMap<String, NetAttachment>,
}

/// The kinds of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlaceKind {
    /// Directly on a machine.
    Host,
    /// In a network of its own on one.
    Container,
    /// One that only a newer daemon knows.
    #[serde(other)]
    Other,
}

/// One end of a container's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetAttachment {
    /// The container's own address; null before it runs.
    pub ip: Option<IpAddr>,
    /// The address at which it reaches its machine.
    pub gateway: Option<IpAddr>,
}

/// Why an address is the one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetReason {
    /// For programs: lower-case kebab, never changed.
    pub code: String,
    /// For people.
    pub text: String,
}

/// Why there is no way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetRefusal {
    /// For programs: lower-case kebab, never changed.
    pub code: String,
    /// For people.
    pub text: String,
    /// What can be done about it.
    pub hint: String,
}

/// A way from a container to a program of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetForwarder {
    /// Where the container connects to.
    pub listen: SocketAddr,
    /// Where the program listens, when it does so on loopback only.
    pub to: SocketAddr,
    /// What listens there now; null where that cannot be seen.
    pub carriage: Option<Carriage>,
}

/// What takes connections for a program of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carriage {
    /// The program itself: it listens on all addresses.
    Direct,
    /// A forwarder, at the address of the container's network.
    Forwarder,
    /// Nothing yet: a forwarder is started together with the container, unless the program listens there by then.
    Planned,
    /// A connection of SSH, from loopback of one host to what another one sees.
    Ssh,
    /// One that only a newer daemon knows.
    #[serde(other)]
    Other,
}

/// A name that leads to a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetName {
    /// The name.
    pub name: String,
    /// What resolves it.
    pub by: NetNameBy,
    /// To what; null where the engine follows it.
    pub ip: Option<IpAddr>,
}

/// What resolves a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetNameBy {
    /// The hosts file of the container that asks.
    HostsFile,
    /// The engine, on a network that both are on.
    NetworkAlias,
    /// Something that only a newer daemon knows.
    #[serde(other)]
    Other,
}

impl NetView {
    /// The unit that others are told of when they ask for what was asked for here.
    pub fn told(&self) -> Option<&NetUnit> {
        let told = self.items.iter().find(|unit| unit.told);
        told.or_else(|| self.items.first())
    }
}
