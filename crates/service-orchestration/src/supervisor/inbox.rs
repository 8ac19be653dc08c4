//! Everything that can reach the supervisor, in the one order in which it does.
//!
//! Owns: the list. One inbox, one order: whatever is reported is seen before whatever is reported after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use service_registry::Attachment;

use super::Request;
use super::imaging::ImageNews;
use super::one_off::OneOffNews;
use super::ways::Done;
use crate::executors::{
    AdoptError, AttemptControl, AttemptFacts, ControlError, Ground, LaunchError, Making, Started,
};
use crate::model::{Attempt, Index};
use crate::probe::Checked;
use crate::report::ExitInfo;
use crate::store::StoreError;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Inbox {
    /// Somebody asks for something.
    Request(Request),
    /// Something happened to an attempt.
    Attempt {
        unit: Index,
        attempt: Attempt,
        news: AttemptNews,
    },
    /// Something of a unit was started where it runs, by whomever. `sure` when it runs still.
    Started { started: Started, sure: bool },
    /// Something happened to an image that is made before the turn of its unit.
    Image { unit: Index, news: ImageNews },
    /// Something happened to a one-off run.
    OneOff { id: String, news: OneOffNews },
    /// A turn was written to the store, or could not be.
    Committed(Result<(), StoreError>),
    /// It may be time to try the store again.
    RetryStore,
}

/// What can happen to an attempt.
#[derive(Debug)]
pub(crate) enum AttemptNews {
    /// What it will stand on is being made.
    Preparing(Making),
    /// What it will stand on is there: it can be launched.
    Prepared(Ground),
    /// What its launch needs of hosts was found out and made.
    Errands(Vec<Done>),
    /// Whoever runs it cannot be reached.
    Unreachable(String),
    /// It can be reached again.
    Reached,
    /// It was frozen by somebody else.
    Paused,
    /// It goes on after that.
    Resumed,
    /// Its networks are others now: those that it is on, and the one that it was made for, when it is not.
    Networks(BTreeMap<String, Attachment>, Option<String>),
    /// It may be launched now, which was not possible before.
    TryAgain,
    /// It runs.
    Launched(AttemptFacts, Arc<dyn AttemptControl>),
    /// It could not be launched.
    NotLaunched(LaunchError),
    /// An earlier daemon's attempt was found again, alive.
    Adopted(AttemptFacts, Arc<dyn AttemptControl>),
    /// Nobody can say whether an attempt lives. It is looked for again.
    NotFound(AdoptError),
    /// An earlier daemon died before it was launched.
    NeverBegan,
    /// It ended; no process of it is left.
    /// With what it said last, when it ended by an exit code that is not zero.
    Exited(ExitInfo, Vec<String>),
    /// It said by the sd_notify protocol that it is ready; told once.
    Ready,
    /// Nothing says how it is: no probe of its file, no check of its image.
    Unprobed,
    /// The check of its own says something else than before.
    CheckSaid,
    /// A probe of it was answered.
    Probed(Checked),
    /// An order to it failed.
    Disobeyed(ControlError),
    /// Its setup went one step further.
    Setup(SetupNews),
}

/// How the setup of a unit goes.
#[derive(Debug)]
pub(crate) enum SetupNews {
    Complete,
    Required,
    Failed(String),
}
