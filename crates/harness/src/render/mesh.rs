//! The meshes of a stack: a table for each, and what came of a change of keys.
//!
//! Owns: what stands in them and in which order. What there is, the hosts have told.

use chrono::{DateTime, Utc};
use harness_core::report::{MeshHostStatus, MeshPeerStatus, MeshStatus, NetStatus, Rotation};

use super::ages::{short, since};
use super::escape::escaped;
use super::look::{Look, Span};
use super::status::bytes;
use super::table::{Cell, Column, NOTHING, column, table};

/// A table for each mesh, under a line that names it.
pub(crate) fn mesh_tables(look: &Look, status: &NetStatus, now: DateTime<Utc>) -> String {
    if status.meshes.is_empty() {
        return format!("No mesh joins hosts of `{}`.\n", status.stack);
    }
    let each = status.meshes.iter().map(|mesh| one(look, mesh, now));
    each.collect::<Vec<_>>().join("\n")
}

fn one(look: &Look, mesh: &MeshStatus, now: DateTime<Utc>) -> String {
    let name = format!("{}/{}", mesh.stack, mesh.network);
    let mut text = look.paint(Span::Strong, &escaped(name.as_bytes()));
    if let Some(subnet) = &mesh.subnet {
        text += &format!(" {subnet}");
    }
    text.push('\n');
    for pair in &mesh.pairs {
        let [one, other] = &pair.hosts;
        let over = pair.relay.as_ref().map(|relay| format!(", over {relay}"));
        let line = format!(
            "  {one} {} {other}{}",
            look.glyph("↔", "<->"),
            over.unwrap_or_default()
        );
        text += &format!("{}\n", escaped(line.as_bytes()));
    }
    let rows: Vec<Vec<Cell>> = mesh.hosts.iter().flat_map(|host| rows(host, now)).collect();
    for line in table(look, &COLUMNS, &rows) {
        text += &format!("{line}\n");
    }
    for host in &mesh.hosts {
        if let Some(problem) = &host.problem {
            let line = format!("{}: {problem}", host.host);
            text += &format!("{}\n", look.paint(Span::Bad, &escaped(line.as_bytes())));
        }
    }
    text
}

/// A row for each peer; one for a host without any.
fn rows(host: &MeshHostStatus, now: DateTime<Utc>) -> Vec<Vec<Cell>> {
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    let start = |peer: &str, told: Vec<Cell>| {
        let by = match (&host.implementation, &host.next_key) {
            (Some(by), Some(_)) => Some(format!("{by}, changes its key")),
            (by, _) => by.clone(),
        };
        let first = [
            Cell::new(escaped(host.host.as_bytes())),
            Cell::new(or_nothing(host.address.map(|at| at.to_string()))),
            Cell::new(or_nothing(by)),
            Cell::new(escaped(peer.as_bytes())),
        ];
        first.into_iter().chain(told).collect()
    };
    if host.peers.is_empty() {
        return vec![start(NOTHING, [NOTHING; 4].map(Cell::new).into())];
    }
    let peers = host.peers.iter().map(|peer| {
        let name = peer.host.as_deref().unwrap_or("unknown");
        start(name, told(peer, now))
    });
    peers.collect()
}

fn told(peer: &MeshPeerStatus, now: DateTime<Utc>) -> Vec<Cell> {
    let endpoint = peer.endpoint.map(|at| at.to_string());
    let handshake = match peer.handshake_at {
        Some(at) => Cell::new(format!("{} ago", short(since(at, now)))),
        None => Cell::painted("never", Span::Dim),
    };
    vec![
        Cell::new(endpoint.unwrap_or_else(|| NOTHING.to_owned())),
        handshake,
        Cell::new(bytes(peer.received)),
        Cell::new(bytes(peer.sent)),
    ]
}

/// What came of a change of keys, a line for each host.
pub(crate) fn rotation_lines(rotation: &Rotation) -> String {
    let mut lines: Vec<String> = rotation
        .turned
        .iter()
        .map(|host| format!("{host}: has a new key"))
        .collect();
    for held in &rotation.waiting {
        lines.push(format!("{}: waits: {}", held.host, held.reason));
    }
    for held in &rotation.kept {
        lines.push(format!("{}: keeps its key: {}", held.host, held.reason));
    }
    if lines.is_empty() {
        lines.push("No mesh joins hosts of this stack.".to_owned());
    }
    let line = |line: &String| format!("{}\n", escaped(line.as_bytes()));
    lines.iter().map(line).collect()
}

const COLUMNS: [Column; 8] = [
    column("HOST", 0),
    column("ADDRESS", 0),
    column("BY", 4),
    column("TALKS TO", 0),
    column("AT", 3),
    column("HANDSHAKE", 0),
    column("RECEIVED", 1),
    column("SENT", 2),
];

#[cfg(test)]
mod tests {
    use harness_core::report::{MeshPairStatus, RotationHeld};
    use harness_core::spec::StackName;

    use super::*;

    fn host(name: &str, last: u8) -> MeshHostStatus {
        MeshHostStatus {
            host: name.to_owned(),
            address: Some([10, 42, 0, last].into()),
            implementation: Some("userspace".into()),
            interface: Some("hm0".into()),
            port: Some(51820),
            key: None,
            next_key: None,
            problem: None,
            peers: Vec::new(),
        }
    }

    #[test]
    fn a_mesh_is_shown_with_who_talks_to_whom_and_what_is_wrong() {
        let now = DateTime::from_timestamp(1_000_000, 0).expect("a time");
        let peer = MeshPeerStatus {
            host: Some("far".into()),
            endpoint: "192.0.2.7:51820".parse().ok(),
            handshake_at: DateTime::from_timestamp(999_988, 0),
            received: 5 << 20,
            sent: 0,
        };
        let silent = MeshPeerStatus {
            host: None,
            endpoint: None,
            handshake_at: None,
            received: 0,
            sent: 148,
        };
        let near = MeshHostStatus {
            peers: vec![peer, silent],
            next_key: Some("soon".into()),
            ..host("local", 1)
        };
        let far = MeshHostStatus {
            problem: Some("its interface hm0 was not there, and is made again".into()),
            implementation: None,
            ..host("far", 2)
        };
        let stack = StackName::new("shop").expect("a name");
        let status = NetStatus {
            schema_version: 1,
            stack: stack.clone(),
            meshes: vec![MeshStatus {
                network: "wg".into(),
                stack: stack.clone(),
                subnet: Some("10.42.0.0/24".into()),
                pairs: vec![MeshPairStatus {
                    hosts: ["far".into(), "local".into()],
                    relay: Some("hub".into()),
                    stacks: vec![stack],
                }],
                hosts: vec![near, far],
            }],
        };
        insta::assert_snapshot!(mesh_tables(&Look::plain(), &status, now));
        let rotation = Rotation {
            turned: vec!["local".into()],
            waiting: vec![RotationHeld {
                host: "hub".into(),
                reason: "its next key is not known yet on far".into(),
            }],
            kept: vec![RotationHeld {
                host: "far".into(),
                reason: "no answer".into(),
            }],
        };
        insta::assert_snapshot!(rotation_lines(&rotation));
    }
}
