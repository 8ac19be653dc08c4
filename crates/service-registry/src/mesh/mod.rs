//! A WireGuard mesh for those who need each other, as a plan.
//!
//! Start reading at [`MeshRequest`] (who needs whom), then [`MeshPlan`] (what each host does for it).

mod key;
mod plan;
mod relay;
mod request;

pub use key::{KeyError, PublicKey};
pub use plan::{InterfacePlan, MeshPlan, PairWay, PeerPlan, plan, rotate};
pub use request::{MeshError, MeshRequest, Node, NodeKey, Pair};
