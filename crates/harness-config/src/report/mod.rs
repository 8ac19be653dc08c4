//! What is said about a stack file, and how it is shown.

mod code;
mod diagnostic;
mod human;
mod machine;
mod sink;
mod suggest;

pub use code::{Code, explain};
pub use diagnostic::{Diagnostic, Label, Severity, count};
pub use human::{render_human, summary};
pub use machine::{render_github, to_json};
pub(crate) use sink::Sink;
pub(crate) use suggest::listed;
