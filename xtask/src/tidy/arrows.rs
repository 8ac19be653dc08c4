//! The arrows between crates, as ARCHITECTURE.md lists them.
//!
//! Owns: reading that table and comparing it with what the manifests say. Only normal dependencies count: tests may
//! use the test kit, and whatever else shows that a crate works.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Where the table begins and ends on the page.
const MARKS: (&str, &str) = ("<!-- arrows -->", "<!-- /arrows -->");

/// Which crate depends on which.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The table of the page: `` | `crate` | `may`, `depend on` | … ``.
pub(crate) fn declared(page: &str) -> Arrows {
    let table = page
        .split_once(MARKS.0)
        .and_then(|(_, rest)| rest.split_once(MARKS.1))
        .map_or("", |(table, _)| table);
    table
        .lines()
        .filter_map(|row| {
            let mut cells = row.trim().trim_start_matches('|').split('|');
            let name = quoted_names(cells.next()?).into_iter().next()?;
            let needs = quoted_names(cells.next()?).into_iter().collect();
            Some((name, needs))
        })
        .collect()
}

/// The normal dependencies of the workspace's members on each other, as `cargo metadata` tells them.
pub(crate) fn actual(metadata: &Value) -> Arrows {
    let packages = || metadata["packages"].as_array().into_iter().flatten();
    let name_of = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let members: BTreeSet<String> = packages().map(name_of).collect();
    packages()
        .map(|package| {
            let needs = package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|dependency| dependency["kind"].is_null())
                .map(name_of)
                .filter(|name| members.contains(name))
                .collect();
            (name_of(package), needs)
        })
        .collect()
}

/// Every arrow that the table does not list, and every crate that it does not name or that is gone.
pub(crate) fn compare(declared: &Arrows, actual: &Arrows) -> Vec<String> {
    let mut found = Vec::new();
    for (name, needs) in actual {
        let Some(allowed) = declared.get(name) else {
            found.push(format!(
                "ARCHITECTURE.md: the table of arrows lacks `{name}`"
            ));
            continue;
        };
        for extra in needs.difference(allowed) {
            found.push(format!(
                "ARCHITECTURE.md: no arrow from `{name}` to `{extra}`; a new one needs an ADR"
            ));
        }
    }
    for name in declared.keys().filter(|name| !actual.contains_key(*name)) {
        found.push(format!(
            "ARCHITECTURE.md: the table of arrows names `{name}`, which is gone"
        ));
    }
    found
}

fn quoted_names(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
| `not` | `this` |
<!-- arrows -->
| crate | may depend on | what |
|---|---|---|
| `top` | `middle`, `leaf` | x |
| `middle` | `leaf` | y |
| `leaf` | – | z `w` |
<!-- /arrows -->
";

    fn metadata(leaf_needs: &str) -> Value {
        serde_json::json!({"packages": [
            {"name": "top", "dependencies": [{"name": "middle", "kind": null}, {"name": "serde", "kind": null}]},
            {"name": "middle", "dependencies": [{"name": "leaf", "kind": null}, {"name": "top", "kind": "dev"}]},
            {"name": "leaf", "dependencies": [{"name": leaf_needs, "kind": null}]},
        ]})
    }

    #[test]
    fn listed_arrows_pass() {
        assert_eq!(
            compare(&declared(PAGE), &actual(&metadata("serde"))),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_arrow_that_points_up_is_found() {
        let found = compare(&declared(PAGE), &actual(&metadata("top")));
        assert_eq!(
            found,
            ["ARCHITECTURE.md: no arrow from `leaf` to `top`; a new one needs an ADR"]
        );
    }

    #[test]
    fn an_empty_table_passes_nothing() {
        assert_eq!(compare(&declared(""), &actual(&metadata("serde"))).len(), 3);
    }
}
