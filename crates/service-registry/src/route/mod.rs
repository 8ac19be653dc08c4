//! How one place reaches another.
//!
//! Start reading at [`route()`] (the rule), then [`Reason`] (what it can come to).

mod reason;
mod rule;

pub use reason::{Reason, Route, RouteError};
pub use rule::{detour, route, route_to_port};
