//! The five files that the format is measured by.

mod support;

use harness_config::{Severity, Sources, load};
use support::{errors, fixture, lines};

#[test]
fn each_error_of_the_bad_file_is_named_where_it_stands() {
    let loaded = load(&Sources::new().file(fixture("bad.yaml")));
    let places: Vec<_> = errors(&loaded).iter().map(|d| (d.line, d.column)).collect();
    assert_eq!(places, [(7, 21), (11, 7), (14, 13)], "{}", lines(&loaded));
    assert!(loaded.stack.is_none());
}

#[test]
fn a_duplicate_key_names_both_places() {
    let loaded = load(&Sources::new().file(fixture("duplicate-key.yaml")));
    let errors = errors(&loaded);
    assert_eq!(errors.len(), 1, "{}", lines(&loaded));
    assert_eq!((errors[0].line, errors[0].column), (4, 3));
    assert_eq!(
        (errors[0].labels[0].line, errors[0].labels[0].column),
        (2, 3)
    );
}

#[test]
fn the_good_files_load_with_warnings_only() {
    for (name, units) in [
        ("services.yaml", 3),
        ("graph-stack-with-tasks.yaml", 8),
        ("seed-001.yaml", 5),
    ] {
        let sources = Sources::new()
            .file(fixture(name))
            .variable("DEPLOYER_PRIVATE_KEY", "0xabc");
        let loaded = load(&sources);
        let stack = loaded
            .stack
            .as_ref()
            .unwrap_or_else(|| panic!("{name}: {}", lines(&loaded)));
        assert!(
            loaded
                .diagnostics
                .iter()
                .all(|d| d.severity == Severity::Warning)
        );
        assert_eq!(stack.units.len(), units, "{name}");
    }
}

#[test]
fn the_variable_of_the_graph_stack_is_missed_at_both_places() {
    let loaded = load(&Sources::new().file(fixture("graph-stack-with-tasks.yaml")));
    let places: Vec<_> = errors(&loaded)
        .iter()
        .map(|d| (d.line, d.column, d.code.as_str()))
        .collect();
    assert_eq!(
        places,
        [(24, 21, "H0210"), (44, 21, "H0210")],
        "{}",
        lines(&loaded)
    );
}
