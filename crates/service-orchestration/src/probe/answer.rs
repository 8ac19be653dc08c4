//! What a question is answered with.
//!
//! Owns: the kinds of answer, and how much of a reason is kept. Never counts them.

use async_trait::async_trait;

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it should be.
    Good,
    /// Not as it should be, and why.
    Bad(String),
    /// It is too early to say, and why: nothing is counted.
    NotYet(String),
    /// The question could not be asked, and why: it says nothing about the unit.
    Unknown(String),
}

impl Answer {
    /// [`Answer::Bad`] with a reason cut to 4 KiB.
    pub fn bad(reason: impl Into<String>) -> Self {
        Self::Bad(cut(reason.into()))
    }

    /// [`Answer::NotYet`] with a reason cut to 4 KiB.
    pub fn not_yet(reason: impl Into<String>) -> Self {
        Self::NotYet(cut(reason.into()))
    }

    /// [`Answer::Unknown`] with a reason cut to 4 KiB.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown(cut(reason.into()))
    }

    /// Why it is not good.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Good => None,
            Self::Bad(reason) | Self::NotYet(reason) | Self::Unknown(reason) => Some(reason),
        }
    }
}

/// A question that the embedding program asks itself.
#[async_trait]
pub trait CustomProbe: Send + Sync {
    /// Asks once. It is dropped when the probe's timeout passes, and then counts as [`Answer::Bad`].
    async fn check(&self) -> Answer;
}

/// Enough for a stack trace, little enough to keep for every unit.
pub(crate) const REASON_BYTES: usize = 4096;

fn cut(mut reason: String) -> String {
    let end = (0..=REASON_BYTES.min(reason.len()))
        .rev()
        .find(|at| reason.is_char_boundary(*at));
    reason.truncate(end.unwrap_or(0));
    reason
}
