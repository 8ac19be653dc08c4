//! The daemon and its stacks.
//!
//! Owns: the list of stacks and the page of the daemon.

use chrono::{DateTime, Utc};
use harness_core::protocol::{DaemonInfo, StackSummary};

use super::ages::{duration, since};
use super::look::{Look, Span};
use super::table::{Cell, Column, NOTHING, table};

/// The stacks that a daemon knows.
pub(crate) fn stack_table(look: &Look, stacks: &[StackSummary]) -> String {
    if stacks.is_empty() {
        return "no stack has been started\n".to_owned();
    }
    let row = |stack: &StackSummary| {
        let file = stack.files.first().map(|file| file.display().to_string());
        let span = if stack.active == 0 {
            Span::Dim
        } else {
            Span::Good
        };
        vec![
            Cell::new(stack.name.as_str()),
            Cell::painted(format!("{}/{}", stack.ready, stack.units), span),
            Cell::new(stack.active.to_string()),
            Cell::new(file.unwrap_or_else(|| NOTHING.to_owned())),
        ]
    };
    let rows: Vec<Vec<Cell>> = stacks.iter().map(row).collect();
    table(look, &COLUMNS, &rows)
        .iter()
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Who the daemon is, and its stacks.
pub(crate) fn daemon_page(look: &Look, info: &DaemonInfo, now: DateTime<Utc>) -> String {
    format!(
        "{} {} {}, process {}, up {}\n listens: {}\n   state: {}\n\n{}",
        look.paint(Span::Good, look.glyph("●", "*")),
        info.program,
        info.version,
        info.pid,
        duration(since(info.started_at, now)),
        info.listen,
        info.state_directory.display(),
        stack_table(look, &info.stacks),
    )
}

const COLUMNS: [Column; 4] = [
    Column {
        heading: "STACK",
        expendable: 0,
    },
    Column {
        heading: "READY",
        expendable: 0,
    },
    Column {
        heading: "ACTIVE",
        expendable: 2,
    },
    Column {
        heading: "FILE",
        expendable: 1,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;
    use harness_core::spec::StackName;

    #[test]
    fn the_daemon_shows_itself_and_its_stacks() {
        let stack = |name: &str, active| StackSummary {
            name: StackName::new(name).expect("a legal name"),
            description: None,
            directory: "/work".into(),
            files: vec![format!("/home/{name}/harness.yaml").into()],
            sources: Default::default(),
            units: 5,
            active,
            ready: active,
        };
        let info = DaemonInfo {
            schema_version: 1,
            pid: 77,
            listen: "127.0.0.1:9443".to_owned(),
            program: "harness".to_owned(),
            version: "0.1.0".to_owned(),
            started_at: sample::ago(8_040),
            detached: true,
            state_directory: "/home/u/.local/state/harness".into(),
            stacks: vec![stack("quickstart", 4), stack("webapp", 0)],
        };
        insta::assert_snapshot!(daemon_page(&Look::plain(), &info, sample::now()));
    }
}
