//! This host: launching with pipes, attaching by pidfd.

mod attacher;
mod handle;
mod identity;
mod launcher;
mod lines;
mod output;
mod pipe;
mod process;

pub use attacher::{LocalAttachedHandle, LocalAttacher};
pub use handle::LocalHandle;
pub use identity::{IdentityError, ProcessIdentity};
pub use launcher::LocalLauncher;
