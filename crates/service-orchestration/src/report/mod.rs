//! What the daemon tells about its units: status, events, why something waits, and who is reached where.
//!
//! Owns: the shapes that programs read, `schema_version` 1. Fields are added, never changed or removed. Never decides
//! what a state is: that is the model's.

mod event;
mod mesh;
mod net;
mod phase;
mod status;

pub use event::{Event, EventKind};
pub use mesh::{
    MeshHostStatus, MeshPairStatus, MeshPeerStatus, MeshStatus, NetStatus, Rotation, RotationHeld,
};
pub use net::{
    Carriage, NetAttachment, NetEndpoint, NetForwarder, NetName, NetNameBy, NetPlace, NetReason,
    NetRefusal, NetUnit, NetView, PlaceKind,
};
pub use phase::Phase;
pub use status::{
    Blocked, ExitInfo, Health, HostLogin, OneOffStatus, SCHEMA_VERSION, StackStatus, StopInfo,
    UnitStatus, WaitingFor, Why, WhyReason,
};
