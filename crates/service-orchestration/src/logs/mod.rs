//! What units have said: read from any point on, as lines, while it is being written.
//!
//! Owns: where each unit's log lies, and the way from raw pieces to lines. Never writes: the shim does. A reader can
//! neither slow a service nor miss a line without being told how much is missing.

mod assemble;
mod line;
mod query;
mod store;
mod unit_log;

pub use line::{LogCursor, LogLine, LogStream};
pub use query::{AttemptFilter, LogQuery};
pub use store::LogStore;
pub use unit_log::{LogError, LogFollower, UnitLog};
