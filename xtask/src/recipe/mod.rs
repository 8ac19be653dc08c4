//! One recipe per file.

pub(crate) mod base;
pub(crate) mod bench;
pub(crate) mod ci;
pub(crate) mod containers;
pub(crate) mod docs;
pub(crate) mod faults;
pub(crate) mod fuzz;
pub(crate) mod hosts;
pub(crate) mod lint;
pub(crate) mod quickstart;
pub(crate) mod readme;
pub(crate) mod samples;
pub(crate) mod setup;
pub(crate) mod test;
