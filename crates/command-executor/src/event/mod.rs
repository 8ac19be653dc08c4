//! What a process does, as a stream of typed events.
//!
//! Rules of every stream: `Started` (or `System` for an attached process) comes first; the lines of one output keep
//! their order, nothing is ever lost or decoded away; `Exit` is the last event, after all the output of the main
//! process. Order *between* stdout and stderr is that of reading.

mod data;
mod filter;
mod process_event;
mod stream;

pub use data::EventData;
pub use filter::{EventFilter, PatternError};
pub use process_event::{LineEnd, ProcessEvent, ProcessEventType};
pub use stream::ProcessEventStream;
