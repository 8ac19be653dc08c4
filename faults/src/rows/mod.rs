//! The scenarios, one file a family.

pub(crate) mod beside;
pub(crate) mod clock;
pub(crate) mod containers;
pub(crate) mod crash_daemon;
pub(crate) mod crash_shim;
pub(crate) mod daemon_stop;
pub(crate) mod disk;
pub(crate) mod disk_total;
pub(crate) mod errors;
pub(crate) mod exact;
pub(crate) mod hosts;
pub(crate) mod identity;
pub(crate) mod peers;
pub(crate) mod races;
pub(crate) mod remote;
pub(crate) mod storms;
pub(crate) mod tree_limits;
pub(crate) mod trees;
pub(crate) mod upgrade;
pub(crate) mod upgrade_adopt;
