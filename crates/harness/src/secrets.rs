//! Reading secrets for a start.
//!
//! Owns: which ones are read (those of the units that are wanted), and that what is wrong with them is said like
//! everything else that is wrong with a stack file. Holds the values no longer than it takes to send them.

use std::collections::BTreeSet;

use harness_config::{
    Code, Diagnostic, Loaded, Sources, count, read_secrets, render_human, summary,
};
use harness_core::spec::{SecretValues, StackSpec, UnitName};

use crate::context::Context;
use crate::failure::Failure;
use crate::render::note;

/// The values that these units need.
///
/// # Errors
/// [`Failure::Diagnostics`] when one of them cannot be had.
pub(crate) async fn read(
    context: &Context,
    sources: &Sources,
    loaded: &Loaded,
    stack: &StackSpec,
    units: &BTreeSet<&UnitName>,
) -> Result<SecretValues, Failure> {
    let read = read_secrets(loaded, sources, stack, units).await;
    let (errors, _) = count(&read.diagnostics);
    if errors > 0 || !context.globals.quiet {
        note(&render_human(
            &read.diagnostics,
            &loaded.files,
            context.messages.color,
        ));
    }
    match errors {
        0 => Ok(read.values),
        _ => Err(Failure::Diagnostics {
            summary: summary(&read.diagnostics, &loaded.files),
        }),
    }
}

/// What is worth saying each time a stack is used. What looks like a secret in clear is said by `validate`.
pub(crate) fn without_advice(diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut said = diagnostics.to_vec();
    said.retain(|found| found.code != Code::SecretInClear);
    said
}
