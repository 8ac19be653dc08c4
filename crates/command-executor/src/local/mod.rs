//! This host: launching with pipes, attaching by pidfd.

mod attacher;
mod handle;
mod launcher;
mod lines;
mod output;
mod pipe;
mod process;
mod stat;

pub use attacher::{LocalAttachedHandle, LocalAttacher};
pub use handle::LocalHandle;
pub use launcher::LocalLauncher;
