//! Clients, invitations and the record of changes.
//!
//! Owns: their tables and lines.

use chrono::{DateTime, Utc};
use harness_core::audit::AuditRecord;
use harness_core::protocol::{
    AuditVerified, ClientInfo, ClientList, InvitationInfo, NamePattern, Role,
};

use super::ages::{duration, since};
use super::escape::escaped;
use super::look::{Look, Span};
use super::table::{Cell, Column, NOTHING, column, table};

/// Who may ask the daemon, and who is invited.
pub(crate) fn client_tables(look: &Look, list: &ClientList, now: DateTime<Utc>) -> String {
    let clients = list.items.iter().map(|client| client_row(client, now));
    let mut text = lines(look, &CLIENTS, &clients.collect::<Vec<_>>());
    if !list.invitations.is_empty() {
        let invited = list.invitations.iter().map(|one| invitation_row(one, now));
        text += "\n";
        text += &lines(look, &INVITATIONS, &invited.collect::<Vec<_>>());
    }
    text
}

/// One change.
pub(crate) fn audit_line(look: &Look, record: &AuditRecord) -> String {
    let time = record.time.format("%Y-%m-%d %H:%M:%S");
    let who = match (record.client.as_str(), record.role) {
        ("", _) => "(nobody yet)".to_owned(),
        (name, Some(role)) => format!("{name} ({role})"),
        (name, None) => name.to_owned(),
    };
    let mut what = record.stack.clone().unwrap_or_default();
    if !record.units.is_empty() {
        what += &format!(": {}", record.units.join(", "));
    }
    if let Some(about) = &record.about {
        what += about;
    }
    let span = if record.outcome == "ok" {
        Span::Good
    } else {
        Span::Bad
    };
    let said = format!("{time}  {who:<20}  {:<16}  ", record.method);
    format!(
        "{}{}  {}\n",
        escaped(said.as_bytes()),
        look.paint(span, &escaped(record.outcome.as_bytes())),
        escaped(what.as_bytes())
    )
}

/// Whether the record is as it was written.
pub(crate) fn audit_verdict(look: &Look, verified: &AuditVerified) -> String {
    let mut text = match verified.intact {
        true => look.paint(Span::Good, "the record is as it was written"),
        false => look.paint(Span::Bad, "the record is not as it was written"),
    };
    text += &format!(
        "\n records: {}, from {} to {}\n",
        verified.records,
        verified.first.unwrap_or_default(),
        verified.head_seq
    );
    if let Some(hash) = &verified.head_hash {
        text += &format!("    head: {hash}\n");
    }
    if verified.missing > 0 {
        text += &format!(" missing: {} could not be written\n", verified.missing);
    }
    for problem in &verified.problems {
        text += &format!(" {}\n", escaped(problem.as_bytes()));
    }
    text
}

fn client_row(client: &ClientInfo, now: DateTime<Utc>) -> Vec<Cell> {
    let state = match client.revoked_at {
        Some(at) => Cell::painted(
            format!("shut out {} ago", duration(since(at, now))),
            Span::Bad,
        ),
        None if client.connections > 0 => {
            Cell::painted(format!("{} connected", client.connections), Span::Good)
        }
        None => Cell::painted("away", Span::Dim),
    };
    let expires = client.expires_at.map_or_else(
        || NOTHING.to_owned(),
        |at| at.format("%Y-%m-%d").to_string(),
    );
    vec![
        Cell::new(client.name.as_str()),
        Cell::new(role(client.role, &client.register)),
        state,
        Cell::new(expires),
        Cell::new(client.enrolled_at.format("%Y-%m-%d").to_string()),
    ]
}

fn invitation_row(invited: &InvitationInfo, now: DateTime<Utc>) -> Vec<Cell> {
    vec![
        Cell::new(invited.name.as_str()),
        Cell::new(role(invited.role, &invited.register)),
        Cell::new(duration(since(now, invited.expires_at))),
        Cell::new(invited.invited_by.as_str()),
    ]
}

/// The role, and what may be registered although it does not allow it.
fn role(role: Role, register: &[NamePattern]) -> String {
    let names: Vec<String> = register.iter().map(ToString::to_string).collect();
    match names.is_empty() {
        true => role.to_string(),
        false => format!("{role}, registers {}", names.join(" ")),
    }
}

fn lines(look: &Look, head: &[Column], rows: &[Vec<Cell>]) -> String {
    table(look, head, rows)
        .iter()
        .map(|line| format!("{line}\n"))
        .collect()
}

const CLIENTS: [Column; 5] = [
    column("CLIENT", 0),
    column("ROLE", 0),
    column("STATE", 0),
    column("CERTIFICATE ENDS", 1),
    column("SINCE", 2),
];

const INVITATIONS: [Column; 4] = [
    column("INVITED", 0),
    column("ROLE", 0),
    column("FOR", 0),
    column("BY", 1),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    #[test]
    fn clients_and_invitations_have_their_lines() {
        let client = |name: &str, role, revoked_at, connections| ClientInfo {
            name: name.to_owned(),
            role,
            enrolled_at: sample::ago(864_000),
            serial: None,
            expires_at: Some(sample::ago(-864_000)),
            revoked_at,
            connections,
            register: Vec::new(),
        };
        let list = ClientList {
            schema_version: 1,
            items: vec![
                client("ci", Role::Deployer, None, 2),
                client("laptop", Role::Operator, Some(sample::ago(90)), 0),
                client("local", Role::Admin, None, 0),
            ],
            invitations: vec![InvitationInfo {
                name: "phone".to_owned(),
                role: Role::Observer,
                expires_at: sample::ago(-540),
                invited_by: "local".to_owned(),
                register: ["shop", "lab:db"]
                    .map(|text| text.parse().expect("a pattern"))
                    .into(),
            }],
        };
        insta::assert_snapshot!(client_tables(&Look::plain(), &list, sample::now()));
    }

    #[test]
    fn a_change_is_one_line_whatever_it_says() {
        let record = AuditRecord {
            seq: 7,
            time: sample::ago(0),
            client: "ci".to_owned(),
            role: Some(Role::Operator),
            certificate: None,
            from: None,
            method: "stack.stop".to_owned(),
            stack: Some("web".to_owned()),
            units: vec!["api".to_owned(), "\x1b[2Jdb\nforged".to_owned()],
            about: None,
            outcome: "forbidden".to_owned(),
            missing: 0,
            after_torn_line: false,
            prev: String::new(),
            hash: String::new(),
        };
        let line = audit_line(&Look::plain(), &record);
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(!line.contains('\x1b'), "{line:?}");
        assert!(line.contains("ci (operator)") && line.contains("forbidden"));
    }
}
