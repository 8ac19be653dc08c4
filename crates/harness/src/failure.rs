//! Everything that ends a verb early, and what the program then exits with.
//!
//! Owns: the one way from an error to an exit code, and the hints that go with it. Nothing else in the program picks an
//! exit code or prints an error.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use harness_config::Unsupported;
use harness_core::audit::AuditError;
use harness_core::client::{ClientError, ConnectError, EnrolError, LaunchError, ReplaceError};
use harness_core::protocol::ApiError;
use harness_core::{DaemonError, DirsError, error_chain};

use crate::context::Context;
use crate::hints;
use crate::interrupt::Interrupt;
use crate::render::{self, Span};
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

    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Declined | Self::Image(_) | Self::Io { .. } | Self::NoRoute { .. } => 1,
            Self::OnlyHere { .. } | Self::TokenInArguments | Self::PortOfVariables => 2,
            Self::Ended { exit_code } => *exit_code,
            Self::NeedsYes { .. } | Self::Pattern { .. } | Self::LogFilter { .. } => 2,
            Self::NotHealthy => 3,
            Self::NoStackFile { .. }
            | Self::UnknownStack { .. }
            | Self::NotStarted { .. }
            | Self::Ambiguous { .. }
            | Self::UnknownUnit { .. }
            | Self::NoPort { .. }
            | Self::BehindProfile { .. }
            | Self::UnknownPort { .. } => 4,
            Self::Diagnostics { .. } => 78,
            Self::Unsupported { .. } => 69,
            Self::Failed { exit_code, .. } => *exit_code,
            Self::TimedOut { .. } => 124,
            Self::Interrupted { by, .. } => by.exit_code(),
            Self::Exec(error) => error.exit_code(),
            Self::OneOff(error) => error.exit_code(),
            Self::Host(error) => error.exit_code(),
            Self::Package(error) => error.exit_code(),
            Self::Registry(error) => error.exit_code(),
            Self::Client(error) => error.exit_code(),
            Self::Launch(error) => error.exit_code(),
            Self::Replace(error) => error.exit_code(),
            Self::Daemon(error) => error.exit_code(),
            Self::Dirs(_) => 6,
            Self::Enrol(error) => error.exit_code(),
            Self::Audit(_) => 1,
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Output(_) => 1,
        }
    }

    /// Whether there is no daemon.
    pub(crate) fn is_no_daemon(&self) -> bool {
        matches!(self, Self::Launch(LaunchError::Connect(error)) if error.is_not_running())
    }

    /// Whether there is nothing to say: it was said, or nobody listens.
    fn is_silent(&self) -> bool {
        match self {
            Self::NotHealthy
            | Self::Ended { .. }
            | Self::Exec(ExecFailure::Ended(_))
            | Self::OneOff(OneOffFailure::Ended(_)) => true,
            Self::Output(error) => error.kind() == io::ErrorKind::BrokenPipe,
            _ => false,
        }
    }

    /// What can be done about it.
    fn hints(&self) -> Vec<String> {
        let did_you_mean = |similar: &Option<String>| {
            similar
                .iter()
                .map(|name| format!("did you mean `{name}`?"))
                .collect()
        };
        match self {
            Self::NoStackFile { stacks, .. } if stacks.is_empty() => {
                vec!["name the file with --file, or go where it is".to_owned()]
            }
            Self::NoStackFile { stacks, .. } => {
                vec![format!("name a stack with -p: {}", stacks.join(", "))]
            }
            Self::UnknownStack { similar, .. } if similar.is_none() => {
                vec!["`harness daemon status` lists the stacks".to_owned()]
            }
            Self::UnknownStack { similar, .. } | Self::UnknownUnit { similar, .. } => {
                did_you_mean(similar)
            }
            Self::NoRoute { hint, .. } => vec![hint.clone()],
            Self::UnknownPort { ports, .. } if !ports.is_empty() => {
                vec![format!("its ports: {}", ports.join(", "))]
            }
            Self::BehindProfile { unit, profiles } => {
                let profile = profiles.first().map_or("NAME", String::as_str);
                vec![format!(
                    "`harness start {unit}` starts it, `harness start --profile {profile}` all of that profile"
                )]
            }
            Self::NoPort { unit } => vec![format!("its address alone: `harness resolve {unit}`")],
            Self::NotStarted { .. } => vec!["`harness start`".to_owned()],
            Self::OnlyHere { .. } => {
                vec!["leave out --context, and HARNESS_CONTEXT in the environment".to_owned()]
            }
            Self::Exec(error) => error.hint().into_iter().collect(),
            Self::OneOff(error) => error.hint().into_iter().collect(),
            Self::Host(error) => error.hint().into_iter().collect(),
            Self::Package(error) => error.hint().into_iter().collect(),
            Self::TokenInArguments => {
                vec!["`harness daemon enroll -` reads it from standard input".to_owned()]
            }
            Self::Ambiguous { .. } => vec!["choose one with -p NAME".to_owned()],
            Self::Client(ClientError::Api(error)) => hints::of_api(error),
            // What can be repeated was repeated.
            Self::Client(ClientError::Lost { .. }) => vec![
                "whether it was done is unknown: look at `harness status` before you repeat it"
                    .to_owned(),
            ],
            Self::Launch(LaunchError::Connect(error))
            | Self::Client(ClientError::Connect(error))
                if error.is_not_running() =>
            {
                vec![
                    "`harness start` starts it with a stack, `harness daemon start` without"
                        .to_owned(),
                ]
            }
            Self::Replace(error) => hints::of_replacing(error),
            Self::Unsupported { .. } => {
                vec!["start other services by name, or see `harness validate`".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// The name of its kind, for programs.
    fn kind(&self) -> String {
        let name = match self {
            Self::NoStackFile { .. } => "no-stack-file",
            Self::UnknownStack { .. } => "unknown-stack",
            Self::NotStarted { .. } => "not-started",
            Self::Ambiguous { .. } => "ambiguous-stack",
            Self::UnknownUnit { .. } | Self::BehindProfile { .. } => "unknown-unit",
            Self::UnknownPort { .. } | Self::NoPort { .. } => "unknown-port",
            Self::NoRoute { .. } => "no-route",
            Self::Diagnostics { .. } => "invalid-stack-file",
            Self::Unsupported { .. } => "unsupported",
            Self::Failed { .. } => "failed",
            Self::NotHealthy => "not-healthy",
            Self::Ended { .. } => "ended",
            Self::OneOff(_) => "one-off",
            Self::Exec(_) => "exec",
            Self::Image(_) => "image",
            Self::Host(_) => "host",
            Self::Package(_) => "package",
            Self::Registry(_) => "registry",
            Self::TimedOut { .. } => "timed-out",
            Self::Interrupted { .. } => "interrupted",
            Self::NeedsYes { .. } => "needs-yes",
            Self::Declined => "declined",
            Self::Pattern { .. }
            | Self::LogFilter { .. }
            | Self::OnlyHere { .. }
            | Self::TokenInArguments
            | Self::PortOfVariables => "usage",
            Self::Client(ClientError::Api(error)) => return error.code.name(),
            Self::Client(_) | Self::Launch(_) => "no-daemon",
            Self::Replace(ReplaceError::Launch(_) | ReplaceError::Vacant { .. }) => "no-daemon",
            Self::Replace(_) | Self::Daemon(_) => "daemon",
            Self::Dirs(_) => "directories",
            Self::Enrol(_) => "enrolment",
            Self::Audit(_) => "audit",
            Self::Io { .. } | Self::Output(_) => "io",
        };
        name.to_owned()
    }
}

/// Says what went wrong, if anything did, and what the program exits with.
pub(crate) fn exit_code(context: &Context, outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    let code = failure.exit_code();
    if failure.is_silent() {
        return ExitCode::from(code);
    }
    let (message, hints) = (error_chain(&failure), failure.hints());
    if context.is_for_programs() {
        let document = serde_json::json!({
            "error": { "code": failure.kind(), "message": message, "hint": hints.first(), "exit_code": code }
        });
        render::note(&format!("{document}\n"));
        return ExitCode::from(code);
    }
    let look = &context.messages;
    let mut text = match failure {
        // No error: the user knows what he did.
        Failure::Interrupted { .. } | Failure::Declined => format!("{message}\n"),
        _ => format!("{} {message}\n", look.paint(Span::Bad, "error:")),
    };
    for hint in hints {
        text += &format!("  {} {hint}\n", look.paint(Span::Dim, "= help:"));
    }
    render::note(&text);
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use harness_core::protocol::ErrorCode;

    use super::*;

    #[test]
    fn every_kind_of_failure_has_the_exit_code_of_the_table() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        let no_daemon = ConnectError::NotRunning {
            state: PathBuf::from("/state"),
        };
        let needed = ApiError::new(ErrorCode::Needed, "api needs db");
        let table = [
            (Failure::Output(closed()), 0),
            (Failure::Declined, 1),
            (Failure::from(needed), 1),
            (
                Failure::NeedsYes {
                    action: "down".to_owned(),
                },
                2,
            ),
            (Failure::NotHealthy, 3),
            (
                Failure::UnknownStack {
                    stack: "s".to_owned(),
                    similar: None,
                },
                4,
            ),
            (
                Failure::from(ApiError::new(ErrorCode::UnknownUnit, "no")),
                4,
            ),
            (Failure::from(no_daemon), 5),
            (Failure::from(ApiError::new(ErrorCode::Forbidden, "no")), 6),
            (
                Failure::Failed {
                    summary: String::new(),
                    exit_code: 8,
                },
                8,
            ),
            (Failure::Unsupported { units: Vec::new() }, 69),
            (Failure::from(ApiError::new(ErrorCode::Internal, "no")), 70),
            (
                Failure::Diagnostics {
                    summary: String::new(),
                },
                78,
            ),
            (
                Failure::TimedOut {
                    what: String::new(),
                    limit: Duration::ZERO,
                },
                124,
            ),
            (
                Failure::Interrupted {
                    by: Interrupt::Int,
                    meanwhile: String::new(),
                },
                130,
            ),
            (
                Failure::Interrupted {
                    by: Interrupt::Term,
                    meanwhile: String::new(),
                },
                143,
            ),
        ];
        for (failure, code) in table {
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
    }
}
