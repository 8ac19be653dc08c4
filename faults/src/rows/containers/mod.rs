//! Services in containers: daemon, engine, and others who break them.

mod behind;
mod cut;
mod daemon;
mod engine;
mod full;
mod kept;
mod missing;
mod points;
mod stage;
mod stale;

pub(crate) use behind::removed;
pub(crate) use cut::cut;
pub(crate) use daemon::daemon;
pub(crate) use engine::engine;
pub(crate) use full::full;
pub(crate) use kept::kept;
pub(crate) use missing::missing;
pub(crate) use points::points;
pub(crate) use stale::stale;
