//! Meshes between the hosts of stacks.
//!
//! Start reading at [`Meshes`] (what is asked for), then `round` (how it is made so).

mod address;
mod book;
mod file;
mod ground;
mod keeper;
mod proof;
mod round;
mod status;
mod turn;
mod watch;

pub(super) use keeper::Meshes;
