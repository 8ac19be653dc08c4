//! Entries of the registry as clients see them.
//!
//! Owns: the way from the registry's types to those of the wire.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use service_orchestration::report::{NetAttachment, NetPlace, NetReason, PlaceKind};
use service_registry::{Attachment, Endpoint, Entry, HostId, Owner, Place, Readiness, Resolved};

use super::InstanceName;
use crate::protocol::SCHEMA_VERSION;

/// Whether an instance may be sent work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It runs, and has not proven more.
    Running,
    /// It has proven that it answers.
    #[default]
    Ready,
    /// It runs, but its probe fails.
    Unhealthy,
}

/// An instance that is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryEntry {
    /// Who.
    pub name: InstanceName,
    /// In which of its runs.
    pub incarnation: u64,
    /// The client that registered it; null: the daemon runs it itself.
    pub owner: Option<String>,
    /// Whether it may be sent work.
    pub health: Health,
    /// Where it runs.
    pub place: NetPlace,
    /// The address it listens on there; `0.0.0.0` when on all of them.
    pub ip: IpAddr,
    /// Its ports; the first one is *the* port of the service.
    pub endpoints: Vec<RegistryEndpoint>,
}

/// A port of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryEndpoint {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its number.
    pub port: u16,
    /// What stands before `://` in its URL; null: not known.
    pub scheme: Option<String>,
    /// Of a container: where its machine listens for it.
    pub published: Option<SocketAddr>,
}

/// Result of `registry.resolve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryResolved {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Which instance was found.
    pub name: InstanceName,
    /// In which of its runs.
    pub incarnation: u64,
    /// The client that registered it; null: the daemon runs it itself.
    pub owner: Option<String>,
    /// Whether it may be sent work.
    pub health: Health,
    /// The address, as seen by whoever asks.
    pub ip: IpAddr,
    /// The same with the first port, if it has any.
    pub address: Option<SocketAddr>,
    /// Why that one.
    pub reason: NetReason,
    /// Its ports, each with where it is reached.
    pub endpoints: Vec<ResolvedEndpoint>,
    /// What a unit that needs it is told, as variables of its environment.
    pub variables: BTreeMap<String, String>,
}

/// A port, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedEndpoint {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its number, where it runs.
    pub port: u16,
    /// Where it is reached.
    pub address: SocketAddr,
    /// The same as a URL; null: what it speaks is not known.
    pub url: Option<String>,
}

impl RegistryEntry {
    /// What is listed, and for whom. `None` for what has no legal name, which nothing that is listed has.
    pub(crate) fn of(entry: &Entry, owner: Option<&Owner>) -> Option<Self> {
        Some(Self {
            name: InstanceName::of(&entry.key)?,
            incarnation: entry.incarnation.0,
            owner: owner.map(|owner| owner.as_str().to_owned()),
            health: entry.readiness.into(),
            place: view_of_place(&entry.place),
            ip: entry.ip,
            endpoints: entry.endpoints.iter().map(RegistryEndpoint::of).collect(),
        })
    }

    /// How many bytes it has at most as JSON, roughly.
    pub(crate) fn weight(&self) -> usize {
        let networks = self.place.networks.len();
        512 + 256 * (self.endpoints.len() + networks)
    }
}

impl RegistryEndpoint {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            port: endpoint.port,
            scheme: endpoint.scheme.clone(),
            published: endpoint.published,
        }
    }
}

impl RegistryResolved {
    /// Where it is reached, as the registry has found out.
    pub(crate) fn of(resolved: &Resolved, owner: Option<&Owner>) -> Option<Self> {
        let entry = &resolved.entry;
        let name = InstanceName::of(&entry.key)?;
        let endpoints = resolved.endpoints().map(|(endpoint, address)| {
            let scheme = endpoint.scheme.as_deref();
            let url = scheme.map(|scheme| format!("{scheme}://{address}"));
            ResolvedEndpoint {
                name: endpoint.name.clone(),
                port: endpoint.port,
                address,
                url,
            }
        });
        let endpoints: Vec<ResolvedEndpoint> = endpoints.collect();
        Some(Self {
            schema_version: SCHEMA_VERSION,
            variables: resolved.variables(name.service.service.as_str()),
            name,
            incarnation: entry.incarnation.0,
            owner: owner.map(|owner| owner.as_str().to_owned()),
            health: entry.readiness.into(),
            ip: resolved.ip(),
            address: endpoints.first().map(|first| first.address),
            reason: NetReason {
                code: resolved.route.reason.code().to_owned(),
                text: resolved.route.reason.to_string(),
            },
            endpoints,
        })
    }
}

impl From<Readiness> for Health {
    fn from(readiness: Readiness) -> Self {
        match readiness {
            Readiness::Running => Self::Running,
            Readiness::Ready => Self::Ready,
            Readiness::Unhealthy => Self::Unhealthy,
        }
    }
}

impl From<Health> for Readiness {
    fn from(health: Health) -> Self {
        match health {
            Health::Running => Self::Running,
            Health::Ready => Self::Ready,
            Health::Unhealthy => Self::Unhealthy,
        }
    }
}

/// The place that is meant; `None` when it is of a kind that is not known here.
pub(crate) fn place_of_view(view: &NetPlace) -> Option<Place> {
    let host = HostId::new(&view.host);
    match view.kind {
        PlaceKind::Host => Some(Place::Host(host)),
        PlaceKind::Container => {
            let networks = view.networks.iter().map(|(name, end)| {
                let NetAttachment { ip, gateway } = *end;
                (name.clone(), Attachment { ip, gateway })
            });
            Some(Place::Container {
                host,
                networks: networks.collect(),
            })
        }
        PlaceKind::Other => None,
    }
}

fn view_of_place(place: &Place) -> NetPlace {
    let host = place.host().to_string();
    match place {
        Place::Container { networks, .. } => NetPlace {
            kind: PlaceKind::Container,
            host,
            networks: networks
                .iter()
                .map(|(name, end)| {
                    let Attachment { ip, gateway } = *end;
                    (name.clone(), NetAttachment { ip, gateway })
                })
                .collect(),
        },
        Place::Host(_) => NetPlace {
            kind: PlaceKind::Host,
            host,
            networks: Default::default(),
        },
        _ => NetPlace {
            kind: PlaceKind::Other,
            host,
            networks: Default::default(),
        },
    }
}
