//! Paths and queries of requests.
//!
//! Owns: escaping, so that no name of a container can become part of a path.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

/// The path of a request below the API version, and its query.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    text: String,
    has_query: bool,
}

impl Target {
    /// A path of parts, each escaped.
    pub(crate) fn new(parts: &[&str]) -> Self {
        let mut text = String::new();
        for part in parts {
            text.push('/');
            escape(&mut text, part);
        }
        Self {
            text,
            has_query: false,
        }
    }

    /// The same with one more `name=value`.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        self.text.push_str(name);
        self.text.push('=');
        escape(&mut self.text, value);
        self
    }

    /// The same with `name=1`, if it is so.
    pub(crate) fn with_flag(self, name: &str, is_set: bool) -> Self {
        if is_set { self.with(name, "1") } else { self }
    }

    /// The same with the engine's filters.
    pub(crate) fn with_filters(self, filters: &Filters) -> Self {
        if filters.0.is_empty() {
            return self;
        }
        let json = serde_json::to_string(filters).expect("a map of strings can be JSON");
        self.with("filters", &json)
    }

    /// The text of the request line, below `prefix`.
    pub(crate) fn below(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.text)
    }
}

/// What the engine narrows lists and events by: for each key, one of the values; labels all have to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Only what bears this label with this value.
    #[must_use]
    pub fn label(self, name: &str, value: &str) -> Self {
        self.by("label", &format!("{name}={value}"))
    }

    /// Only what bears this label, whatever its value.
    #[must_use]
    pub fn has_label(self, name: &str) -> Self {
        self.by("label", name)
    }

    /// Any key that the engine knows: `name`, `status`, `network`, `type`, `event` …
    #[must_use]
    pub fn by(mut self, key: &str, value: &str) -> Self {
        let values = self.0.entry(key.to_owned()).or_default();
        values.push(value.to_owned());
        self
    }
}

fn escape(text: &mut String, part: &str) {
    // A part that is dots alone would climb; no name of anything is.
    let is_dots = part.bytes().all(|byte| byte == b'.');
    for byte in part.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-_~".contains(&byte);
        if is_plain || (byte == b'.' && !is_dots) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place() {
        let target = Target::new(&["containers", "../images?x=1&", "json"]).with("q", "a b&c");
        assert_eq!(
            target.below("/v1.41"),
            "/v1.41/containers/..%2Fimages%3Fx%3D1%26/json?q=a%20b%26c"
        );
        assert_eq!(Target::new(&["..", ""]).below(""), "/%2E%2E/");
    }

    #[test]
    fn filters_are_json() {
        let filters = Filters::all().label("a", "b").has_label("c");
        assert_eq!(
            Target::new(&["x"]).with_filters(&filters).below(""),
            "/x?filters=%7B%22label%22%3A%5B%22a%3Db%22%2C%22c%22%5D%7D"
        );
    }
}
