//! What is to be run of a package on a host.
//!
//! Owns: the question, which waits for no lock.

use std::path::{Path, PathBuf};

use command_executor::agent::{AgentLink, StreamError};
use harness_package::About;
use harness_package::session::Current;
use harness_package::store::{Place, SlotName};
use service_shim::RawString;
use service_shim::agent::protocol::{Failure, FailureKind};
use service_shim::agent::record::CommandExit;

use crate::spec::{StackName, UnitName};

/// The current version of a package on a host.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Which.
    pub place: Place,
    /// The link that leads to its files.
    pub path: PathBuf,
    /// What it says of itself.
    pub about: About,
}

impl Installed {
    /// The current version of a slot; none where there is none.
    ///
    /// # Errors
    /// [`StreamError`]: the connection is lost, or the host does not say it.
    pub async fn find(
        agent: &AgentLink,
        root: &Path,
        slot: &SlotName,
    ) -> Result<Option<Self>, StreamError> {
        let mut argv = agent.hello().program.clone();
        if argv.is_empty() {
            let message = "packages need `harness-shim` on their host, which is not there";
            return Err(Failure::new(FailureKind::Request, message).into());
        }
        argv.extend(["package", "current"].map(RawString::from));
        argv.push(RawString::from(root.as_os_str().to_owned()));
        argv.push(RawString::from(slot.as_str()));
        let running = agent.exec(argv, Vec::new(), None, None).await?;
        let ([output, said], exit) = running.complete(MOST_ANSWER).await?;
        let senseless = |said: &[u8]| {
            let said = String::from_utf8_lossy(said).trim().replace('\n', ": ");
            let message =
                format!("its `harness-shim` does not tell which version is current: {said}");
            StreamError::from(Failure::new(FailureKind::System, message))
        };
        if exit != CommandExit::Code(0) {
            return Err(senseless(&said));
        }
        if output.is_empty() {
            return Ok(None);
        }
        let found: Current = serde_json::from_slice(&output).map_err(|_| senseless(&output))?;
        let about = About::from_json(&found.about).map_err(|_| senseless(&output))?;
        Ok(Some(Self {
            place: found.place,
            path: found.path,
            about,
        }))
    }
}

/// The slot of a service.
///
/// # Panics
/// Never: names of stacks and units are shorter than those of slots may be, and of the same letters.
pub fn slot_of(stack: &StackName, unit: &UnitName) -> SlotName {
    SlotName::try_from(format!("{stack}.{unit}")).expect("both are names")
}

/// No manifest is longer than this without its files.
const MOST_ANSWER: usize = 4 << 20;
