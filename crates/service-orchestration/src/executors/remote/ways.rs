//! The ways between hosts that are made because none leads there by itself.
//!
//! Owns: which there are, for whom, and where each listens: one small file for each that somebody needs, on the disk before
//! whoever needs it is launched. The connection to a host carries; it is told again by itself what to carry when it was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_io::Timer;
use command_executor::agent::{Forwarding, HostForward, HostLink};
use command_executor::blocking;
use futures_lite::future;
use serde::{Deserialize, Serialize};

use super::slip::{read_all, write};
use crate::executors::{Carried, Passage};

/// All of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    directory: PathBuf,
    // A lock because several attempts are launched at once; held to look and to set.
    known: Arc<Mutex<BTreeMap<Passage, Way>>>,
}

/// One that is carried.
#[derive(Debug)]
struct Way {
    plan: Plan,
    users: BTreeSet<String>,
    /// Dropped when nobody needs it.
    legs: Arc<Vec<Forwarding>>,
}

/// Where a way listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// On loopback of the first host.
    pub(super) listen: SocketAddr,
    /// On loopback of this machine, where it goes on from one connection to another.
    pub(super) relay: Option<SocketAddr>,
}

/// What is kept of a way that an attempt needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    instance_id: String,
    passage: Passage,
    plan: Plan,
}

/// The connections that a way needs.
#[derive(Clone, Debug)]
pub(super) struct Ends {
    pub(super) from: Option<HostLink>,
    pub(super) to: Option<HostLink>,
}

/// Why a way is not carried.
#[derive(Debug, thiserror::Error)]
pub(super) enum WayError {
    #[error("the note of a way cannot be kept")]
    Note(#[source] io::Error),
    #[error("{0}")]
    Refused(String),
}

impl Ways {
    pub(super) fn at(directory: PathBuf) -> Self {
        Self {
            directory,
            known: Arc::default(),
        }
    }

    /// Where a way listens that is carried already.
    pub(super) fn plan(&self, passage: &Passage) -> Option<Plan> {
        self.known().get(passage).map(|way| way.plan)
    }

    /// Carries for one more attempt; as planned, unless it is carried already. Returns once it is.
    pub(super) async fn carry(
        &self,
        instance_id: &str,
        passage: &Passage,
        plan: Plan,
        ends: &Ends,
    ) -> Result<SocketAddr, WayError> {
        let (plan, legs) = self.take(instance_id, passage, plan, ends);
        let record = Record {
            instance_id: instance_id.to_owned(),
            passage: passage.clone(),
            plan,
        };
        let text = serde_json::to_vec(&record).map_err(|error| WayError::Note(error.into()))?;
        let (directory, file) = (self.directory.clone(), self.file(&record));
        let kept = blocking::unblock(move || write(&directory, &file, &text)).await;
        kept.map_err(WayError::Note)?;
        for leg in legs.iter() {
            let carried = async {
                leg.carried()
                    .await
                    .map_err(|error| crate::error_chain(&*error))
            };
            let late = async {
                Timer::after(PATIENCE).await;
                Err(format!("not within {PATIENCE:?}"))
            };
            future::or(carried, late).await.map_err(WayError::Refused)?;
        }
        Ok(plan.listen)
    }

    fn take(
        &self,
        instance_id: &str,
        passage: &Passage,
        plan: Plan,
        ends: &Ends,
    ) -> (Plan, Arc<Vec<Forwarding>>) {
        let mut known = self.known();
        let way = known.entry(passage.clone()).or_insert_with(|| Way {
            plan,
            users: BTreeSet::new(),
            legs: Arc::new(legs(passage, plan, ends)),
        });
        way.users.insert(instance_id.to_owned());
        (way.plan, Arc::clone(&way.legs))
    }

    /// What an earlier process has left notes of.
    pub(super) async fn recall(&self) -> Vec<(Carried, Plan)> {
        let directory = self.directory.clone();
        let texts = blocking::unblock(move || read_all(&directory)).await;
        let records = texts
            .iter()
            .filter_map(|text| serde_json::from_slice(text).ok());
        records
            .map(|record: Record| {
                let carried = Carried {
                    instance_id: record.instance_id,
                    passage: record.passage,
                    listen: record.plan.listen,
                };
                (carried, record.plan)
            })
            .collect()
    }

    /// Carries again what is noted.
    pub(super) fn resume(&self, carried: &Carried, plan: Plan, ends: &Ends) {
        self.take(&carried.instance_id, &carried.passage, plan, ends);
    }

    /// This attempt needs none any more.
    pub(super) async fn release(&self, instance_id: &str) {
        let released: Vec<Record> = {
            let mut known = self.known();
            let mut released = Vec::new();
            known.retain(|passage, way| {
                if way.users.remove(instance_id) {
                    released.push(Record {
                        instance_id: instance_id.to_owned(),
                        passage: passage.clone(),
                        plan: way.plan,
                    });
                }
                !way.users.is_empty()
            });
            released
        };
        for record in released {
            let file = self.file(&record);
            let removed = blocking::unblock(move || std::fs::remove_file(file)).await;
            if let Err(error) = removed {
                tracing::warn!(%error, "the note of a way is left behind");
            }
        }
    }

    /// An attempt is on one host, where each of its ways has a port of its own.
    fn file(&self, record: &Record) -> PathBuf {
        let port = record.plan.listen.port();
        let name = format!("{}-{port}.json", record.instance_id);
        self.directory.join(name)
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Passage, Way>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What each connection carries.
fn legs(passage: &Passage, plan: Plan, ends: &Ends) -> Vec<Forwarding> {
    let to_there = |listen| HostForward::ToThere {
        listen,
        target: passage.target,
    };
    let from_there = |target| HostForward::FromThere {
        listen: plan.listen,
        target,
    };
    match (&ends.from, &ends.to, plan.relay) {
        (None, Some(to), _) => vec![to.forward(to_there(plan.listen))],
        (Some(from), None, _) => vec![from.forward(from_there(passage.target))],
        (Some(from), Some(to), Some(relay)) => {
            vec![to.forward(to_there(relay)), from.forward(from_there(relay))]
        }
        (Some(_), Some(_), None) | (None, None, _) => Vec::new(),
    }
}

/// What this machine listens on for a way.
pub(super) fn free_port_here() -> io::Result<SocketAddr> {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A round trip or two over connections that are open.
const PATIENCE: Duration = Duration::from_secs(10);
