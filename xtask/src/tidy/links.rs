//! Links between the pages of this repository lead somewhere.
//!
//! Owns: finding them. Links to other sites are not followed: a page must not fail because a server is down.

/// Every relative link of a page whose target does not exist, with its line. `exists` is asked with the path as it
/// stands in the link, without its fragment.
pub(crate) fn broken(path: &str, page: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in page.lines().enumerate() {
        for target in targets(line) {
            let file = target.split('#').next().unwrap_or_default();
            let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !is_elsewhere && !file.is_empty() && !exists(file) {
                found.push(format!(
                    "{path}:{}: a link to `{target}`, which is not there",
                    index + 1
                ));
            }
        }
    }
    found
}

/// What stands in the parentheses of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_found() {
        let page = "[a](there.md#part) and [b](https://example.org/x)\n[c](#here) [d](gone.md)\n";
        let found = broken("docs/a.md", page, |file| file == "there.md");
        assert_eq!(
            found,
            ["docs/a.md:2: a link to `gone.md`, which is not there"]
        );
    }
}
