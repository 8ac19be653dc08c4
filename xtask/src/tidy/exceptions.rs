//! Places where a rule does not apply, each with its reason.
//!
//! Owns: what an exception is, and that one which is no longer needed is a finding itself. The lists stand beside
//! their rules.

use crate::tidy::source::Source;

/// A file to which a rule does not apply, and why.
pub(crate) type Exception = (&'static str, &'static str);

/// What is left of a rule's findings in this file.
pub(crate) fn excuse(found: Vec<String>, source: &Source, list: &[Exception]) -> Vec<String> {
    let is_excused = list.iter().any(|(path, _)| *path == source.path);
    match (is_excused, found.is_empty()) {
        (false, _) => found,
        (true, false) => vec![],
        (true, true) => {
            vec![source.finding(1, "needs its exception no longer: strike it from the list")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_holds_only_while_it_is_needed() {
        let list = [("a/src/b.rs", "the sleep is what is tested")];
        let (excused, other) = (Source::new("a/src/b.rs", ""), Source::new("a/src/c.rs", ""));
        let found = || vec!["a finding".to_owned()];
        assert!(excuse(found(), &excused, &list).is_empty());
        assert_eq!(excuse(found(), &other, &list).len(), 1);
        assert_eq!(excuse(vec![], &excused, &list).len(), 1);
        assert!(excuse(vec![], &other, &list).is_empty());
    }
}
