//! Why a deployment came to nothing.
//!
//! Owns: the words. Whatever it is, the old version or the new one is current, whole.

use std::time::Duration;

use command_executor::agent::{PutError, RequestError, StreamError};
use harness_package::session::RefusalKind;
use harness_package::store::Holder;

use super::setup::SetupEnd;

/// Why a step of a deployment was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The host is not connected.
    #[error(transparent)]
    Host(#[from] RequestError),
    /// The connection was lost, or the agent refused. After a switch that was not answered, either version may be current.
    #[error("{host}: {step} was cut off")]
    Lost {
        /// Which host.
        host: String,
        /// What was to be done.
        step: &'static str,
        /// What happened.
        #[source]
        source: StreamError,
    },
    /// The program on the host knows nothing of packages.
    #[error("{host}: its `harness-shim` ended instead of answering{}", said(words))]
    NoSession {
        /// Which host.
        host: String,
        /// What it said.
        words: String,
    },
    /// What came is no answer to what was asked.
    #[error("{host}: its `harness-shim` gave no sensible answer to {step}")]
    Senseless {
        /// Which host.
        host: String,
        /// What was asked.
        step: &'static str,
    },
    /// It took too long.
    #[error("{host}: no answer to {step} within {limit:?}")]
    Late {
        /// Which host.
        host: String,
        /// What was asked.
        step: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// Somebody else deploys there.
    #[error("{host}: {} deploys there since {}", holder.who, holder.since())]
    Held {
        /// Which host.
        host: String,
        /// Who.
        holder: Holder,
    },
    /// The host says why not.
    #[error("{host}: {message}")]
    Refused {
        /// Which host.
        host: String,
        /// What can be done differently.
        kind: RefusalKind,
        /// What it said.
        message: String,
    },
    /// The archive did not get there.
    #[error("{host}: the package was not brought there")]
    Upload {
        /// Which host.
        host: String,
        /// Why.
        #[source]
        source: PutError,
    },
    /// The setup script did not do its work.
    #[error("{host}: the setup script {end}")]
    Setup {
        /// Which host.
        host: String,
        /// How it ended.
        end: SetupEnd,
        /// The last of what it said.
        output: Vec<u8>,
    },
}

fn said(words: &str) -> String {
    match words.is_empty() {
        true => String::new(),
        false => format!(": {words}"),
    }
}
