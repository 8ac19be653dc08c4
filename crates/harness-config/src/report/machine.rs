//! Diagnostics for programs: annotations of GitHub's workflow runs, and JSON.
//!
//! Owns: the two formats. Fields of the JSON are only added.

use serde_json::{Value, json};

use super::{Diagnostic, Severity, count};

/// One `::error file=…,line=…,col=…,title=…::message` line for each diagnostic.
pub fn render_github(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let mut properties = format!("file={}", property(&diagnostic.file));
        if diagnostic.line > 0 {
            properties += &format!(",line={},col={}", diagnostic.line, diagnostic.column);
        }
        let mut message = diagnostic.message.clone();
        for extra in diagnostic.label.iter().chain(&diagnostic.help) {
            message += "\n";
            message += extra;
        }
        text += &format!(
            "::{} {properties},title={}::{}\n",
            diagnostic.severity.as_str(),
            diagnostic.code,
            data(&message)
        );
    }
    text
}

/// One document: `schema_version`, `errors`, `warnings` (counts) and `diagnostics`.
pub fn to_json(diagnostics: &[Diagnostic]) -> Value {
    let (errors, warnings) = count(diagnostics);
    json!({
        "schema_version": 1,
        "errors": errors,
        "warnings": warnings,
        "diagnostics": diagnostics.iter().map(one).collect::<Vec<_>>(),
    })
}

fn one(diagnostic: &Diagnostic) -> Value {
    let labels = diagnostic.labels.iter().map(|label| {
        json!({
            "text": label.text,
            "file": label.file,
            "line": label.line,
            "column": label.column,
            "span": {"start": label.span.start, "end": label.span.end},
        })
    });
    json!({
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "code": diagnostic.code.as_str(),
        "message": diagnostic.message,
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "span": {"start": diagnostic.span.start, "end": diagnostic.span.end},
        "label": diagnostic.label,
        "labels": labels.collect::<Vec<_>>(),
        "help": diagnostic.help,
    })
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
