//! The orchestrator as a value: define stacks, start and stop their units, watch what happens.
//!
//! Owns: the way to the supervisor, and, when it was made with [`ServiceManager::new`], the thread that drives it.
//! Holds no state of units: it asks.

use std::sync::Arc;
use std::time::Duration;

use crate::config::ServiceConfig;
use crate::executors::RunningService;
use crate::logs::LogStore;
use crate::model::Goal;
use crate::report::{Event, StackStatus, UnitStatus, Why};
use crate::spec::{StackName, StackSpec, UnitName};
use crate::supervisor::{
    Applied, ApplyError, ApplyMode, ForgetError, Order, OrderError, Ordered, Subscribed, Waited,
};
