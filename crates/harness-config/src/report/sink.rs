//! Collects what is found while a stack is read.
//!
//! Owns: the order (by place) in which diagnostics come out, and that nothing is said twice about one place.

use std::collections::BTreeSet;

use super::suggest::did_you_mean;
use super::{Code, Diagnostic, Label, Severity};
use crate::source::{SourceMap, Span};

/// Everything found so far.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    reports: Vec<Report>,
    compared: usize,
    /// What was listed already.
    listed: BTreeSet<String>,
}

/// About a tenth of a second.
const MAX_COMPARISONS: usize = 200_000;

/// One finding, by span.
#[derive(Debug)]
pub(crate) struct Report {
    severity: Severity,
    code: Code,
    message: String,
    span: Span,
    label: Option<String>,
    labels: Vec<(Span, String)>,
    help: Option<String>,
}

impl Sink {
    /// Notes an error; the answer takes labels and help.
    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Report {
        self.push(Severity::Error, code, span, message.into())
    }

    /// Notes a warning; the answer takes labels and help.
    pub(crate) fn warning(
        &mut self,
        code: Code,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Report {
        self.push(Severity::Warning, code, span, message.into())
    }

    /// The nearest of the candidates, when one is near enough to be meant. Each costs a comparison, so a file with
    /// thousands of unknown names among thousands of known ones gets suggestions for the first of them only.
    pub(crate) fn suggest<'c>(
        &mut self,
        word: &str,
        candidates: impl Iterator<Item = &'c str>,
    ) -> Option<String> {
        let left = MAX_COMPARISONS.saturating_sub(self.compared);
        let compared = &mut self.compared;
        let counted = candidates.take(left).inspect(|_| *compared += 1);
        did_you_mean(word, counted).map(str::to_owned)
    }

    /// Whether this is asked for the first time: what is long is listed once.
    pub(crate) fn is_new(&mut self, what: &str) -> bool {
        self.listed.insert(what.to_owned())
    }

    /// Whether any error was noted.
    pub(crate) fn has_errors(&self) -> bool {
        self.reports.iter().any(|r| r.severity == Severity::Error)
    }

    /// Everything, ordered by place, each place resolved to line and column.
    pub(crate) fn finish(mut self, files: &SourceMap) -> Vec<Diagnostic> {
        self.reports
            .sort_by_key(|r| (r.span.file, r.span.start, r.span.end, r.severity));
        let mut diagnostics: Vec<Diagnostic> = Vec::new();
        for report in self.reports {
            let diagnostic = report.resolve(files);
            // An aliased value is decoded once for each place that uses it; one message is enough.
            let same = |d: &Diagnostic| {
                (&d.message, &d.span, &d.file)
                    == (&diagnostic.message, &diagnostic.span, &diagnostic.file)
            };
            if !diagnostics
                .iter()
                .rev()
                .take_while(|d| d.span == diagnostic.span)
                .any(same)
            {
                diagnostics.push(diagnostic);
            }
        }
        diagnostics
    }

    fn push(&mut self, severity: Severity, code: Code, span: Span, message: String) -> &mut Report {
        self.reports.push(Report {
            severity,
            code,
            message,
            span,
            label: None,
            labels: Vec::new(),
            help: None,
        });
        self.reports.last_mut().expect("one was just pushed")
    }
}

impl Report {
    /// Says this beside the place itself.
    pub(crate) fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = Some(text.into());
        self
    }

    /// Says what may have been meant, if anything comes near.
    pub(crate) fn meant(&mut self, near: Option<String>) -> &mut Self {
        if let Some(near) = near {
            self.label(format!("did you mean `{near}`?"));
        }
        self
    }

    /// Points at another place too.
    pub(crate) fn also(&mut self, span: Span, text: impl Into<String>) -> &mut Self {
        self.labels.push((span, text.into()));
        self
    }

    /// Says what can be done.
    pub(crate) fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    fn resolve(self, files: &SourceMap) -> Diagnostic {
        let place = files.place(self.span);
        let labels = self.labels.into_iter().map(|(span, text)| {
            let place = files.place(span);
            Label {
                text,
                file: place.file,
                line: place.line,
                column: place.column,
                span: span.range(),
            }
        });
        Diagnostic {
            severity: self.severity,
            code: self.code,
            message: self.message,
            file: place.file,
            line: place.line,
            column: place.column,
            span: self.span.range(),
            label: self.label,
            labels: labels.collect(),
            help: self.help,
        }
    }
}
