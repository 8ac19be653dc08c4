//! Libraries work under any async runtime, so none of them brings one.

/// What hyper cannot do without: channels, which need no runtime.
const ALLOWED_FEATURES: [&str; 2] = ["sync", "default"];

/// Crates that must not be among the normal dependencies, direct or not.
const FORBIDDEN: [&str; 2] = ["async-std", "async-global-executor"];

/// Checks the lines `name version features` that `cargo tree --prefix none` prints for normal dependencies.
pub(crate) fn runtimes(tree: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        if FORBIDDEN.contains(&name) {
            found.push(format!("Cargo.lock: a normal dependency on `{name}`"));
        }
        if name != "tokio" {
            continue;
        }
        let features = words.nth(1).unwrap_or_default();
        for feature in features
            .split(',')
            .filter(|feature| !feature.is_empty() && *feature != "(*)")
        {
            if !ALLOWED_FEATURES.contains(&feature) {
                found.push(format!(
                    "Cargo.lock: a normal dependency on tokio's `{feature}`"
                ));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_among_the_dependencies_is_found() {
        let good = "harness v0.1.0 (/w) \nhyper v1.12.0 http1\ntokio v1.50.0 sync\ntokio v1.50.0 sync (*)\nsmol v2.0.2 \n";
        assert!(runtimes(good).is_empty());
        let bad = "tokio v1.50.0 default,rt,sync\nasync-std v1.12.0 default\n";
        assert_eq!(runtimes(bad).len(), 2);
    }
}
