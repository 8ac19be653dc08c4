//! The record of what clients changed.
//!
//! Owns: the files `audit/*.jsonl` in the state directory, one JSON document a line, each carrying the hash of the one
//! before. [`record`] is the form of a line, [`journal`] appends, [`reading`] reads and verifies. Never holds a value of
//! a variable, a secret or a definition: names only.
//!
//! Durability: a line is written before the call is answered, so it survives the end of the daemon by any means. It is
//! forced to disk at once when it is about clients or the daemon's end, else by the system: a power cut may take the last
//! seconds of the rest. When a line cannot be written (disk full), the call goes on and the next line says how many are
//! missing: otherwise a full disk would keep everybody from stopping what fills it.
//!
//! What the hashes show: a line that was changed, removed or put in between, and, by the head file, an end that was cut
//! off. Whoever owns the files can write all of them anew; against that, note the head that `harness audit --verify`
//! prints somewhere else.

mod journal;
mod reading;
mod record;

pub(crate) use journal::{Audit, Durability};
pub use reading::{AuditError, audit_directory, read, verify};
pub use record::AuditRecord;
pub(crate) use record::Entry;
