//! The list of methods: name, who may call it, parameters, result.
//!
//! Owns: that list, and with it [`Request`] and [`Response`]. A method is added here; what does not handle it fails
//! to compile.

use serde::Serialize;
use serde::de::DeserializeOwned;
use service_orchestration::report::{StackStatus, Why};

use harness_wire::{Params, Role, RpcError};

use super::{
    ApplyParams, ApplyResult, DaemonInfo, DaemonStatusParams, Done, ForgetParams, LogParams,
    OrderResult, RestartParams, ShutdownParams, StackListParams, StackListResult, StartParams,
    StartResult, StatusParams, StopParams, SubscribeParams, Subscription, UnitsParams, WaitParams,
    WaitResult, WhyParams,
};

/// A method of the daemon.
pub trait Method {
    /// Its name on the wire.
    const NAME: &'static str;
    /// The least role that may call it.
    const ROLE: Role;
    /// Whether asking twice does no more than asking once, so that a call whose answer was lost can be repeated.
    const REPEATABLE: bool;
    /// What it takes.
    type Params: Serialize + DeserializeOwned + Send + Sync;
    /// What it answers; for a subscription, what precedes the items.
    type Result: Serialize + DeserializeOwned + Send;
    /// The call as a [`Request`].
    fn request(params: Self::Params) -> Request;
}

macro_rules! methods {
    ($($(#[doc = $doc:literal])* $name:ident = $wire:literal, $role:ident, $repeatable:literal, ($params:ty) -> $result:ty;)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Method for $name {
                const NAME: &'static str = $wire;
                const ROLE: Role = Role::$role;
                const REPEATABLE: bool = $repeatable;
                type Params = $params;
                type Result = $result;
                fn request(params: $params) -> Request {
                    Request::$name(params)
                }
            }
        )*

        /// Any call, with its parameters.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Request {
            $($(#[doc = $doc])* $name($params),)*
        }

        /// The answer to any call.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Response {
            $($(#[doc = $doc])* $name($result),)*
        }

        impl Request {
            /// The call of this name with these parameters.
            ///
            /// # Errors
            /// When there is no such method, or the parameters do not fit it.
            pub fn parse(method: &str, params: &Params) -> Result<Self, RpcError> {
                match method {
                    $($wire => params.parse().map(Self::$name),)*
                    _ => Err(RpcError::method_not_found(method)),
                }
            }

            /// The method's name on the wire.
            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => $wire,)*
                }
            }

            /// The least role that may call it.
            pub fn role(&self) -> Role {
                match self {
                    $(Self::$name(_) => Role::$role,)*
                }
            }
        }

        /// Every method's name, in the order of the list.
        pub const NAMES: &[&str] = &[$($wire),*];
    };
}

methods! {
    /// Who the daemon is.
    DaemonStatus = "daemon.status", Observer, true, (DaemonStatusParams) -> DaemonInfo;
    /// Ends the daemon.
    Shutdown = "daemon.shutdown", Admin, false, (ShutdownParams) -> Done;
    /// Defines a stack and orders units of it up.
    StartStack = "stack.start", Deployer, true, (StartParams) -> StartResult;
    /// Defines a stack.
    ApplyStack = "stack.apply", Deployer, true, (ApplyParams) -> ApplyResult;
    /// Orders units down.
    StopUnits = "stack.stop", Operator, true, (StopParams) -> OrderResult;
    /// Orders a new attempt of units.
    RestartUnits = "stack.restart", Operator, false, (RestartParams) -> OrderResult;
    /// How a stack stands.
    StackStatusOf = "stack.status", Observer, true, (StatusParams) -> StackStatus;
    /// Which stacks there are.
    ListStacks = "stack.list", Observer, true, (StackListParams) -> StackListResult;
    /// Answers once units have come as far as asked, or never can.
    WaitFor = "stack.wait", Observer, true, (WaitParams) -> WaitResult;
    /// Forgets a stack that does not run.
    ForgetStack = "stack.forget", Operator, true, (ForgetParams) -> Done;
    /// Why a unit is where it is.
    WhyUnit = "unit.why", Observer, true, (WhyParams) -> Why;
    /// Keeps units down.
    HoldUnits = "unit.hold", Operator, true, (UnitsParams) -> OrderResult;
    /// Keeps units down no longer.
    ReleaseUnits = "unit.release", Operator, true, (UnitsParams) -> OrderResult;
    /// Events, one per item.
    SubscribeEvents = "events.subscribe", Observer, true, (SubscribeParams) -> Subscription;
    /// Log lines up to now, in batches.
    ReadLogs = "logs.read", Observer, true, (LogParams) -> Done;
    /// Log lines as they come, in batches.
    FollowLogs = "logs.follow", Observer, true, (LogParams) -> Done;
}
