//! Who is where, and how each is reached by the others.
//!
//! Owns: the endpoints that services have published, the addresses that are handed out to them, and the rule that
//! turns two places into a route. Never starts or probes anything, never resolves a DNS name, never calls back into
//! whoever publishes: readers look up, or follow the changes.
//!
//! Start reading at [`Entry`] (what is known of a service), then [`route()`] (the rule), then [`Registry`] (the one
//! owner). Addresses on the loopback network come from [`LoopbackPool`], those of other networks from [`pool::Pool`]; what
//! a service is told about another, from [`Resolved`]. Hosts that reach each other by a mesh only are joined by
//! [`mesh::plan`].

mod entry;
pub mod journal;
mod lease;
mod ledger;
mod loopback;
pub mod mesh;
mod network;
mod place;
pub mod pool;
mod registry;
mod resolved;
mod route;
mod subnet;
mod topology;
mod watch;

pub use entry::{Endpoint, Entry, Incarnation, InstanceKey, Readiness, ServiceKey};
pub use lease::{Ending, Lease, LeaseError, Leased, Owner, Standing, Tombstone};
pub use ledger::{Change, ChangeKind, Outcome};
pub use loopback::{AllocateError, LoopbackPool, RestoreError};
pub use network::{Network, NetworkError};
pub use place::{Attachment, HostId, Place};
pub use registry::{Registry, ResolveError, Snapshot};
pub use resolved::Resolved;
pub use route::{Reason, Route, RouteError, detour, route, route_to_port};
pub use subnet::{Subnet, SubnetError};
pub use topology::{
    DefaultRoute, Detour, HostNet, Interface, InterfaceAddress, InterfaceKind, Sight, Topology,
};
pub use watch::{Cursor, Update, Watch};
