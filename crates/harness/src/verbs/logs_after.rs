//! Where to go on in the logs: behind lines that were printed before.
//!
//! Owns: how the lines of `logs -o json` are read back. What a cursor means is the log store's business.

use std::collections::BTreeMap;
use std::io;
use std::str::FromStr;

use harness_core::logs::LogCursor;
use serde::Deserialize;

/// For each unit that is in it, behind which line to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct After(BTreeMap<String, LogCursor>);

/// Why a text says nothing of the kind.
#[derive(Debug, thiserror::Error)]
pub(super) enum AfterError {
    /// It is a file that cannot be read.
    #[error("cannot read `{path}`")]
    Unreadable {
        path: String,
        #[source]
        source: io::Error,
    },
    /// It is no line of `logs -o json`.
    #[error("expected a line of `logs -o json`, or @FILE with such lines")]
    NoLine(#[source] serde_json::Error),
}

/// What of a line counts.
#[derive(Deserialize)]
struct Printed {
    unit: String,
    cursor: LogCursor,
}

impl FromStr for After {
    type Err = AfterError;

    /// A line, or `@` and a file with such lines, of which the last of each unit counts. One that was cut off as it was
    /// written does not.
    fn from_str(text: &str) -> Result<Self, AfterError> {
        let Some(path) = text.strip_prefix('@') else {
            let line: Printed = serde_json::from_str(text).map_err(AfterError::NoLine)?;
            return Ok(Self(BTreeMap::from([(line.unit, line.cursor)])));
        };
        let unreadable = |source| AfterError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let lines = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::of_lines(&lines)
    }
}

impl After {
    fn of_lines(lines: &str) -> Result<Self, AfterError> {
        let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut after = BTreeMap::new();
        for line in whole.lines().filter(|line| !line.trim().is_empty()) {
            let line: Printed = serde_json::from_str(line).map_err(AfterError::NoLine)?;
            after.insert(line.unit, line.cursor);
        }
        Ok(Self(after))
    }

    /// All of these; of two that speak of one unit, the later one.
    pub(super) fn merged(all: &[Self]) -> BTreeMap<String, LogCursor> {
        let each = all.iter().flat_map(|after| &after.0);
        each.map(|(unit, cursor)| (unit.clone(), *cursor)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"schema_version":1,"unit":"api","text":"hi","cursor":{"segment":1,"record":7,"delivered":[9,null]}}"#;

    #[test]
    fn a_line_is_read_back_and_the_last_of_each_unit_counts() {
        let cursor = |record: u32| -> LogCursor {
            let text = format!(r#"{{"segment":1,"record":{record},"delivered":[9,null]}}"#);
            serde_json::from_str(&text).expect("a cursor")
        };
        let one: After = LINE.parse().expect("a line");
        assert_eq!(one.0.get("api"), Some(&cursor(7)));
        let later = LINE.replace(":7", ":8");
        let other = LINE.replace("api", "db");
        // The last line was cut off as it was written.
        let text = format!("{LINE}\n{later}\n{other}\n{}", &LINE[..40]);
        let many = After::of_lines(&text).expect("lines");
        assert_eq!(many.0.get("api"), Some(&cursor(8)));
        assert_eq!(many.0.get("db"), Some(&cursor(7)));
        assert_eq!(After::merged(&[many, one])["api"], cursor(7));
    }

    #[test]
    fn what_is_no_line_is_refused() {
        assert!(matches!("api".parse::<After>(), Err(AfterError::NoLine(_))));
        let missing = "@/nowhere/log".parse::<After>();
        assert!(matches!(missing, Err(AfterError::Unreadable { .. })));
    }
}
