//! What a package says of itself.

mod file;
mod types;

pub use file::{ManifestError, Recipe};
pub(crate) use types::MANIFEST_NAME;
pub use types::{
    About, Content, Entry, Health, Manifest, Mode, NameFault, NotAMode, PackageName, Pick, Program,
};
