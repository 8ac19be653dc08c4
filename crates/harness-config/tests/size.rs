//! A stack of a thousand services.

mod support;

use std::time::{Duration, Instant};

use support::{lines, load_text};

fn thousand() -> String {
    let mut text = String::from("name: big\nservices:\n");
    for n in 0..1000 {
        text += &format!(
            "  svc-{n}:\n    target:\n      type: process\n      binary: ./bin/serve\n      args: [--port, \"${{svc-{n}.port}}\", --name, \"${{SET}}-{n}\"]\n      env: {{LOG_LEVEL: \"${{LOG_LEVEL:-info}}\", INDEX: {n}}}\n    ports: [{}]\n    health_check: {{http: {{path: /health}}, interval: 5, retries: 3}}\n",
            20_000 + n
        );
        if n > 2 {
            text += &format!("    dependencies: [svc-{}, svc-{}]\n", n - 1, n / 2);
        }
    }
    text
}

#[test]
fn a_thousand_services_load_in_a_moment() {
    let text = thousand();
    let begun = Instant::now();
    let loaded = load_text(&text);
    let took = begun.elapsed();
    eprintln!("{} bytes in {took:?}", text.len());
    assert_eq!(
        loaded.stack.as_ref().map(|s| s.units.len()),
        Some(1000),
        "{}",
        lines(&loaded)
    );
    assert!(loaded.diagnostics.is_empty());
    // Far above what it takes without optimisation, for a busy machine.
    assert!(took < Duration::from_secs(5), "took {took:?}");
}
