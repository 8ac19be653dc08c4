//! `${…}`: whatever stands in a value, it is refused, or becomes a template that reads back as itself.

use harness_config::{Sources, load};
use service_orchestration::spec::{TargetSpec, Template};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(first) = substituted(text) {
        // References stay references, and nothing that was put in is taken for one.
        let again = substituted(&first.to_string());
        assert_eq!(again.as_ref(), Some(&first), "written as `{first}`");
    }
}

/// What becomes of an argument.
fn substituted(text: &str) -> Option<Template> {
    let quoted = serde_json::to_string(text).expect("text is text");
    // YAML's double quotes are JSON's, but for a few characters that JSON leaves alone.
    let quoted: String = quoted
        .chars()
        .map(|c| match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                format!("\\u{:04x}", u32::from(c))
            }
            c => c.to_string(),
        })
        .collect();
    let stack = format!(
        "services:\n  a: {{type: process, binary: x, depends_on: [db, job-1], args: [{quoted}]}}\n  \
         db: {{type: process, binary: y, ports: [{{name: sql, port: 5432}}]}}\n  \
         job-1: {{type: process, binary: z, ports: [1]}}\n"
    );
    let sources = Sources::new()
        .text("stack.yaml", stack)
        .directory("/nonexistent")
        .variable("SET", "value ${db.ip} $SET $$ ${SET}")
        .variable("EMPTY", "");
    let loaded = load(&sources);
    let stack = loaded.stack?;
    match &stack.units["a"].target {
        TargetSpec::Process(process) => Some(process.args.first().cloned().unwrap_or_default()),
        other => panic!("a process became {other:?}"),
    }
}
