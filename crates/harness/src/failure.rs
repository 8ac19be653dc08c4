//! Everything that ends a verb early.
//!
//! Owns: the kinds of failure and their messages. What the program then exits with stands in [`code`], what is said of it
//! in [`told`]: nothing else in the program picks an exit code or prints an error.

mod code;
mod told;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use harness_config::Unsupported;
use harness_core::audit::AuditError;
use harness_core::client::{ClientError, ConnectError, EnrolError, LaunchError, ReplaceError};
use harness_core::protocol::ApiError;
use harness_core::{DaemonError, DirsError};

pub(crate) use self::told::exit_code;
use crate::interrupt::Interrupt;
use crate::verbs::exec_failure::ExecFailure;
use crate::verbs::host_failure::HostFailure;
use crate::verbs::image_failure::ImageFailure;
use crate::verbs::one_off_failure::OneOffFailure;
use crate::verbs::package_failure::PackageFailure;
use crate::verbs::registry_failure::RegistryFailure;

/// Why a verb did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// There is no stack file, and no name of a stack.
    #[error("there is no harness.yaml, services.yaml, services.yml or compose.yaml in {} or above it", directory.display())]
    NoStackFile {
        directory: PathBuf,
        stacks: Vec<String>,
    },
    /// The daemon knows no such stack.
    #[error("there is no stack `{stack}`")]
    UnknownStack {
        stack: String,
        similar: Option<String>,
    },
    /// The stack of the file was not started.
    #[error("stack `{stack}` has not been started")]
    NotStarted { stack: String },
    /// The same files are several stacks.
    #[error("several stacks are made of these files: {}", stacks.join(", "))]
    Ambiguous { stacks: Vec<String> },
    /// There is no such unit.
    #[error("there is no service or task `{unit}` in stack `{stack}`")]
    UnknownUnit {
        stack: String,
        unit: String,
        similar: Option<String>,
    },
    /// The unit is in the file, and the stack is without it.
    #[error(
        "`{unit}` is in the stack file under the profile {}, which was not started",
        profiles_message(profiles)
    )]
    BehindProfile { unit: String, profiles: Vec<String> },
    /// The stack file is wrong. Its diagnostics were printed.
    #[error("{summary}")]
    Diagnostics { summary: String },
    /// Wanted units cannot be run here.
    #[error("{}", unsupported_message(units))]
    Unsupported { units: Vec<Unsupported> },
    /// Units failed while they were waited for. A report was printed.
    #[error("{summary}")]
    Failed { summary: String, exit_code: u8 },
    /// What was run in the foreground ended so. It has said why itself.
    #[error("it ended with exit code {exit_code}")]
    Ended { exit_code: u8 },
    /// A one-off run did not end well.
    #[error(transparent)]
    OneOff(#[from] OneOffFailure),
    /// `status --exit-code`: it is not as it should be. What was printed shows it.
    #[error("not everything is running and healthy")]
    NotHealthy,
    /// It took too long.
    #[error("{what} within {limit:?}")]
    TimedOut { what: String, limit: Duration },
    /// The user had enough of waiting.
    #[error("{meanwhile}")]
    Interrupted { by: Interrupt, meanwhile: String },
    /// Nobody can be asked, and nobody said yes.
    #[error("{action} needs --yes where nobody can be asked")]
    NeedsYes { action: String },
    /// The user said no.
    #[error("nothing was done")]
    Declined,
    /// A verb about this machine's daemon, and another one is meant.
    #[error("`{verb}` is about the daemon of this machine, and `{context}` is elsewhere")]
    OnlyHere { verb: &'static str, context: String },
    /// A secret where every user of the machine can read it.
    #[error("a token among the arguments can be seen by every user of this machine")]
    TokenInArguments,
    /// One unit cannot reach another. What was printed shows it.
    #[error("{} has no way to `{to}`: {reason}", asker_name(from.as_deref()))]
    NoRoute {
        from: Option<String>,
        to: String,
        reason: String,
        hint: String,
    },
    /// Hosts of a mesh have not done what was asked of all. What was printed shows why.
    #[error("not all is well with the mesh on {}", hosts.join(", "))]
    MeshNotWhole { hosts: Vec<String> },
    /// A unit has no such port.
    #[error("`{unit}` has no port `{port}`")]
    UnknownPort {
        unit: String,
        port: String,
        ports: Vec<String>,
    },
    /// A unit has no port at all.
    #[error("`{unit}` declares no port")]
    NoPort { unit: String },
    /// The variables are about all ports of a unit.
    #[error("--port goes with `-o text` and `-o json`: the variables are about all ports")]
    PortOfVariables,
    /// A regular expression that is none.
    #[error("`{pattern}` is no regular expression")]
    Pattern {
        pattern: String,
        #[source]
        source: regex::Error,
    },
    /// A command was not run in a container, or has ended.
    #[error(transparent)]
    Exec(#[from] ExecFailure),
    /// An image was not built or fetched.
    #[error(transparent)]
    Image(#[from] ImageFailure),
    /// A service was not registered or found.
    #[error(transparent)]
    Registry(#[from] RegistryFailure),
    /// A host was not added, checked or removed.
    #[error(transparent)]
    Host(#[from] HostFailure),
    /// A package was not made or not taken, or a key not kept.
    #[error(transparent)]
    Package(#[from] PackageFailure),
    /// The daemon refused, failed, or went away.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no daemon, even after an attempt to start one.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The daemon was not replaced by one of this version.
    #[error(transparent)]
    Replace(#[from] ReplaceError),
    /// The daemon did not come up in this process.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// There is no place for our files.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// An invitation was not taken up, or what came of one cannot be used.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// The record of changes cannot be read.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What the daemon shall log is no filter.
    #[error("`{text}` in HARNESS_LOG is no filter")]
    LogFilter {
        text: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// A file or the terminal cannot be used.
    #[error("cannot {action}")]
    Io {
        action: String,
        #[source]
        source: io::Error,
    },
    /// Standard output cannot be written; with a broken pipe nobody wants it any more.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

fn profiles_message(profiles: &[String]) -> String {
    let quoted: Vec<String> = profiles.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(" or ")
}

fn unsupported_message(units: &[Unsupported]) -> String {
    let each = units
        .iter()
        .map(|unit| format!("`{}` cannot be run here: {}", unit.unit, unit.reason));
    each.collect::<Vec<_>>().join("\n       ")
}

fn asker_name(from: Option<&str>) -> String {
    from.map_or_else(|| "this machine".to_owned(), |unit| format!("`{unit}`"))
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Launch(LaunchError::Connect(error))
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Client(ClientError::Api(error))
    }
}

impl Failure {
    /// Something with files or the terminal did not work.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Whether there is no daemon.
    pub(crate) fn is_no_daemon(&self) -> bool {
        matches!(self, Self::Launch(LaunchError::Connect(error)) if error.is_not_running())
    }
}
