//! Which events a reader wants.

use std::collections::BTreeSet;

use regex::Regex;

use crate::event::{ProcessEvent, ProcessEventType};

/// A choice of events. Everything passes until something is asked for; every condition must hold.
///
/// Conditions on text concern stdout and stderr alone: `Started`, `Exit` and `System` pass them, so that a reader of
/// selected lines still sees the end. An event of a line that was cut is judged by its own part.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    types: Option<BTreeSet<ProcessEventType>>,
    texts: Vec<Text>,
}

#[derive(Debug, Clone)]
enum Text {
    Contains(String),
    Matches(Regex),
}

impl EventFilter {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only events of these types.
    #[must_use]
    pub fn types(mut self, types: impl IntoIterator<Item = ProcessEventType>) -> Self {
        self.types = Some(types.into_iter().collect());
        self
    }

    /// Only output that contains `text`.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.texts.push(Text::Contains(text.into()));
        self
    }

    /// Only output that the regular expression `pattern` matches somewhere.
    ///
    /// # Errors
    /// [`PatternError`] when it is not a regular expression.
    pub fn matching(mut self, pattern: &str) -> Result<Self, PatternError> {
        let regex = Regex::new(pattern).map_err(|source| PatternError {
            pattern: pattern.to_owned(),
            source,
        })?;
        self.texts.push(Text::Matches(regex));
        Ok(self)
    }

    /// Whether `event` passes.
    pub fn allows(&self, event: &ProcessEvent) -> bool {
        let is_wanted_type = self
            .types
            .as_ref()
            .is_none_or(|types| types.contains(&event.event_type));
        is_wanted_type
            && (event.line_end.is_none() || self.texts.iter().all(|text| text.is_in(&event.data)))
    }
}

impl Text {
    fn is_in(&self, data: &str) -> bool {
        match self {
            Self::Contains(text) => data.contains(text),
            Self::Matches(regex) => regex.is_match(data),
        }
    }
}

/// A pattern that is not a regular expression.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{pattern}` is not a regular expression")]
pub struct PatternError {
    pattern: String,
    #[source]
    source: regex::Error,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Exit;
    use crate::event::LineEnd;

    fn line(text: &str) -> ProcessEvent {
        ProcessEvent::stdout(text, LineEnd::Newline)
    }

    #[test]
    fn only_wanted_types_pass() {
        let filter = EventFilter::new().types([ProcessEventType::Stderr, ProcessEventType::Exit]);
        assert!(!filter.allows(&line("x")));
        assert!(filter.allows(&ProcessEvent::stderr("x", LineEnd::Newline)));
        assert!(filter.allows(&ProcessEvent::exited(Exit::Code(0))));
        assert!(!filter.allows(&ProcessEvent::started(1)));
    }

    #[test]
    fn text_conditions_choose_lines_and_let_the_end_pass() {
        let filter = EventFilter::new()
            .containing("ready")
            .matching(r"port \d+$")
            .expect("a regular expression");
        assert!(filter.allows(&line("ready on port 80")));
        assert!(!filter.allows(&line("ready on port x")));
        assert!(!filter.allows(&line("port 80")));
        assert!(filter.allows(&ProcessEvent::exited(Exit::Code(0))));
    }

    #[test]
    fn a_broken_pattern_is_named() {
        let error = EventFilter::new().matching("(").expect_err("it is broken");
        assert_eq!(error.to_string(), "`(` is not a regular expression");
    }
}
