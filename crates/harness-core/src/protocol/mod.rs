//! What a client can ask of the daemon, and what the daemon answers: method names, parameters, results, errors.
//!
//! Owns: the wire form of every call ([`method`] is the whole list), `schema_version` [`SCHEMA_VERSION`]. Never decides
//! anything. Fields are added with a default, never changed or removed; a parameter that a daemon does not know is
//! refused, never ignored.
//!
//! | method | does | kind |
//! |---|---|---|
//! | `daemon.status` | who the daemon is, and its stacks | call |
//! | `daemon.shutdown` | stops all stacks (or leaves them) and ends the daemon | long call |
//! | `stack.start` | defines a stack and orders units of it up, in one request | call |
//! | `stack.apply`, `stack.stop`, `stack.restart`, `stack.forget` | define; order down; order anew; forget | call |
//! | `stack.status`, `stack.list`, `unit.why` | look | call |
//! | `net.resolve` | where units are reached, and why there | call |
//! | `net.status` | the meshes of a stack, as their hosts tell | call |
//! | `net.rotate` | new keys for them | call |
//! | `stack.wait` | answers once units have come as far as asked, or never can | long call |
//! | `unit.start` | orders units of a stack that is defined up | call |
//! | `unit.hold`, `unit.release` | keep down; no longer | call |
//! | `unit.signal` | sends a signal to main processes | call |
//! | `one-off.begin`, `one-off.end` | makes a run by a unit's definition ready, which ends with whoever asked; ends it | long call |
//! | `unit.open-input` | the standard input of a unit's next run, for as long as it is wanted | subscription |
//! | `unit.input` | bytes for it | long call |
//! | `client.list`, `client.invite`, `client.revoke`, `client.set-role` | who may come in, and as what | call |
//! | `client.renew` | another certificate for the client that asks | call |
//! | `audit.read`, `audit.verify` | what was changed by whom; whether the record is as it was written | call |
//! | `events.subscribe` | events from a sequence number on | subscription |
//! | `logs.read`, `logs.follow` | log lines from cursors on | subscription |
//! | `registry.list`, `registry.resolve` | what is listed; where it is | call |
//! | `registry.publish`, `registry.renew`, `registry.withdraw` | list what somebody else runs; still there; no longer | call |
//! | `registry.watch` | what is listed, and every change of it | subscription |
//! | `logs.read-blocks`, `logs.follow-blocks` | the same as bytes and marks, for lines to be found in by the reader | subscription |
//!
//! A long call is cancelled by `$/cancel` and by the end of its connection; what it has ordered stays ordered.

pub use harness_wire::Role;

mod access;
mod audit;
pub(crate) mod base64;
mod blocks;
mod daemon;
mod error;
mod events;
mod input;
mod logs;
pub mod method;
mod net;
mod one_off;
pub(crate) mod registry;
mod shape;
mod stacks;

pub use access::{
    ClientInfo, ClientList, ClientListParams, InvitationInfo, InviteParams, Invited, RenewParams,
    Renewed, RevokeParams, SetRoleParams,
};
pub use audit::{AuditPage, AuditReadParams, AuditVerified, AuditVerifyParams};
pub use blocks::{BLOCKS, LogBlock, LogMark, MAX_BLOCK_BYTES, MarkKind, Marked};
pub use daemon::{DaemonInfo, DaemonStatusParams, ShutdownParams, StackSummary};
pub use error::{ApiError, ErrorCode};
pub use events::{SubscribeParams, Subscription};
pub use input::{InputOpened, InputParams, InputTaken, OpenInputParams};
pub use logs::{LogBatch, LogParams, LogRecord, MAX_BATCH_BYTES};
pub use method::{Effect, Method, Request, Response};
pub use net::{NetParams, NetRotateParams, NetStatusParams};
pub use one_off::{Holder, OneOffBegin, OneOffEndParams, OneOffParams, OneOffResult};
pub use registry::{
    ContainerPlace, CursorError, Health, InstanceName, NamePattern, NetworkEnd, PublishEndpoint,
    RegistryCursor, RegistryEndpoint, RegistryEntry, RegistryEvent, RegistryList,
    RegistryListParams, RegistryNameError, RegistryPublishParams, RegistryPublished,
    RegistryRenewParams, RegistryResolveParams, RegistryResolved, RegistryWatchParams,
    RegistryWatching, RegistryWithdrawParams, RegistryWithdrawn, ResolveFrom, ResolvedEndpoint,
    ServiceName, SnapshotReason, UnregisterReason,
};
pub use shape::{Done, SCHEMA_VERSION};
pub use stacks::{
    ApplyParams, ApplyResult, ForgetParams, ForgetResult, Mode, OrderResult, RestartParams,
    SignalParams, SignalResult, StackListParams, StackListResult, StartParams, StartResult,
    StartUnitsParams, StatusParams, StopParams, UnitsParams, WaitGoal, WaitParams, WaitResult,
    WhyParams,
};
