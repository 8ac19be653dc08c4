//! The list of methods: name, who may call it, parameters, result.
//!
//! Owns: that list, and with it [`Request`] and [`Response`]. A method is added here; what does not handle it fails
//! to compile.

use serde::Serialize;
use serde::de::DeserializeOwned;
use service_orchestration::report::{NetStatus, NetView, Rotation, StackStatus, Why};

use harness_wire::{Params, Role, RpcError};

use super::{
    ApplyParams, ApplyResult, AuditPage, AuditReadParams, AuditVerified, AuditVerifyParams,
    ClientList, ClientListParams, DaemonInfo, DaemonStatusParams, Done, ForgetParams, ForgetResult,
    InputOpened, InputParams, InputTaken, InviteParams, Invited, LogParams, NetParams,
    NetRotateParams, NetStatusParams, OneOffEndParams, OneOffParams, OneOffResult, OpenInputParams,
    OrderResult, RegistryList, RegistryListParams, RegistryPublishParams, RegistryPublished,
    RegistryRenewParams, RegistryResolveParams, RegistryResolved, RegistryWatchParams,
    RegistryWatching, RegistryWithdrawParams, RegistryWithdrawn, RenewParams, Renewed,
    RestartParams, RevokeParams, SetRoleParams, ShutdownParams, SignalParams, SignalResult,
    StackListParams, StackListResult, StartParams, StartResult, StartUnitsParams, StatusParams,
    StopParams, SubscribeParams, Subscription, UnitsParams, WaitParams, WaitResult, WhyParams,
};

/// Whether a method leaves everything as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It looks.
    Reads,
    /// It changes something: the call is recorded ([`crate::audit`]).
    Changes,
}

/// A method of the daemon.
pub trait Method {
    /// Its name on the wire.
    const NAME: &'static str;
    /// The least role that may call it.
    const ROLE: Role;
    /// Whether it is recorded.
    const EFFECT: Effect;
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
    ($($(#[doc = $doc:literal])* $name:ident = $wire:literal, $role:ident, $effect:ident, $repeatable:literal, ($params:ty) -> $result:ty;)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Method for $name {
                const NAME: &'static str = $wire;
                const ROLE: Role = Role::$role;
                const EFFECT: Effect = Effect::$effect;
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

        impl Request {
            /// Whether it is recorded.
            pub fn effect(&self) -> Effect {
                match self {
                    $(Self::$name(_) => Effect::$effect,)*
                }
            }
        }

        /// Every method's name, in the order of the list.
        pub const NAMES: &[&str] = &[$($wire),*];

        /// Every method with the one role it needs, and whether it is recorded.
        pub const ROLES: &[(&str, Role, Effect)] = &[$(($wire, Role::$role, Effect::$effect)),*];
    };
}

methods! {
    /// Who the daemon is.
    DaemonStatus = "daemon.status", Observer, Reads, true, (DaemonStatusParams) -> DaemonInfo;
    /// Ends the daemon.
    Shutdown = "daemon.shutdown", Admin, Changes, false, (ShutdownParams) -> Done;
    /// Defines a stack and orders units of it up.
    StartStack = "stack.start", Deployer, Changes, true, (StartParams) -> StartResult;
    /// Defines a stack.
    ApplyStack = "stack.apply", Deployer, Changes, true, (ApplyParams) -> ApplyResult;
    /// Orders units down.
    StopUnits = "stack.stop", Operator, Changes, true, (StopParams) -> OrderResult;
    /// Orders a new attempt of units.
    RestartUnits = "stack.restart", Operator, Changes, false, (RestartParams) -> OrderResult;
    /// How a stack stands.
    StackStatusOf = "stack.status", Observer, Reads, true, (StatusParams) -> StackStatus;
    /// Which stacks there are.
    ListStacks = "stack.list", Observer, Reads, true, (StackListParams) -> StackListResult;
    /// Answers once units have come as far as asked, or never can.
    WaitFor = "stack.wait", Observer, Reads, true, (WaitParams) -> WaitResult;
    /// Forgets a stack that does not run.
    ForgetStack = "stack.forget", Deployer, Changes, true, (ForgetParams) -> ForgetResult;
    /// Why a unit is where it is.
    WhyUnit = "unit.why", Observer, Reads, true, (WhyParams) -> Why;
    /// Keeps units down.
    HoldUnits = "unit.hold", Operator, Changes, true, (UnitsParams) -> OrderResult;
    /// Keeps units down no longer.
    ReleaseUnits = "unit.release", Operator, Changes, true, (UnitsParams) -> OrderResult;
    /// Sends a signal to the main processes of units.
    SignalUnits = "unit.signal", Operator, Changes, false, (SignalParams) -> SignalResult;
    /// Events, one per item.
    SubscribeEvents = "events.subscribe", Observer, Reads, true, (SubscribeParams) -> Subscription;
    /// Log lines up to now, in batches.
    ReadLogs = "logs.read", Observer, Reads, true, (LogParams) -> Done;
    /// Log lines as they come, in batches.
    FollowLogs = "logs.follow", Observer, Reads, true, (LogParams) -> Done;
    /// Orders units of a stack that is defined up.
    StartUnits = "unit.start", Operator, Changes, true, (StartUnitsParams) -> OrderResult;
    /// Who is known and who is invited.
    ListClients = "client.list", Admin, Reads, true, (ClientListParams) -> ClientList;
    /// Invites a client.
    InviteClient = "client.invite", Admin, Changes, false, (InviteParams) -> Invited;
    /// Shuts a client out, open connections included.
    RevokeClient = "client.revoke", Admin, Changes, false, (RevokeParams) -> Done;
    /// Changes what a client may do.
    SetClientRole = "client.set-role", Admin, Changes, true, (SetRoleParams) -> Done;
    /// Another certificate for the client that asks.
    RenewClient = "client.renew", Observer, Changes, true, (RenewParams) -> Renewed;
    /// What was changed, and by whom.
    ReadAudit = "audit.read", Admin, Reads, true, (AuditReadParams) -> AuditPage;
    /// Whether the record of it is as it was written.
    VerifyAudit = "audit.verify", Admin, Reads, true, (AuditVerifyParams) -> AuditVerified;
    /// Logs up to now, as bytes and marks.
    ReadBlocks = "logs.read-blocks", Observer, Reads, true, (LogParams) -> Done;
    /// Logs as they come, as bytes and marks.
    FollowBlocks = "logs.follow-blocks", Observer, Reads, true, (LogParams) -> Done;
    /// Where units are reached, and why there.
    ResolveNet = "net.resolve", Observer, Reads, true, (NetParams) -> NetView;
    /// The meshes of a stack, as their hosts tell.
    StatusOfNet = "net.status", Observer, Reads, true, (NetStatusParams) -> NetStatus;
    /// Gives the hosts of these meshes new keys.
    RotateNet = "net.rotate", Operator, Changes, false, (NetRotateParams) -> Rotation;
    /// What is listed in the registry.
    ListRegistry = "registry.list", Observer, Reads, true, (RegistryListParams) -> RegistryList;
    /// Where a service is.
    ResolveService = "registry.resolve", Observer, Reads, true, (RegistryResolveParams) -> RegistryResolved;
    /// Lists a service that the client runs; or less than a deployer, by a grant.
    PublishService = "registry.publish", Deployer, Changes, true, (RegistryPublishParams) -> RegistryPublished;
    /// A sign of life: changes nothing that is told to anybody. By a grant as well.
    RenewLease = "registry.renew", Deployer, Reads, true, (RegistryRenewParams) -> Done;
    /// Takes a service off the list that the client has published; by a grant as well.
    WithdrawService = "registry.withdraw", Deployer, Changes, true, (RegistryWithdrawParams) -> RegistryWithdrawn;
    /// What is listed in the registry, and every change of it.
    WatchRegistry = "registry.watch", Observer, Reads, true, (RegistryWatchParams) -> RegistryWatching;
    /// Makes something ready that is run by the definition of a unit, and beside it.
    BeginOneOff = "one-off.begin", Deployer, Changes, false, (OneOffParams) -> OneOffResult;
    /// Ends what is run so.
    EndOneOff = "one-off.end", Operator, Changes, true, (OneOffEndParams) -> Done;
    /// The standard input of a unit's next run, for as long as the client wants it.
    OpenInput = "unit.open-input", Deployer, Changes, true, (OpenInputParams) -> InputOpened;
    /// Bytes for it: what is recorded is that it was opened.
    GiveInput = "unit.input", Deployer, Reads, false, (InputParams) -> InputTaken;
}
