//! The small files by which a daemon and its clients find each other, all in the state directory.
//!
//! | file | says | written by |
//! |---|---|---|
//! | `daemon.lock` | its lock: a daemon owns the directory; its text: that daemon's pid | the daemon, for as long as it lives |
//! | `daemon.json` | where the daemon answers ([`Endpoint`]) | the daemon, from its first to its last answer |
//! | `active` | that stacks were started and not stopped since: a client may bring a daemon up for them | the daemon |
//! | `start.lock` | its lock: a client is bringing a daemon up, or replacing one | that client |

mod active;
mod endpoint;
mod lock;
mod watch;

pub(crate) use active::{Active, has_active_stacks};
pub use endpoint::Endpoint;
pub(crate) use endpoint::EndpointError;
pub(crate) use lock::{LockError, StateLock, is_being_started, is_locked, start_lock};
pub(crate) use watch::Watch;
