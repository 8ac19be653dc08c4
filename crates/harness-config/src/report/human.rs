//! Diagnostics for people: message, place, the lines around it, help.
//!
//! Owns: the look. The first line is always `error[H0204]: …` and the second `  --> file:line:column`.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::{Diagnostic, Severity, count};
use crate::source::{SourceFile, SourceMap};

/// Every diagnostic with the lines it is about, an empty line between two.
pub fn render_human(diagnostics: &[Diagnostic], files: &SourceMap, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let rendered: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| renderer.render(&[group(diagnostic, files)]))
        .collect();
    let mut text = rendered.join("\n\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// `3 errors, 0 warnings in services.yaml`.
pub fn summary(diagnostics: &[Diagnostic], files: &SourceMap) -> String {
    let (errors, warnings) = count(diagnostics);
    let plural = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}, {} in {}",
        plural(errors, "error"),
        plural(warnings, "warning"),
        files.stack_names().join(", ")
    )
}

fn group<'a>(diagnostic: &'a Diagnostic, files: &'a SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str())
        .elements(Vec::<Origin<'a>>::new());
    match files.by_name(&diagnostic.file) {
        Some(file) if diagnostic.line > 0 => group = group.element(snippet(diagnostic, file)),
        _ => group = group.element(Origin::path(diagnostic.file.as_str())),
    }
    for name in other_files(diagnostic) {
        if let Some(file) = files.by_name(name) {
            group = group.element(other_snippet(diagnostic, file));
        }
    }
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

fn snippet<'a>(
    diagnostic: &'a Diagnostic,
    file: &'a SourceFile,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let mut primary = AnnotationKind::Primary.span(file.visible(&diagnostic.span));
    if let Some(label) = &diagnostic.label {
        primary = primary.label(label.as_str());
    }
    Snippet::source(file.text())
        .path(file.name())
        .annotation(primary)
        .annotations(context(diagnostic, file))
}

fn other_snippet<'a>(
    diagnostic: &'a Diagnostic,
    file: &'a SourceFile,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    Snippet::source(file.text())
        .path(file.name())
        .annotations(context(diagnostic, file))
}

fn context<'a>(
    diagnostic: &'a Diagnostic,
    file: &'a SourceFile,
) -> impl Iterator<Item = annotate_snippets::Annotation<'a>> {
    diagnostic
        .labels
        .iter()
        .filter(|label| label.file == file.name())
        .map(|label| {
            AnnotationKind::Context
                .span(file.visible(&label.span))
                .label(label.text.as_str())
        })
}

fn other_files(diagnostic: &Diagnostic) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for label in &diagnostic.labels {
        if label.file != diagnostic.file && !names.contains(&label.file.as_str()) {
            names.push(&label.file);
        }
    }
    names
}
