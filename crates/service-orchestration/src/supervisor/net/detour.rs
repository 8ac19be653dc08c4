//! Ways that SSH carries, because none leads there by itself.
//!
//! Owns: the sentences about them. Which they are, the registry says.

use service_registry::{Detour, Endpoint, Entry, HostId, Reason, Registry, Resolved};

use super::Sight;
use crate::report::{Carriage, NetForwarder, NetReason, NetRefusal};

impl Sight<'_> {
    /// What is said of a unit that its asker will reach by SSH once it is launched.
    pub(super) fn to_be_carried(&self, registry: &Registry, entry: &Entry) -> Option<NetRefusal> {
        if !self.can_carry {
            return None;
        }
        let mut detours = registry.detours(entry, &self.from).into_iter().flatten();
        let Detour { from, to, target } = detours.next()?;
        let other = self.other.id.local_name();
        let way = format!(
            "from loopback of {} to {target} of {}",
            named(&from),
            named(&to)
        );
        Some(match self.asker {
            Some(asker) => {
                let asker = asker.id.local_name();
                NetRefusal {
                    code: "not-started".into(),
                    text: format!(
                        "neither LAN nor mesh leads `{asker}` to `{other}`; once `{asker}` is launched, SSH carries its connections {way}"
                    ),
                    hint: format!("start `{asker}`: the port is chosen then"),
                }
            }
            None => NetRefusal {
                code: "only-carried".into(),
                text: format!(
                    "neither LAN nor mesh leads to `{other}`; SSH carries connections {way} for units that depend on it"
                ),
                hint: format!("`harness exec {other} -- COMMAND` asks it where it runs"),
            },
        })
    }
}

impl Sight<'_> {
    /// Why it is that address; where a mesh was wanted and something else leads there, why there is none.
    pub(super) fn reason(&self, reason: Reason) -> NetReason {
        let plain = net_reason(reason);
        let is_instead = matches!(reason, Reason::Forward | Reason::Nat | Reason::Routed);
        match self.apart.filter(|_| is_instead) {
            Some(apart) => NetReason {
                text: format!("{}; no mesh: {apart}", plain.text),
                ..plain
            },
            None => plain,
        }
    }
}

/// What carries connections to a port, if SSH does.
pub(super) fn carried(
    registry: &Registry,
    resolved: &Resolved,
    from: &service_registry::Place,
    endpoint: &Endpoint,
) -> Option<NetForwarder> {
    if resolved.route.reason != Reason::Forward {
        return None;
    }
    let alone = Entry {
        endpoints: vec![endpoint.clone()],
        ..Entry::clone(&resolved.entry)
    };
    let detour = registry
        .detours(&alone, from)
        .into_iter()
        .flatten()
        .next()?;
    let (_, listen) = resolved.endpoints().next()?;
    Some(NetForwarder {
        listen,
        to: detour.target,
        carriage: Some(Carriage::Ssh),
    })
}

fn named(host: &HostId) -> String {
    match *host == HostId::local() {
        true => "this machine".to_owned(),
        false => host.to_string(),
    }
}

fn net_reason(reason: Reason) -> NetReason {
    NetReason {
        code: reason.code().into(),
        text: reason.to_string(),
    }
}
