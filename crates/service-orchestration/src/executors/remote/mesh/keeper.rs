//! Who is to be joined, and who was.
//!
//! Owns: all meshes of the installation. One task on a thread of its own has them, from the first that is needed on, so what is
//! asked of one host is asked in one order; those that ask meanwhile are answered by one round. Two hosts are joined once: another
//! stack that needs them shares what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_io::Timer;
use command_executor::blocking;
use futures::future::join_all;
use futures_lite::future;
use harness_mesh::InterfaceName;
use service_registry::HostId;

use super::super::directory::HostDirectory;
use super::address::unlike;
use super::book::Mesh;
use super::file;
use super::round::{Outcome, Round, Wish, keep, network_of, round};
use super::status::{self, status};
use super::turn;
use super::watch::Watch;
use crate::executors::installation::Installation;
use crate::executors::{Joining, LaunchError, MeshCall, MeshPair};
use crate::report::{MeshStatus, Rotation};
use crate::spec::StackName;

/// The way to the task that has them. Cheap to clone; it ends with the last clone.
#[derive(Clone)]
pub(in crate::executors::remote) struct Meshes {
    parts: Parts,
    inbox: Arc<OnceLock<Sender<Ask>>>,
}

/// What it works with.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) directory: PathBuf,
    pub(super) home: Arc<Installation>,
    pub(super) hosts: Arc<dyn HostDirectory>,
}

enum Ask {
    Join(MeshCall, Sender<Outcome>),
    Leave(StackName, Sender<BTreeSet<HostId>>),
    Look(StackName, Sender<Vec<MeshStatus>>),
    Rotate(StackName, Sender<Rotation>),
}

impl Meshes {
    pub(in crate::executors::remote) fn at(
        directory: PathBuf,
        home: Arc<Installation>,
        hosts: Arc<dyn HostDirectory>,
    ) -> Self {
        let parts = Parts {
            directory,
            home,
            hosts,
        };
        Self {
            parts,
            inbox: Arc::default(),
        }
    }

    /// Joins two hosts.
    pub(in crate::executors::remote) async fn join(
        &self,
        call: &MeshCall,
    ) -> Result<Joining, LaunchError> {
        let (reply, answer) = async_channel::bounded(1);
        // Without its task, the channel is closed.
        drop(self.inbox().try_send(Ask::Join(call.clone(), reply)));
        match answer.recv().await {
            Ok(Outcome::Done(joining)) => Ok(joining),
            Ok(Outcome::Away(host, reason)) => Err(LaunchError::Unreachable {
                unit: host.to_string(),
                source: reason.into(),
            }),
            Ok(Outcome::Refused(reason)) => Err(LaunchError::NotRunnable {
                program: format!("the mesh of network `{}`", call.network),
                reason,
            }),
            Err(async_channel::RecvError) => Ok(Joining::Apart(
                "this machine has no room for a thread".to_owned(),
            )),
        }
    }

    /// Who was joined when this process began; from now on their hosts are made sure of.
    pub(in crate::executors::remote) async fn joined(&self) -> Vec<MeshPair> {
        let records = self.kept().await;
        if !records.is_empty() {
            self.inbox();
        }
        let meshes = records.into_values().map(Mesh::recalled);
        meshes.flat_map(|mesh| mesh.joined()).collect()
    }

    /// A stack needs nobody any more: what nobody else needs is removed from the hosts.
    ///
    /// # Errors
    /// As a sentence, where something is left. It is removed once that host is reached.
    pub(in crate::executors::remote) async fn leave(
        &self,
        stack: &StackName,
    ) -> Result<(), String> {
        if self.kept().await.is_empty() {
            return Ok(());
        }
        let (reply, answer) = async_channel::bounded(1);
        drop(self.inbox().try_send(Ask::Leave(stack.clone(), reply)));
        match answer.recv().await {
            // Nobody was there to ask: what is there, the next daemon removes.
            Err(async_channel::RecvError) => Err(
                "its meshes are left on their hosts: this machine has no room for a thread"
                    .to_owned(),
            ),
            Ok(left) if left.is_empty() => Ok(()),
            Ok(left) => {
                let left: Vec<String> = left.iter().map(HostId::to_string).collect();
                Err(format!(
                    "the interface of its mesh is left on {} until that is reached",
                    left.join(", ")
                ))
            }
        }
    }

    /// The meshes that a stack needs, as their hosts tell.
    pub(in crate::executors::remote) async fn look(&self, stack: &StackName) -> Vec<MeshStatus> {
        self.asked(|reply| Ask::Look(stack.clone(), reply)).await
    }

    /// New keys for the hosts of these meshes.
    pub(in crate::executors::remote) async fn rotate(&self, stack: &StackName) -> Rotation {
        self.asked(|reply| Ask::Rotate(stack.clone(), reply)).await
    }

    /// Nothing, where there are no meshes.
    async fn asked<T: Default>(&self, ask: impl FnOnce(Sender<T>) -> Ask) -> T {
        if self.kept().await.is_empty() {
            return T::default();
        }
        let (reply, answer) = async_channel::bounded(1);
        drop(self.inbox().try_send(ask(reply)));
        answer.recv().await.unwrap_or_default()
    }

    async fn kept(&self) -> BTreeMap<String, file::Record> {
        let directory = self.parts.directory.clone();
        blocking::unblock(move || file::all(&directory)).await
    }

    fn inbox(&self) -> &Sender<Ask> {
        self.inbox.get_or_init(|| {
            let (sender, inbox) = async_channel::unbounded();
            let parts = self.parts.clone();
            let run = move || async_io::block_on(Keeper::recalled(parts).run(inbox));
            if let Err(error) = thread::Builder::new().name("meshes".into()).spawn(run) {
                tracing::error!(%error, "no mesh can be kept");
            }
            sender
        })
    }
}

impl fmt::Debug for Meshes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meshes")
            .field(&self.parts.directory)
            .finish()
    }
}

/// The task.
struct Keeper {
    parts: Parts,
    /// By the names of their files.
    meshes: BTreeMap<String, Mesh>,
    watch: Watch,
}

enum Wake {
    Asked(Ask),
    Back(HostId),
    Alone,
}

impl Keeper {
    /// On a thread of its own, and so it may block.
    fn recalled(parts: Parts) -> Self {
        let records = file::all(&parts.directory).into_iter();
        Self {
            meshes: records
                .map(|(stem, record)| (stem, Mesh::recalled(record)))
                .collect(),
            parts,
            watch: Watch::default(),
        }
    }

    async fn run(mut self, inbox: Receiver<Ask>) {
        let stems: Vec<String> = self.meshes.keys().cloned().collect();
        for stem in stems {
            self.round(&stem, Wish::default()).await;
        }
        loop {
            let asked = async { inbox.recv().await.map_or(Wake::Alone, Wake::Asked) };
            let back = async { Wake::Back(self.watch.next().await) };
            match future::or(asked, back).await {
                Wake::Asked(first) => {
                    if matches!(first, Ask::Join(..)) {
                        Timer::after(GATHERING).await;
                    }
                    let more = std::iter::from_fn(|| inbox.try_recv().ok());
                    let all = std::iter::once(first).chain(more).collect();
                    self.answer(all).await;
                }
                Wake::Back(host) => {
                    let of_it =
                        |mesh: &Mesh| mesh.members.get(&host).is_some_and(|one| one.is_touched);
                    let meshes = self.meshes.iter().filter(|(_, mesh)| of_it(mesh));
                    let stems: Vec<String> = meshes.map(|(stem, _)| stem.clone()).collect();
                    for stem in stems {
                        self.round(&stem, Wish::default()).await;
                    }
                }
                Wake::Alone => return,
            }
        }
    }

    async fn answer(&mut self, asks: Vec<Ask>) {
        let mut joins = Vec::new();
        for ask in asks {
            match ask {
                Ask::Join(call, reply) => joins.push((call, reply)),
                Ask::Leave(stack, reply) => {
                    self.join(std::mem::take(&mut joins)).await;
                    let left = self.leave(&stack).await;
                    // Whoever asked may have gone.
                    drop(reply.try_send(left));
                }
                Ask::Look(stack, reply) => {
                    let needed = self.meshes.iter().filter(|(_, mesh)| mesh.serves(&stack));
                    let asked = needed.map(|(stem, mesh)| async {
                        (stem.clone(), status(&self.parts, mesh).await)
                    });
                    let (stems, told): (Vec<_>, Vec<_>) = join_all(asked).await.into_iter().unzip();
                    let holes: Vec<bool> = told.iter().map(status::has_hole).collect();
                    drop(reply.try_send(told));
                    for (stem, _) in stems.iter().zip(holes).filter(|(_, has)| *has) {
                        self.round(stem, Wish::default()).await;
                    }
                }
                Ask::Rotate(stack, reply) => {
                    self.join(std::mem::take(&mut joins)).await;
                    let told = self.rotate(&stack).await;
                    drop(reply.try_send(told));
                }
            }
        }
        self.join(joins).await;
    }

    async fn join(&mut self, joins: Vec<(MeshCall, Sender<Outcome>)>) {
        let mut open: BTreeMap<String, Vec<(MeshCall, Sender<Outcome>)>> = BTreeMap::new();
        for (call, reply) in joins {
            match self.admit(&call).await {
                Ok(Some(joined)) => drop(reply.try_send(joined)),
                Ok(None) => {
                    let stem = stem(&call.stack, &call.network);
                    open.entry(stem).or_default().push((call, reply));
                }
                Err(reason) => drop(reply.try_send(Outcome::Refused(reason))),
            }
        }
        for (stem, calls) in open {
            let mut wish = Wish::default();
            for (call, _) in &calls {
                wish.subnet = call.subnet;
                let stacks = wish.pairs.entry(call.pair.clone()).or_default();
                stacks.insert(call.stack.clone());
            }
            let round = self.round(&stem, wish).await;
            let outcomes = round.map_or_else(BTreeMap::new, |round| round.outcomes);
            for (call, reply) in calls {
                let outcome = outcomes.get(&call.pair).cloned();
                let none =
                    || Outcome::Done(Joining::Apart("its hosts are on no network".to_owned()));
                drop(reply.try_send(outcome.unwrap_or_else(none)));
            }
        }
    }

    /// Takes over what the stack file of now says; answers at once where the two are joined already.
    async fn admit(&mut self, call: &MeshCall) -> Result<Option<Outcome>, String> {
        let made = self.parts.home.make().await;
        made.map_err(|error| error.to_string())?;
        let own = stem(&call.stack, &call.network);
        let mesh = self
            .meshes
            .entry(own)
            .or_insert_with(|| Mesh::new(call.stack.clone(), call.network.clone()));
        mesh.admit(&call.hosts);
        mesh.release(&call.stack, &call.hosts);
        if let Some(reason) = unlike(mesh, call.subnet) {
            return Err(reason);
        }
        let shared = self
            .meshes
            .iter_mut()
            .find(|(_, mesh)| mesh.pairs.contains_key(&call.pair));
        let Some((stem, mesh)) = shared else {
            return Ok(None);
        };
        let stacks = mesh.pairs.entry(call.pair.clone()).or_default();
        stacks.insert(call.stack.clone());
        keep(&self.parts, stem, mesh).await?;
        Ok(mesh
            .at(&call.pair)
            .map(|ends| Outcome::Done(Joining::Joined(ends))))
    }

    /// Answers with the hosts on which something is left.
    async fn leave(&mut self, stack: &StackName) -> BTreeSet<HostId> {
        let mut left = BTreeSet::new();
        let stems: Vec<String> = self.meshes.keys().cloned().collect();
        for stem in stems {
            let Some(mesh) = self.meshes.get_mut(&stem) else {
                continue;
            };
            let is_changed = mesh.release(stack, &BTreeMap::new());
            if !is_changed && mesh.stack != *stack {
                continue;
            }
            self.round(&stem, Wish::default()).await;
            if let Some(mesh) = self.meshes.get(&stem) {
                let request = mesh.request();
                let needed = |host: &HostId| {
                    request
                        .pairs
                        .iter()
                        .any(|pair| pair.hosts().contains(&host))
                        || request.relays.values().any(|relay| relay == host)
                };
                left.extend(mesh.touched().into_iter().filter(|host| !needed(host)));
            }
        }
        left
    }

    async fn rotate(&mut self, stack: &StackName) -> Rotation {
        let needed = self.meshes.iter().filter(|(_, mesh)| mesh.serves(stack));
        let stems: Vec<String> = needed.map(|(stem, _)| stem.clone()).collect();
        let mut all = Rotation::default();
        for stem in stems {
            let wish = Wish {
                rotate: true,
                ..Wish::default()
            };
            let Some(done) = self.round(&stem, wish).await else {
                continue;
            };
            if let Some(mesh) = self.meshes.get(&stem) {
                let Rotation {
                    turned,
                    waiting,
                    kept,
                } = turn::told(mesh, &done.turning, &done.faults);
                all.turned.extend(turned);
                all.waiting.extend(waiting);
                all.kept.extend(kept);
            }
        }
        all
    }

    async fn round(&mut self, stem: &str, mut wish: Wish) -> Option<Round> {
        let others = self.meshes.iter().filter(|(other, _)| *other != stem);
        wish.others = others.filter_map(|(_, mesh)| network_of(mesh)).collect();
        let mesh = self.meshes.get_mut(stem)?;
        let done = round(&self.parts, stem, mesh, &wish).await;
        if mesh.pairs.is_empty() && mesh.touched().is_empty() {
            self.meshes.remove(stem);
            let (directory, stem) = (self.parts.directory.clone(), stem.to_owned());
            blocking::unblock(move || file::forget(&directory, &stem)).await;
            return Some(done);
        }
        for host in mesh.touched() {
            let call = mesh
                .members
                .get(&host)
                .and_then(|member| member.call.clone());
            if let Some(call) = call
                && let Ok(known) = self.parts.hosts.find(&call).await
            {
                let was_reached = done.reached.contains(&host);
                self.watch.add(&host, known.link, was_reached);
            }
        }
        Some(done)
    }
}

/// What its files are called, whatever its network is.
fn stem(stack: &StackName, network: &str) -> String {
    InterfaceName::of(&Mesh::name(stack, network), &HostId::new("")).to_string()
}

/// How long those are waited for that ask at the same moment: units of one stack are launched together, each after its own host was
/// asked for its facts. A round listens for seconds to what is silent.
const GATHERING: Duration = Duration::from_millis(100);
