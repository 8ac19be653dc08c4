//! Compose files: whatever the text is, an import says what is wrong or hands out a stack file that loads.

use harness_config::{Code, Sources, import_compose, load, render_human};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // What a file names beside itself is on the disk of whoever runs this, and none of the input.
    if ["env_file", "include", "file"]
        .iter()
        .any(|word| text.contains(word))
    {
        return;
    }
    let sources = |name: &str, text: &str| {
        Sources::new()
            .text(name, text)
            .directory("/nonexistent")
            .profile("*")
            .variable("SET", "value")
            .variable("EMPTY", "")
    };
    let imported = import_compose(&sources("compose.yaml", text));
    let drawn = render_human(&imported.diagnostics, &imported.files, false);
    assert_eq!(drawn.is_empty(), imported.diagnostics.is_empty());
    let Some(made) = imported.text else {
        assert!(!imported.diagnostics.is_empty(), "no text, and no reason");
        return;
    };
    let mut again = sources("harness.yaml", &made);
    for found in &imported.diagnostics {
        // A variable that is empty in the one is an error in the other.
        if let Some(name) = found
            .message
            .split('`')
            .nth(1)
            .filter(|_| found.code == Code::Unset)
        {
            again = again.variable(name, "");
        }
    }
    let again = load(&again);
    assert!(
        again.stack.is_some(),
        "what was imported does not load:\n{made}\n{}",
        render_human(&again.diagnostics, &again.files, false)
    );
}
