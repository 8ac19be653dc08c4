//! The README's tour, run as it stands.
//!
//! Owns: how a block is run: by `sh -eu`, in the workspace's root, in one home for all of them, with `harness` in the
//! PATH. Blocks in another language, or without the mark `run`, are for reading.

use crate::failure::Failure;
use crate::fenced;
use crate::sandbox::Sandbox;
use crate::workspace;

/// Runs every marked block, in order, and returns how many there were.
///
/// # Errors
/// The first block that does not end with success, or when there is none to run.
pub(crate) fn run() -> Result<usize, Failure> {
    let page = workspace::read(&workspace::root().join("README.md"))?;
    let blocks: Vec<_> = fenced::blocks(&page)
        .into_iter()
        .filter(|block| block.is_in("sh") && block.is_marked("run"))
        .collect();
    if blocks.is_empty() {
        return Err(Failure::Unmet {
            claim: "README.md has blocks marked `run`".into(),
            found: "none".into(),
        });
    }
    let sandbox = Sandbox::new()?;
    for block in &blocks {
        eprintln!("README.md:{}", block.line);
        sandbox.step("sh", &["-euc", &block.text]).run()?;
    }
    Ok(blocks.len())
}
