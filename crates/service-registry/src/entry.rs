//! What is known of one instance of a service while it can be reached.
//!
//! Owns: the identities and the data of an entry. Never says how it is reached from elsewhere.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::Place;

/// A service, by its stack and its name there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The stack.
    pub stack: String,
    /// The name inside the stack.
    pub service: String,
}

impl ServiceKey {
    /// The service of this name in this stack.
    pub fn new(stack: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            stack: stack.into(),
            service: service.into(),
        }
    }

    /// Its instance of this number; 0 when it is not replicated.
    pub fn instance(self, instance: u32) -> InstanceKey {
        InstanceKey {
            service: self,
            instance,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.stack, self.service)
    }
}

/// One instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// Of which service.
    pub service: ServiceKey,
    /// Its replica, counted from 1; 0 when the service is not replicated.
    pub instance: u32,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.instance {
            0 => self.service.fmt(f),
            instance => write!(f, "{}/{instance}", self.service),
        }
    }
}

/// One run of an instance. A later run has a larger number, so late news of an earlier one is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// Whether an instance may be sent work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It runs, and has not proven more.
    Running,
    /// It has proven that it answers.
    Ready,
    /// It runs, but its probe fails.
    Unhealthy,
}

/// A port that an instance listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The port's name, if it has one.
    pub name: Option<String>,
    /// Its number.
    pub port: u16,
    /// What stands before `://` in its URL, where that is known.
    pub scheme: Option<String>,
    /// Of a container: where its host listens for it. Unspecified (`0.0.0.0`) when on all of its addresses.
    pub published: Option<SocketAddr>,
}

impl Endpoint {
    /// A port whose scheme is its name where that names one (`https`, `postgres`, …), else not known.
    pub fn new(name: Option<String>, port: u16) -> Self {
        let scheme = name
            .as_deref()
            .map(str::to_ascii_lowercase)
            .filter(|name| SCHEMES.contains(&name.as_str()));
        Self {
            name,
            port,
            scheme,
            published: None,
        }
    }

    /// The same, published there.
    #[must_use]
    pub fn published_at(mut self, address: SocketAddr) -> Self {
        self.published = Some(address);
        self
    }
}

/// One instance that can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub key: InstanceKey,
    /// In which of its runs.
    pub incarnation: Incarnation,
    /// Where it runs.
    pub place: Place,
    /// The address it listens on at its place; unspecified (`0.0.0.0`) when it listens on all of them.
    pub ip: IpAddr,
    /// Its ports; the first one is *the* port of the service.
    pub endpoints: Vec<Endpoint>,
    /// Whether it may be sent work.
    pub readiness: Readiness,
}

/// Port names that are URL schemes in their own right.
const SCHEMES: [&str; 23] = [
    "amqp",
    "amqps",
    "ftp",
    "grpc",
    "grpcs",
    "http",
    "https",
    "ipfs",
    "ldap",
    "ldaps",
    "mongodb",
    "mqtt",
    "mqtts",
    "mysql",
    "nats",
    "postgres",
    "postgresql",
    "redis",
    "rediss",
    "tcp",
    "udp",
    "ws",
    "wss",
];
