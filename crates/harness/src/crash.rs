//! A defect of this program ends it with exit code 70 and a message, never with a backtrace in the middle of a table.
//!
//! Owns: the panic hook.

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use crate::render::note;

/// Runs the program.
pub(crate) fn guard(program: impl FnOnce() -> ExitCode) -> ExitCode {
    panic::set_hook(Box::new(|what| {
        note(&format!(
            "harness: this is a defect of the program: {what}\n  \
             = help: what runs goes on; please report this message with the command that led to it\n"
        ));
    }));
    panic::catch_unwind(AssertUnwindSafe(program)).unwrap_or(ExitCode::from(DEFECT))
}

const DEFECT: u8 = 70;
