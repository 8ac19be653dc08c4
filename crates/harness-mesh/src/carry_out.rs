//! A plan becomes interfaces.
//!
//! Owns: that every host is asked, in which order, and what came of each. One that fails holds up no other.

use std::collections::BTreeMap;

use futures::future::join_all;
use service_registry::HostId;
use service_registry::mesh::MeshPlan;

use crate::error::NodeError;
use crate::node::MeshNode;
use crate::secret::MeshSecret;
use crate::status::Implementation;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Carried {
    /// The hosts that are as planned, and what moves their packets.
    pub done: BTreeMap<HostId, Implementation>,
    /// The hosts that are in no plan any more, of which nothing is left.
    pub removed: Vec<HostId>,
    /// The hosts that are not as planned.
    pub failed: BTreeMap<HostId, NodeError>,
}

/// Makes each of these hosts what the plan says of it; those of which it says nothing are removed from the mesh. Hosts of the plan
/// that are not among them are left alone.
///
/// # Cancellation
/// What was begun is killed on its host, and may be half done: carry the plan out again.
pub async fn carry_out<'a>(
    plan: &MeshPlan,
    nodes: impl IntoIterator<Item = &'a MeshNode>,
    secret: &MeshSecret,
) -> Carried {
    // Whoever has to open a tunnel does it at once, and again only five seconds later: whom it opens it to comes first.
    let opens = |node: &&'a MeshNode| {
        let planned = plan.hosts.get(node.host());
        planned.is_some_and(|own| own.peers.values().any(|peer| peer.keepalive.is_some()))
    };
    let (openers, others): (Vec<_>, Vec<_>) = nodes.into_iter().partition(opens);
    let mut carried = Carried::default();
    for nodes in [others, openers] {
        let asked = nodes.into_iter().map(|node| one(plan, node, secret));
        for (host, came) in join_all(asked).await {
            carried.add(host, came);
        }
    }
    carried
}

/// What came of a host that is as planned: what moves its packets, or nothing where nothing was planned.
type Came = Result<Option<Implementation>, NodeError>;

async fn one(plan: &MeshPlan, node: &MeshNode, secret: &MeshSecret) -> (HostId, Came) {
    let came = match plan.hosts.get(node.host()) {
        Some(planned) => node.apply(planned, secret).await.map(Some),
        None => node.remove().await.map(|()| None),
    };
    (node.host().clone(), came)
}

impl Carried {
    fn add(&mut self, host: HostId, came: Came) {
        match came {
            Ok(Some(implementation)) => {
                self.done.insert(host, implementation);
            }
            Ok(None) => self.removed.push(host),
            Err(error) => {
                self.failed.insert(host, error);
            }
        }
    }
}
