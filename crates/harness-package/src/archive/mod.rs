//! The archive: gzip over a tar that holds a manifest, then the files in order.

mod build;
mod gate;
mod header;
mod refusal;
mod scan;
mod write;

pub use build::{BuildError, Built, build};
pub use refusal::{Limits, Refusal};
pub(crate) use scan::{NoSink, ScanError, Sink, scan};
