//! What units have said: read from any point on, while it is being written, as pieces or as lines.
//!
//! Owns: where each unit's log lies, and the way from raw pieces to lines. Never writes: the shim does. A reader can
//! neither slow a service nor miss a line without being told how much is missing.
//!
//! A log is read as [`LogPiece`]s, which are what lies there, cut anywhere. [`LineJoiner`] makes lines of them, wherever
//! somebody wants lines: in this process, or in a client on the other side of a connection.

mod join;
mod line;
mod piece;
mod pieces;
mod query;
mod reader;
mod store;
mod tail;
mod unit_log;

pub use join::{LineJoiner, LogLines, LogSpan};
pub use line::{LogCursor, LogLine, LogStream};
pub use piece::{LogPiece, LogPlace, Piece};
pub use pieces::{LogPieces, Reach};
pub use query::{AttemptFilter, LogQuery};
pub use store::LogStore;
pub use unit_log::{LogError, LogFollower, UnitLog};
