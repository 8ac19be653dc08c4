//! Compose files: what they say, said as a stack file.
//!
//! Owns: what each key of Compose becomes, and that nothing is dropped without a word. The result is a tree whose values
//! keep their places in the Compose file, so that everything said later about the stack points there. Never runs
//! anything; reads only the files that `include` and `extends` name.

mod build;
mod convert;
mod depends;
mod deploy;
mod detect;
mod environment;
mod extends;
mod findings;
mod health;
mod import;
mod inner;
mod interpolate;
mod keys;
mod mounts;
mod networks;
mod nodes;
mod plan;
mod ports;
mod rules;
mod service;
mod tmpfs;
mod write;

pub(crate) use convert::convert;
pub use detect::COMPOSE_FILE_NAMES;
pub(crate) use detect::is_compose;
pub use environment::compose_files;
pub(crate) use environment::{directory_name, keep_name, profiles, project_name};
pub(crate) use extends::Reading;
pub(crate) use findings::Refused;
pub use import::{Imported, import_compose};
pub(crate) use interpolate::with_braces;
pub(crate) use rules::RULES;
