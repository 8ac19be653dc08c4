//! Checks that need the whole stack.
//!
//! Owns: everything about the graph, references, addresses and what can be run, and which values look like secrets. Goes on after errors: a unit whose target
//! is wrong still has dependencies that can be right or wrong.

mod addresses;
mod containers;
mod cycles;
mod edges;
mod index;
mod profiles;
mod references;
mod runnable;
mod secrets;

pub(crate) use profiles::leave_out;
pub use runnable::{Unsupported, unsupported, unsupported_with};
pub(crate) use secrets::in_clear;

use crate::compose::Refused;
use crate::decode::Decoded;
use crate::input::Sources;
use crate::report::Sink;
use crate::text::ReferenceUse;

/// Everything that can be said about a decoded stack.
pub(crate) fn graph(
    decoded: &Decoded,
    references: &[ReferenceUse],
    refused: &[Refused],
    sources: &Sources,
    sink: &mut Sink,
) {
    let kept = profiles::kept(decoded, sources);
    edges::check(decoded, sink);
    let index = index::Index::new(decoded);
    cycles::check(&index, sink);
    references::check(decoded, &index, references, sink);
    addresses::check(decoded, sink);
    containers::names(decoded, sink);
    if sources.is_here {
        containers::builds(decoded, &kept, &index, &sources.stack_directory(), sink);
    }
    profiles::refuse(decoded, &kept, refused, sink);
    runnable::check(decoded, sources, sink);
}
