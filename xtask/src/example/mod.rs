//! The examples, each run end to end with its assertions.

mod lan;
mod leftovers;
mod list;
mod mesh;
mod mixed;
mod quickstart;
mod webapp;

pub(crate) use list::{NAMES, run};
