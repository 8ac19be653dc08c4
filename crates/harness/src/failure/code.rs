//! What the program exits with.
//!
//! Owns: the table from a kind of failure to an exit code. The codes are promised in docs/cli.md.

use std::io;

use super::Failure;

impl Failure {
    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Declined
            | Self::Image(_)
            | Self::Io { .. }
            | Self::MeshNotWhole { .. }
            | Self::NoRoute { .. } => 1,
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
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use harness_core::client::ConnectError;
    use harness_core::protocol::{ApiError, ErrorCode};

    use super::*;
    use crate::interrupt::Interrupt;

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
