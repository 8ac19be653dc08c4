//! Which files are Compose files.
//!
//! Owns: the names that Compose looks for, and what tells the two formats apart. What only a stack file can say decides
//! before any name does.

use super::keys;
use crate::keys::{COMMON, SERVICE, TYPES};
use crate::table::find;
use crate::yaml::Node;

/// The names of the file that Compose looks for, the first wins.
pub const COMPOSE_FILE_NAMES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// Whether this is a Compose file: by its name, or because every service has an image or a build; never when it says what
/// only a stack file can say.
pub(crate) fn is_compose(name: &str, root: &Node) -> bool {
    let services = root
        .entry("services")
        .map(|entry| entry.value.entries())
        .unwrap_or_default();
    if is_stack_file(root) || services.iter().any(|entry| is_stack_unit(&entry.value)) {
        return false;
    }
    let base = name.rsplit('/').next().unwrap_or(name);
    if crate::input::FILE_NAMES
        .iter()
        .any(|own| base.split('.').next() == own.split('.').next())
    {
        return false;
    }
    let is_named = ["compose.", "docker-compose.", "compose-", "docker-compose-"]
        .iter()
        .any(|begins| base.starts_with(begins));
    if is_named {
        return true;
    }
    let runs = |unit: &Node| {
        ["image", "build", "extends"]
            .iter()
            .any(|key| unit.entry(key).is_some())
    };
    !services.is_empty() && services.iter().all(|entry| runs(&entry.value))
}

/// Keys of the top level that Compose does not have, and the version that it never had.
fn is_stack_file(root: &Node) -> bool {
    let has_own_key = ["tasks", "settings", "description"]
        .iter()
        .any(|key| root.entry(key).is_some());
    let version = root.entry("version").and_then(|e| e.value.scalar());
    has_own_key || version.is_some_and(|scalar| matches!(scalar.text.as_str(), "1" | "1.0"))
}

/// A key that a stack file knows and Compose does not.
fn is_stack_unit(unit: &Node) -> bool {
    unit.entries().iter().any(|entry| {
        let key = entry.key.as_str();
        let is_ours = matches!(key, "type" | "target")
            || find(&[COMMON, SERVICE], key).is_some()
            || TYPES
                .iter()
                .any(|(_, _, fields)| find(&[fields], key).is_some());
        is_ours && keys::of(key).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::is_compose;
    use crate::report::Sink;
    use crate::source::SourceMap;

    fn detected(name: &str, text: &str) -> bool {
        let mut files = SourceMap::default();
        let file = files.add(name.into(), None, true, text);
        let tree = crate::yaml::parse(&files, file, &mut Sink::default());
        is_compose(name, &tree.expect("it is YAML"))
    }

    #[test]
    fn names_decide_unless_the_content_speaks_against_it() {
        let web = "services: {web: {image: nginx}}";
        assert!(detected("compose.yaml", web));
        assert!(detected("a/docker-compose.prod.yml", web));
        assert!(detected("compose.yaml", "services: {web: {ports: [80]}}"));
        assert!(detected("stack.yaml", web));
        assert!(!detected("harness.yaml", web));
        assert!(!detected("harness.override.yaml", web));
        assert!(!detected("services.yml", web));
        assert!(!detected("stack.yaml", "services: {web: {binary: x}}"));
        assert!(!detected(
            "compose.yaml",
            "services: {web: {image: x, env: {A: b}}}"
        ));
        assert!(!detected(
            "compose.yaml",
            "{tasks: {}, services: {web: {image: x}}}"
        ));
        assert!(!detected(
            "stack.yaml",
            "{version: '1', services: {web: {image: x}}}"
        ));
    }
}
