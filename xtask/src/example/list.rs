//! Which examples there are.
//!
//! Owns: the names. What an example must show stands in the file of its name.

use crate::example::{lan, mesh, mixed, quickstart, webapp};
use crate::failure::Failure;

/// The examples that `cargo xtask ci` runs.
pub(crate) const NAMES: [&str; 5] = ["quickstart", "webapp", "mixed", "lan", "mesh"];

/// Runs one and ends in one line.
///
/// # Errors
/// When there is no such example, or one of its assertions does not hold.
pub(crate) fn run(name: &str) -> Result<(), Failure> {
    let shown = match name {
        "quickstart" => quickstart::run()?,
        "webapp" => webapp::run()?,
        "mixed" => mixed::run()?,
        "lan" => lan::run()?,
        "mesh" => mesh::run()?,
        _ => {
            return Err(Failure::Missing {
                what: format!("no example `{name}`"),
                advice: format!("there are: {}", NAMES.join(", ")),
            });
        }
    };
    println!("example {name}: {shown}");
    Ok(())
}
