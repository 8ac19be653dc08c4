//! A slot on another machine: orders in, answers out, one line of JSON each.
//!
//! Owns: the form of these lines, and serving them. Whoever serves has the lock of the slot from the first order to the last, and its death lets
//! it go. The archive itself does not come this way: it is written to the place that [`Reply::Wanted`] names.

mod current;
mod listing;
mod protocol;
mod serve;

pub use current::{Current, look};
pub use listing::{SlotVersions, list_all};
pub use protocol::{Order, RefusalKind, Reply};
pub use serve::{ServeError, serve};
