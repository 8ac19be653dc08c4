//! The daemon: one [`ServiceManager`](service_orchestration::ServiceManager) and everybody who may talk to it.
//!
//! Owns: the state directory's lock, the listener, the sessions, the note of active stacks. Never decides what a unit
//! does, and never waits on a client: sessions run here, the supervisor on a thread of its own, and a client that reads
//! slowly or leaves costs only its own session. Without clients nothing wakes it but its services.
//!
//! | step | when it fails |
//! |---|---|
//! | lock the state directory | the holder is named, nothing was touched |
//! | keys and certificates | nothing was touched |
//! | bind the address | nothing was touched |
//! | the supervisor: adopt what runs | a damaged store is kept aside, nothing is stopped |
//! | say where it answers (`daemon.json`), and answer | |

mod arrivals;
mod attendant;
mod builder;
mod clients;
mod enrol;
mod error;
mod events;
mod inputs;
mod listen;
mod logs;
mod merge;
mod parcel;
mod recorded;
mod registry;
mod run;
mod serve;
mod session;
mod shared;
mod stacks;
mod watching;

pub use builder::{BaseDaemonBuilder, package_root};
pub use error::DaemonError;
pub use listen::{Listen, ListenParseError};
pub use run::{BaseDaemon, DaemonHandle};
