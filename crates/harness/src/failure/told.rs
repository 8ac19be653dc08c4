//! What is said of a failure, to people and to programs.
//!
//! Owns: the hints, the names of the kinds, and the one place that prints an error.

use std::io;
use std::process::ExitCode;

use harness_core::client::{ClientError, LaunchError, ReplaceError};
use harness_core::error_chain;

use super::Failure;
use crate::context::Context;
use crate::hints;
use crate::render::{self, Span};
use crate::verbs::exec_failure::ExecFailure;
use crate::verbs::one_off_failure::OneOffFailure;

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

impl Failure {
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
            Self::MeshNotWhole { .. } => "mesh-not-whole",
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
