//! The stack file: YAML to [`StackSpec`](service_orchestration::spec::StackSpec), every error located.
//!
//! Owns: the format, its diagnostics and its JSON Schema. Never looks at the environment of the process, never draws on a
//! terminal; it reads the files it is given and those that they name, and starts nothing but the programs that print
//! secrets, when [`read_secrets`] is asked for them.
//!
//! A load goes through five steps, each of which says everything it finds: `yaml` makes a located tree and lays files
//! over each other, `text` puts variables in, `table` checks the tree against the tables in `keys`, `decode` makes the
//! specification, `check` looks at the whole graph. A Compose file becomes such a tree in `compose`, before variables are
//! put in.
//!
//! ```
//! use harness_config::{Sources, load, render_human};
//!
//! let loaded = load(&Sources::new().text("stack.yaml", "services:\n  web: {type: process, binray: httpd}\n"));
//! assert!(loaded.stack.is_none());
//! assert_eq!(loaded.diagnostics[0].location(), "stack.yaml:2:24");
//! let text = render_human(&loaded.diagnostics, &loaded.files, false);
//! assert!(text.contains("did you mean `binary`?"));
//! ```

mod check;
mod compose;
mod decode;
mod input;
mod keys;
mod load;
mod render;
mod report;
mod secrets;
mod source;
mod table;
mod text;
mod yaml;

pub use check::{Unsupported, unsupported, unsupported_with};
pub use compose::{COMPOSE_FILE_NAMES, Imported, compose_files, import_compose};
pub use input::{FILE_NAMES, Sources, discover, override_of};
pub use load::{Loaded, load};
pub use render::{Secrets, is_secret_name, render_config};
pub use report::{
    Code, Diagnostic, Label, Severity, count, explain, render_github, render_human, summary,
    to_json,
};
pub use secrets::{SecretsRead, examine_secrets, read_secrets};
pub use source::{SourceFile, SourceMap};

/// Bytes (`1048576`) or a size with a unit (`10MiB`, `10m`, `1g`), as the stack file takes it.
///
/// # Errors
/// What was expected, as a fragment.
pub fn parse_size(text: &str) -> Result<u64, String> {
    table::size(text)
}

/// The JSON Schema (draft-07) of the stack file, made from the tables that loading checks against.
pub fn json_schema() -> serde_json::Value {
    table::json_schema()
}
