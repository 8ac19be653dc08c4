//! Making a manager.
//!
//! Owns: what it is made of by default, and the thread that drives it when nobody else does.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use async_executor::Executor;
use command_executor::blocking;
use command_executor::supervised::ShimProgram;

use super::{ServiceManager, Shared};
use crate::executors::{
    DockerExecutor, DockerFleet, ENGINES, Executors, HostDirectory, ProcessExecutor,
    ServiceExecutor,
};
use crate::logs::LogStore;
use crate::store::{DiskStore, MemoryStore, Store, StoreError};
use crate::supervisor::{Setting, Supervisor};

/// Why a manager could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// Its state cannot be used; [`StoreError::Held`] names who has it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A directory cannot be made.
    #[error("cannot make {}", .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its thread cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// A manager in the making.
#[derive(Debug)]
pub struct ManagerBuilder {
    state_dir: Option<PathBuf>,
    run_dir: Option<PathBuf>,
    log_dir: Option<PathBuf>,
    log_total: Option<u64>,
    shim: Option<ShimProgram>,
    store: Option<Arc<dyn Store>>,
    source: String,
    more: Executors,
    hosts: Option<Arc<dyn HostDirectory>>,
}

impl Default for ManagerBuilder {
    fn default() -> Self {
        Self {
            state_dir: None,
            run_dir: None,
            log_dir: None,
            log_total: None,
            shim: None,
            store: None,
            source: "harness".into(),
            more: Executors::new(),
            hosts: None,
        }
    }
}

impl ManagerBuilder {
    /// State is kept here, and services survive the manager. Without, nothing is kept, and they are stopped with it.
    #[must_use]
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// Run directories are made here; below the state directory when absent.
    #[must_use]
    pub fn run_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.run_dir = Some(path.into());
        self
    }

    /// Output is kept here; below the state directory when absent.
    #[must_use]
    pub fn log_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_dir = Some(path.into());
        self
    }

    /// The output of all services together is kept within so many bytes; without a cap when absent. It holds for a service
    /// from its next start on.
    #[must_use]
    pub fn log_total(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.log_total = bytes.into();
        self
    }

    /// The program that stands beside each service; looked for when absent.
    #[must_use]
    pub fn shim(mut self, shim: ShimProgram) -> Self {
        self.shim = Some(shim);
        self
    }

    /// State is kept in this store, and not in a file of the state directory. Where runs and output lie, and whether
    /// services survive the manager, is still the state directory's to say.
    #[must_use]
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Who the events say they come from; `harness` when absent.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = source.into();
        self
    }

    /// With this executor too; it replaces another for the same type of target.
    #[must_use]
    pub fn executor(mut self, executor: impl ServiceExecutor + 'static) -> Self {
        self.more = self.more.with(executor);
        self
    }

    /// Containers run on the engines of these hosts, too.
    #[must_use]
    pub fn hosts(mut self, hosts: impl HostDirectory + 'static) -> Self {
        self.hosts = Some(Arc::new(hosts));
        self
    }

    /// A manager and what drives it: nothing happens unless somebody polls the [`Driver`].
    ///
    /// # Errors
    /// [`ManagerError`].
    pub async fn build(self) -> Result<(ServiceManager, Driver), ManagerError> {
        let (shared, driver) = blocking::unblock(move || self.assemble()).await?;
        let shared = Arc::new(shared);
        Ok((ServiceManager { shared }, driver))
    }

    /// A manager that drives itself on a thread of its own. Returns once every service of an earlier owner of the state
    /// has been found again, or found gone.
    ///
    /// # Errors
    /// [`ManagerError`].
    pub async fn start(self) -> Result<ServiceManager, ManagerError> {
        let (mut shared, driver) = blocking::unblock(move || self.assemble()).await?;
        shared.thread = Some(OwnThread::start(driver)?);
        let manager = ServiceManager {
            shared: Arc::new(shared),
        };
        manager.adopted().await;
        Ok(manager)
    }

    fn assemble(self) -> Result<(Shared, Driver), ManagerError> {
        let own = self
            .state_dir
            .is_none()
            .then(crate::host::private_directory);
        let root = self.state_dir.clone().or_else(|| own.clone());
        let root = root.expect("one of the two is there");
        let run_dir = self.run_dir.unwrap_or_else(|| root.join("run"));
        let logs = LogStore::new(self.log_dir.unwrap_or_else(|| root.join("log")))
            .with_total(self.log_total);
        make_private(&root)?;
        make_private(&run_dir)?;
        let store: Arc<dyn Store> = match (self.store, &self.state_dir) {
            (Some(store), _) => store,
            (None, Some(directory)) => Arc::new(DiskStore::open(directory)?),
            (None, None) => Arc::new(MemoryStore),
        };
        let shim = self.shim.unwrap_or_else(ShimProgram::find);
        let docker = DockerExecutor::in_directory(root.join("docker"), shim.clone());
        let process = ProcessExecutor::in_directory(run_dir.clone(), shim);
        let mut executors = Executors::local(process, docker.clone());
        if let Some(hosts) = self.hosts {
            let fleet = DockerFleet::new(docker, hosts, run_dir.join(ENGINES));
            executors = executors.with(fleet.attaching()).with(fleet);
        }
        let executors = executors.with_all(self.more);
        let spawner = Arc::new(Executor::new());
        let channel = async_channel::unbounded();
        let inbox = channel.0.clone();
        let (owner, owned) = async_channel::bounded(1);
        let (gone, ended) = async_channel::bounded(1);
        // Without state there is no next owner who could find what runs.
        let detached = Arc::new(AtomicBool::new(self.state_dir.is_some()));
        let setting = Setting {
            executors: executors.clone(),
            logs: logs.clone(),
            spawner: Arc::clone(&spawner),
            source: self.source,
            owned,
            detached: Arc::clone(&detached),
            gone,
        };
        let (supervisor, adopted) = Supervisor::restore(setting, store, channel)?;
        let registry = supervisor.registry();
        let main = spawner.spawn(supervisor.run());
        let shared = Shared {
            inbox,
            logs,
            executors,
            adopted,
            registry,
            ended,
            detached,
            owner: Some(owner),
            thread: None,
        };
        let driver = Driver {
            executor: spawner,
            main: Some(main),
            _own: own.map(OwnDirectory),
        };
        Ok((shared, driver))
    }
}

/// What drives a manager: nothing happens unless it is run.
#[derive(Debug)]
pub struct Driver {
    executor: Arc<Executor<'static>>,
    main: Option<async_executor::Task<()>>,
    _own: Option<OwnDirectory>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A task that is dropped goes when the executor runs it once more, and the supervisor holds the executor: without
        // this, neither would ever go, nor the lock on the state.
        if let Some(main) = self.main.take() {
            drop(main);
            while self.executor.try_tick() {}
        }
    }
}

impl Driver {
    /// The executor on which everything of the manager runs: more threads may help by running it.
    pub fn executor(&self) -> &Arc<Executor<'static>> {
        &self.executor
    }

    /// Drives the manager until it ends.
    ///
    /// # Cancellation
    /// Dropping the future stops the manager where it is; its services run on.
    pub async fn run(mut self) {
        if let Some(main) = &mut self.main {
            self.executor.run(main).await;
        }
        // It has ended: there is nothing left that would have to be dropped.
        self.main = None;
    }
}

/// A private directory that goes with its manager.
#[derive(Debug)]
struct OwnDirectory(PathBuf);

impl Drop for OwnDirectory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a private directory is left behind");
        }
    }
}

/// The thread that drives a manager which nobody else drives.
#[derive(Debug)]
pub(super) struct OwnThread(Option<JoinHandle<()>>);

impl OwnThread {
    fn start(driver: Driver) -> Result<Self, ManagerError> {
        let thread = std::thread::Builder::new()
            .name("harness-manager".into())
            .spawn(|| async_io::block_on(driver.run()))
            .map_err(ManagerError::Thread)?;
        Ok(Self(Some(thread)))
    }

    /// Returns when the manager has ended.
    pub(super) fn join(&mut self) {
        // Where something that the manager itself drives had the last handle, it cannot wait for its own end.
        if let Some(thread) = self.0.take()
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("the manager's thread has panicked");
        }
    }
}

fn make_private(path: &Path) -> Result<(), ManagerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| ManagerError::Directory {
            path: path.to_path_buf(),
            source,
        })
}
