//! Entries under a lease, and what is remembered of those that are gone, as they are kept on disk.
//!
//! Owns: the released form. When an entry was buried is kept by the clock of one boot of the machine, which nobody can
//! set; after another boot it says nothing, and what is remembered is remembered anew in full.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Attachment, Ending, Endpoint, Entry, HostId, Incarnation, InstanceKey, Lease, Leased, Owner,
    Place, Readiness, ServiceKey, Standing, Tombstone,
};

/// A moment, by the clock of one boot of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMoment {
    /// Which boot; none where the system does not say.
    pub boot_id: Option<String>,
    /// Nanoseconds since that boot.
    pub at_ns: u64,
}

/// What stands of one instance. Made by [`SavedStanding::of`], read by [`SavedStanding::restore`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedStanding {
    version: u32,
    stack: String,
    service: String,
    instance: u32,
    incarnation: u64,
    owner: String,
    lease: String,
    state: SavedState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedState {
    Listed {
        ttl_ms: u64,
        place: SavedPlace,
        ip: IpAddr,
        endpoints: Vec<SavedEndpoint>,
        readiness: SavedReadiness,
    },
    Withdrawn(SavedMoment),
    Lost(SavedMoment),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedPlace {
    Host(String),
    Container {
        host: String,
        networks: BTreeMap<String, SavedAttachment>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedAttachment {
    ip: Option<IpAddr>,
    gateway: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SavedEndpoint {
    name: Option<String>,
    port: u16,
    scheme: Option<String>,
    published: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SavedReadiness {
    Running,
    Ready,
    Unhealthy,
}

impl SavedStanding {
    /// What is to be kept of this instance, as of `now`; `None` when nothing is.
    pub fn of(standing: &Standing, now: &SavedMoment) -> Option<Self> {
        match standing {
            Standing::Nothing => None,
            Standing::Listed(Leased { entry, lease }) => {
                let state = SavedState::Listed {
                    ttl_ms: u64::try_from(lease.ttl.as_millis()).unwrap_or(u64::MAX),
                    place: SavedPlace::of(&entry.place),
                    ip: entry.ip,
                    endpoints: entry.endpoints.iter().map(SavedEndpoint::of).collect(),
                    readiness: entry.readiness.into(),
                };
                Some(Self::new(
                    &entry.key,
                    entry.incarnation,
                    &lease.owner,
                    state,
                ))
            }
            Standing::Gone(stone) => {
                let age = u64::try_from(stone.age.as_nanos()).unwrap_or(u64::MAX);
                let moment = SavedMoment {
                    boot_id: now.boot_id.clone(),
                    at_ns: now.at_ns.saturating_sub(age),
                };
                let state = match stone.ending {
                    Ending::Withdrawn => SavedState::Withdrawn(moment),
                    Ending::Lost => SavedState::Lost(moment),
                };
                Some(Self::new(
                    &stone.key,
                    stone.incarnation,
                    &stone.owner,
                    state,
                ))
            }
        }
    }

    fn new(key: &InstanceKey, incarnation: Incarnation, owner: &Owner, state: SavedState) -> Self {
        Self {
            version: VERSION,
            stack: key.service.stack.clone(),
            service: key.service.service.clone(),
            instance: key.instance,
            incarnation: incarnation.0,
            owner: owner.as_str().to_owned(),
            lease: owner.lease().to_owned(),
            state,
        }
    }

    /// Which instance it is about.
    pub fn key(&self) -> InstanceKey {
        ServiceKey::new(&self.stack, &self.service).instance(self.instance)
    }

    /// What stood, as of `now`: [`Standing::Nothing`] of what is old enough to be forgotten, and of what a later version
    /// wrote.
    pub fn restore(&self, now: &SavedMoment) -> Standing {
        if self.version > VERSION {
            return Standing::Nothing;
        }
        let owner = Owner::under(self.owner.as_str(), self.lease.as_str());
        let gone = |ending, moment: &SavedMoment| {
            let age = moment.age(now);
            match age < Tombstone::KEPT {
                true => Standing::Gone(Tombstone {
                    key: self.key(),
                    incarnation: Incarnation(self.incarnation),
                    owner: owner.clone(),
                    ending,
                    age,
                }),
                false => Standing::Nothing,
            }
        };
        match &self.state {
            SavedState::Withdrawn(moment) => gone(Ending::Withdrawn, moment),
            SavedState::Lost(moment) => gone(Ending::Lost, moment),
            SavedState::Listed {
                ttl_ms,
                place,
                ip,
                endpoints,
                readiness,
            } => Standing::Listed(Leased {
                entry: Arc::new(Entry {
                    key: self.key(),
                    incarnation: Incarnation(self.incarnation),
                    place: place.restore(),
                    ip: *ip,
                    endpoints: endpoints.iter().map(SavedEndpoint::restore).collect(),
                    readiness: (*readiness).into(),
                }),
                lease: Lease {
                    owner,
                    ttl: Duration::from_millis(*ttl_ms),
                },
            }),
        }
    }
}

impl SavedMoment {
    /// How long before `now` it was; no time at all when that cannot be told.
    fn age(&self, now: &Self) -> Duration {
        match self.boot_id.is_some() && self.boot_id == now.boot_id {
            true => Duration::from_nanos(now.at_ns.saturating_sub(self.at_ns)),
            false => Duration::ZERO,
        }
    }
}

impl SavedPlace {
    fn of(place: &Place) -> Self {
        match place {
            Place::Host(host) => Self::Host(host.as_str().to_owned()),
            Place::Container { host, networks } => Self::Container {
                host: host.as_str().to_owned(),
                networks: networks
                    .iter()
                    .map(|(name, end)| {
                        let Attachment { ip, gateway } = *end;
                        (name.clone(), SavedAttachment { ip, gateway })
                    })
                    .collect(),
            },
        }
    }

    fn restore(&self) -> Place {
        match self {
            Self::Host(host) => Place::Host(HostId::new(host)),
            Self::Container { host, networks } => Place::Container {
                host: HostId::new(host),
                networks: networks
                    .iter()
                    .map(|(name, end)| {
                        let SavedAttachment { ip, gateway } = *end;
                        (name.clone(), Attachment { ip, gateway })
                    })
                    .collect(),
            },
        }
    }
}

impl SavedEndpoint {
    fn of(endpoint: &Endpoint) -> Self {
        let Endpoint {
            name,
            port,
            scheme,
            published,
        } = endpoint.clone();
        Self {
            name,
            port,
            scheme,
            published,
        }
    }

    fn restore(&self) -> Endpoint {
        let Self {
            name,
            port,
            scheme,
            published,
        } = self.clone();
        Endpoint {
            name,
            port,
            scheme,
            published,
        }
    }
}

impl From<Readiness> for SavedReadiness {
    fn from(readiness: Readiness) -> Self {
        match readiness {
            Readiness::Running => Self::Running,
            Readiness::Ready => Self::Ready,
            Readiness::Unhealthy => Self::Unhealthy,
        }
    }
}

impl From<SavedReadiness> for Readiness {
    fn from(readiness: SavedReadiness) -> Self {
        match readiness {
            SavedReadiness::Running => Self::Running,
            SavedReadiness::Ready => Self::Ready,
            SavedReadiness::Unhealthy => Self::Unhealthy,
        }
    }
}

const VERSION: u32 = 1;
