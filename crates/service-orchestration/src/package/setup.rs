//! The setup script of a package.
//!
//! Owns: running it on the host, as the user that services run as there, until its deadline. The lock of the slot is held meanwhile. It runs before
//! its version becomes current, so its failure changes nothing; and it may have run before, so it has to bear that.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use harness_package::About;
use service_shim::RawString;
use service_shim::agent::record::{CommandExit, Record};

use super::error::DeployError;
use super::session::{Brought, PackageSession};

/// How a setup script is run.
#[derive(Debug, Clone)]
pub struct SetupOrder {
    /// What it finds in its environment besides what its package says: addresses of what it needs, for one.
    pub environment: Vec<(String, String)>,
    /// When it is killed, with its process group.
    pub timeout: Duration,
}

impl Default for SetupOrder {
    /// Five minutes, and nothing besides.
    fn default() -> Self {
        Self {
            environment: Vec::new(),
            timeout: Duration::from_secs(300),
        }
    }
}

/// How a setup script failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupEnd {
    /// It said so.
    Code(i32),
    /// It was killed.
    Signal(i32),
    /// It took longer than it may.
    TimedOut(Duration),
}

impl fmt::Display for SetupEnd {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(formatter, "failed with exit code {code}"),
            Self::Signal(signal) => write!(formatter, "was ended by signal {signal}"),
            Self::TimedOut(limit) => write!(formatter, "was killed: it took more than {limit:?}"),
        }
    }
}

impl PackageSession {
    /// Runs the setup script of a version that was brought, if it has one. `heard` is told what it says, as it says it; the last of it is
    /// kept on the host.
    ///
    /// # Errors
    /// [`DeployError::Setup`], with the last of what it said.
    pub async fn set_up(
        &mut self,
        brought: &Brought,
        order: &SetupOrder,
        mut heard: impl FnMut(&[u8]),
    ) -> Result<(), DeployError> {
        let Some(setup) = &brought.about.setup else {
            return Ok(());
        };
        let program = brought.directory.join(setup.as_str());
        let step = "running the setup script";
        let running = self.link.exec(
            vec![RawString::from(program.into_os_string())],
            self.environment(&brought.about, order),
            Some(brought.directory.clone()),
            Some(order.timeout),
        );
        let mut running = running.await.map_err(|source| self.lost(step, source))?;
        running.close_stdin();
        let mut output = Vec::new();
        let exit = loop {
            let record = running.next().await;
            match record.map_err(|source| self.lost(step, source))? {
                Record::Output { bytes, .. } => {
                    heard(&bytes);
                    output.extend_from_slice(&bytes);
                    let surplus = output.len().saturating_sub(MOST_OUTPUT);
                    output.drain(..surplus);
                }
                Record::Exit(exit) => break exit,
                Record::Begin { .. } | Record::End { .. } | Record::Gap { .. } => {}
            }
        };
        self.keep_output(&brought.place, &output).await?;
        let end = match exit {
            CommandExit::Code(0) => return Ok(()),
            CommandExit::Code(code) => SetupEnd::Code(code),
            CommandExit::Signal(signal) => SetupEnd::Signal(signal),
            CommandExit::TimedOut => SetupEnd::TimedOut(order.timeout),
        };
        let host = self.host();
        Err(DeployError::Setup { host, end, output })
    }

    /// Later ones go before earlier ones.
    fn environment(&self, about: &About, order: &SetupOrder) -> Vec<(RawString, RawString)> {
        let home = self.link.hello().home.clone();
        let mut all = std::collections::BTreeMap::from([
            ("PATH".to_owned(), RawString::from(PATH)),
            ("HOME".to_owned(), path(home)),
        ]);
        let of_package = about.environment.iter();
        let given = of_package.chain(order.environment.iter().map(|(name, value)| (name, value)));
        all.extend(given.map(|(name, value)| (name.clone(), RawString::from(value.as_str()))));
        let version = about.version.to_string();
        all.insert("HARNESS_PACKAGE".to_owned(), about.name.as_str().into());
        all.insert("HARNESS_VERSION".to_owned(), version.as_str().into());
        all.into_iter()
            .map(|(name, value)| (RawString::from(name.as_str()), value))
            .collect()
    }
}

fn path(path: PathBuf) -> RawString {
    RawString::from(path.into_os_string())
}

/// Where programs are on hosts of every kind.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Enough for what went wrong at last.
const MOST_OUTPUT: usize = 64 << 10;
