//! The loop that owns the model and carries out what it decides.
//!
//! Owns: the one inbox, the turns (step, commit, release), timers, and the tasks of every unit. Everything else reports
//! to it. It never waits: whatever takes time is a task that reports back.

mod address;
mod adopt;
mod alarm;
mod cleaner;
mod commit;
mod container;
mod define;
mod describe;
mod difference;
mod ending;
mod environment;
mod found;
mod hosts;
mod hub;
mod imaging;
mod inbox;
mod input;
mod journal;
mod launch;
mod meshed;
mod net;
mod network;
mod notice;
mod one_off;
mod order;
mod perform;
mod ports;
mod probing;
mod registering;
mod request;
mod runner;
mod running;
mod scheme;
mod secrets;
mod snapshot;
mod timers;
mod turn;
mod units;
mod wait;
mod ways;

pub use one_off::{BeginError, OneOffLeft, OneOffReady, OneOffWish};
pub use request::{
    Applied, ApplyError, ApplyMode, ForgetError, NetError, Order, OrderError, Ordered,
    StackOverview, Subscribed, Waited,
};

pub use registering::{RegisterError, Registered};
pub use snapshot::StatusText;

pub(crate) use inbox::Inbox;
pub(crate) use net::{forwarders, see_forwarders};
pub(crate) use registering::Registering;
pub(crate) use request::Request;
pub(crate) use running::RunFacts;
pub(crate) use turn::{Setting, Supervisor};
