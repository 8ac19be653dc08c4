//! Addresses of one's own for services and hosts, from networks of any size.
//!
//! Start reading at [`PoolPlan`] (what may be handed out), then [`Pool`] (who has what).

mod allocation;
mod plan;
mod ranges;
mod restore;
mod span;
mod state;

pub use allocation::{Allocation, Holder, Standing};
pub use plan::{Collision, PlanError, PoolPlan};
pub use restore::PoolRestoreError;
pub use span::{Span, SpanError};
pub use state::{Pool, PoolExhausted};
