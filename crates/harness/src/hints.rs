//! What can be done about a refusal of the daemon's.
//!
//! Owns: those hints. Which failure has which other hint, [`crate::failure`] knows.

use harness_core::client::ReplaceError;
use harness_core::protocol::{ApiError, ErrorCode};

/// Where a daemon was not replaced.
pub(crate) fn of_replacing(error: &ReplaceError) -> Vec<String> {
    match error {
        ReplaceError::Foreground { .. } => vec![
            "`harness daemon stop --keep` ends it and leaves its services running; then run it again where it ran"
                .to_owned(),
        ],
        ReplaceError::Foreign { program, .. } => vec![format!(
            "`harness daemon stop --keep` ends it and leaves its services running; then start `{program}` anew"
        )],
        ReplaceError::Vacant { .. } => vec![
            "mend the cause, then `harness daemon start`, which takes over what runs"
                .to_owned(),
        ],
        ReplaceError::Remained { .. } => vec![
            "`harness daemon logs` may say why; `kill -9` of it leaves its services running, too".to_owned(),
        ],
        _ => Vec::new(),
    }
}

/// Where a daemon refused.
pub(crate) fn of_api(error: &ApiError) -> Vec<String> {
    let similar = || error.data.get("similar").and_then(|name| name.as_str());
    match error.code {
        ErrorCode::Needed => vec![
            "--with-dependents stops them too, --force leaves them without what they need"
                .to_owned(),
        ],
        ErrorCode::OtherStack => {
            let other = error.data.get("other").and_then(|name| name.as_str());
            other
                .map(|stack| format!("ask about that one: `harness -p {stack} net map`"))
                .into_iter()
                .collect()
        }
        ErrorCode::UnknownMethod => vec![
            "the daemon is older than this program: `harness daemon restart` replaces it, services go on"
                .to_owned(),
        ],
        ErrorCode::UnknownUnit => similar()
            .map(|name| format!("did you mean `{name}`?"))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}
