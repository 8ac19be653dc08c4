//! Stack files: whatever the text is, loading says what is wrong or hands out a stack that survives its way to the daemon
//! and back into a file.

use harness_config::{Secrets, Sources, load, render_config, render_human};
use service_orchestration::spec::StackSpec;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // What a file names beside itself is on the disk of whoever runs this, and none of the input.
    if text.contains("env_file") {
        return;
    }
    let sources = |text: &str| {
        Sources::new()
            .text("stack.yaml", text)
            .directory("/nonexistent")
            .profile("*")
            .variable("SET", "value")
            .variable("EMPTY", "")
    };
    let loaded = load(&sources(text));
    for found in &loaded.diagnostics {
        assert!(!found.message.is_empty() && !found.location().is_empty());
    }
    // Drawing the snippets looks at every place that was named.
    let drawn = render_human(&loaded.diagnostics, &loaded.files, false);
    assert_eq!(drawn.is_empty(), loaded.diagnostics.is_empty());
    let Some(stack) = loaded.stack else {
        assert!(!loaded.diagnostics.is_empty(), "no stack, and no reason");
        return;
    };
    let sent = serde_json::to_vec(&stack).expect("a stack can be sent");
    let back: StackSpec = serde_json::from_slice(&sent).expect("what was sent can be read");
    assert_eq!(back, stack);
    let rendered = render_config(&stack, Secrets::Show);
    let again = load(&sources(&rendered));
    assert!(
        again.stack.is_some(),
        "what was rendered does not load:\n{rendered}\n{}",
        render_human(&again.diagnostics, &again.files, false)
    );
}
