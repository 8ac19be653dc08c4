//! Hosts: the list of them, and what each has.
//!
//! Owns: their table and page. What hosts say of themselves is not trusted with the terminal.

use harness_core::hosts::{HostBook, HostEntry};

use super::escape::escaped;
use super::look::{Look, Span};
use super::table::{Cell, Column, NOTHING, table};
use crate::verbs::host_check::{Facts, HostReport, Outcome};

/// All that are written down.
pub(crate) fn host_table(look: &Look, book: &HostBook) -> String {
    let rows: Vec<Vec<Cell>> = book.items.iter().map(row).collect();
    let lines = table(look, &HEAD, &rows);
    lines.into_iter().map(|line| line + "\n").collect()
}

fn row(entry: &HostEntry) -> Vec<Cell> {
    let or_nothing = |text: Option<String>| Cell::new(text.unwrap_or_else(|| NOTHING.to_owned()));
    let address = match entry.port {
        22 => entry.address.clone(),
        port => format!("{}:{port}", entry.address),
    };
    vec![
        Cell::painted(&entry.name, Span::Strong),
        Cell::new(address),
        or_nothing(entry.user.clone()),
        or_nothing(entry.jump.clone()),
        Cell::new(entry.runner.as_str()),
        or_nothing(entry.key.as_ref().map(|key| key.display().to_string())),
        Cell::new(entry.fingerprints.first().cloned().unwrap_or_default()),
    ]
}

/// What was found of each.
pub(crate) fn host_page(look: &Look, reports: &[HostReport]) -> String {
    reports.iter().map(|report| page(look, report)).collect()
}

fn page(look: &Look, report: &HostReport) -> String {
    let name = look.paint(Span::Strong, &report.name);
    match &report.outcome {
        Outcome::Facts(found) => format!("{name}\n{}", facts(look, found)),
        Outcome::Error { message, hint, .. } => {
            let said = escaped(message.as_bytes());
            let mut text = format!("{name}\n  {}\n", look.paint(Span::Bad, &said));
            if let Some(hint) = hint {
                text += &format!("  {} {hint}\n", look.paint(Span::Dim, "= help:"));
            }
            text
        }
    }
}

fn facts(look: &Look, found: &Facts) -> String {
    let plain = |text: &str| escaped(text.as_bytes());
    let mut text = format!(
        "  {} ({}, {}, {}), as {}\n",
        plain(&found.system),
        plain(&found.kernel),
        plain(&found.architecture),
        plain(&found.libc),
        plain(&found.user)
    );
    text += &format!("  a command takes {} ms", found.latency_ms);
    // What a login takes, and clocks that are set by the network, differ by less.
    if found.clock_ahead_s.abs() >= 1.0 {
        let skew = format!("its clock is {:+.1} s off", found.clock_ahead_s);
        text += &format!("; {}", look.paint(Span::Bad, &skew));
    }
    text += "\n";
    text += &format!("  runner {}\n", plain(&found.runner));
    if !found.has.is_empty() {
        text += &format!("  has    {}\n", plain(&found.has.join(", ")));
    }
    if !found.lacks.is_empty() {
        text += &format!("  lacks  {}\n", plain(&found.lacks.join(", ")));
    }
    text
}

const HEAD: [Column; 7] = [
    Column {
        heading: "NAME",
        expendable: 0,
    },
    Column {
        heading: "ADDRESS",
        expendable: 0,
    },
    Column {
        heading: "USER",
        expendable: 2,
    },
    Column {
        heading: "JUMP",
        expendable: 1,
    },
    Column {
        heading: "RUNNER",
        expendable: 3,
    },
    Column {
        heading: "KEY",
        expendable: 4,
    },
    Column {
        heading: "KNOWN BY",
        expendable: 5,
    },
];

#[cfg(test)]
mod tests {
    use harness_core::hosts::HostRunner;

    use super::*;

    #[test]
    fn hosts_are_listed() {
        let entry = |name: &str, jump: Option<&str>| HostEntry {
            name: name.to_owned(),
            address: "10.0.0.5".to_owned(),
            port: if jump.is_some() { 2222 } else { 22 },
            user: Some("me".to_owned()),
            key: None,
            jump: jump.map(str::to_owned),
            runner: HostRunner::default(),
            host_keys: Vec::new(),
            fingerprints: vec!["SHA256:abc".to_owned()],
        };
        let book = HostBook {
            items: vec![entry("build", None), entry("inner", Some("build"))],
        };
        insta::assert_snapshot!(host_table(&Look::plain(), &book));
    }

    #[test]
    fn what_hosts_have_is_told_and_cannot_write_to_the_terminal() {
        let good = Facts {
            system: "Debian\x1b[2J 12".to_owned(),
            kernel: "Linux 6.1".to_owned(),
            architecture: "x86_64".to_owned(),
            libc: "glibc 2.36".to_owned(),
            user: "me".to_owned(),
            latency_ms: 8,
            clock_ahead_s: -12.5,
            runner: "shim".to_owned(),
            has: vec!["wg".to_owned()],
            lacks: vec!["docker".to_owned(), "cgroup v2".to_owned()],
        };
        let reports = [
            HostReport {
                name: "build".to_owned(),
                outcome: Outcome::Facts(good),
            },
            HostReport {
                name: "inner".to_owned(),
                outcome: Outcome::Error {
                    message: "inner has another key than the one that is known".to_owned(),
                    hint: Some("find out why".to_owned()),
                    exit_code: 6,
                },
            },
        ];
        insta::assert_snapshot!(host_page(&Look::plain(), &reports));
    }
}
