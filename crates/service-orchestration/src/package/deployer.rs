//! Deployments to one host.
//!
//! Owns: where on the host packages lie, and the usual order of the steps.

use std::path::PathBuf;

use command_executor::agent::HostLink;
use harness_package::About;
use harness_package::session::SlotVersions;
use harness_package::store::{Place, SlotName};
use service_shim::RawString;
use service_shim::agent::record::CommandExit;

use super::archive::SignedPackage;
use super::error::DeployError;
use super::session::{PackageSession, Switch};
use super::setup::SetupOrder;

/// Brings packages to a host, and goes back. Cheap to clone; works on this machine too, by an agent here.
#[derive(Debug, Clone)]
pub struct PackageDeployer {
    host: HostLink,
    /// Absolute, or below the home of whom the agent runs as.
    root: PathBuf,
}

/// How a deployment is made.
#[derive(Debug, Clone)]
pub struct DeployOptions {
    /// Who deploys, for those who have to wait.
    pub who: String,
    /// How many versions stay, the current one among them.
    pub keep: usize,
    /// How many bytes all versions together may have on the host.
    pub quota: Option<u64>,
    /// How the setup script is run.
    pub setup: SetupOrder,
}

impl DeployOptions {
    /// Three versions, without a quota.
    pub fn by(who: impl Into<String>) -> Self {
        Self {
            who: who.into(),
            keep: 3,
            quota: None,
            setup: SetupOrder::default(),
        }
    }
}

/// A version that is current on its host.
#[derive(Debug, Clone)]
pub struct Deployed {
    /// What was current before.
    pub from: Option<Place>,
    /// What is.
    pub place: Place,
    /// What it says of itself.
    pub about: About,
    /// The link that leads to its files, also after the next deployment to those of that one.
    pub current: PathBuf,
    /// Whether the archive had to be sent.
    pub was_sent: bool,
    /// Versions that are gone.
    pub removed: Vec<Place>,
}

impl PackageDeployer {
    /// To this host, into the directory of its user.
    pub fn new(host: HostLink) -> Self {
        let root = PathBuf::from(ROOT);
        Self { host, root }
    }

    /// Below this directory of the host instead; one that is not absolute is below the home of its user.
    #[must_use]
    pub fn in_directory(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = root.into();
        self
    }

    /// Takes the lock of a slot, for steps in an order of one's own.
    ///
    /// # Errors
    /// [`DeployError::Held`] says by whom.
    pub async fn open(
        &self,
        slot: &SlotName,
        options: &DeployOptions,
    ) -> Result<PackageSession, DeployError> {
        let root = self.root()?;
        PackageSession::begin(&self.host, &root, slot, &options.who, options.quota).await
    }

    /// Brings a package, prepares the host by its setup script, makes it current, and removes what is too old. `progress` is told of
    /// each step.
    ///
    /// # Errors
    /// [`DeployError`]; the version that was current is so still, unless its words say that nobody knows.
    ///
    /// # Cancellation
    /// Either version is current, whole, and the lock is free soon.
    pub async fn deploy(
        &self,
        slot: &SlotName,
        package: &SignedPackage,
        options: &DeployOptions,
        mut progress: impl FnMut(DeployStep<'_>),
    ) -> Result<Deployed, DeployError> {
        let mut session = self.open(slot, options).await?;
        let deployed = carry_out(&mut session, package, options, &mut progress).await;
        session.close().await;
        deployed
    }

    /// Makes the version current that was so before.
    ///
    /// # Errors
    /// [`DeployError`]; refused when there is none.
    pub async fn rollback(
        &self,
        slot: &SlotName,
        options: &DeployOptions,
    ) -> Result<Switch, DeployError> {
        let mut session = self.open(slot, options).await?;
        let switched = session.back().await;
        session.close().await;
        switched
    }

    /// Every slot that has a version, whoever has its lock.
    ///
    /// # Errors
    /// [`DeployError`].
    pub async fn list(&self) -> Result<Vec<SlotVersions>, DeployError> {
        let step = "listing the packages";
        let host = || self.host.name().to_owned();
        let link = self.host.agent()?;
        let mut argv = link.hello().program.clone();
        argv.extend(["package", "list"].map(RawString::from));
        argv.push(RawString::from(self.root()?.into_os_string()));
        let lost = |source| DeployError::Lost {
            host: host(),
            step,
            source,
        };
        let running = link.exec(argv, Vec::new(), None, None).await;
        let done = running.map_err(lost)?.complete(MOST_LISTING).await;
        let ([output, complaint], exit) = done.map_err(lost)?;
        if exit != CommandExit::Code(0) {
            let words = String::from_utf8_lossy(&complaint).trim().to_owned();
            return Err(DeployError::NoSession {
                host: host(),
                words,
            });
        }
        let lines = output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let found: Result<_, serde_json::Error> = lines.map(serde_json::from_slice).collect();
        found.map_err(|_| DeployError::Senseless { host: host(), step })
    }

    fn root(&self) -> Result<PathBuf, DeployError> {
        Ok(self.host.agent()?.hello().home.join(&self.root))
    }
}

/// The usual order of the steps.
async fn carry_out(
    session: &mut PackageSession,
    package: &SignedPackage,
    options: &DeployOptions,
    progress: &mut impl FnMut(DeployStep<'_>),
) -> Result<Deployed, DeployError> {
    let of = package.size();
    let brought = session
        .bring(package, |sent| progress(DeployStep::Sending { sent, of }))
        .await?;
    progress(DeployStep::Unpacked(&brought.place));
    let heard = |bytes: &[u8]| progress(DeployStep::Setup(bytes));
    session.set_up(&brought, &options.setup, heard).await?;
    let Switch { from, to, about } = session.switch(&brought.place).await?;
    progress(DeployStep::Switched(&to));
    let removed = session.prune(options.keep).await?;
    Ok(Deployed {
        from,
        place: to,
        about,
        current: session.current_path(),
        was_sent: brought.was_sent,
        removed,
    })
}

/// How far a deployment has come.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeployStep<'a> {
    /// The archive is on its way.
    Sending {
        /// Bytes that were sent.
        sent: u64,
        /// All of them.
        of: u64,
    },
    /// It is there, checked and unpacked.
    Unpacked(&'a Place),
    /// The setup script says something.
    Setup(&'a [u8]),
    /// It is current.
    Switched(&'a Place),
}

/// Below the home of whom the agent runs as.
const ROOT: &str = ".local/share/harness/packages";

/// More than anybody has packages.
const MOST_LISTING: usize = 16 << 20;
