//! The line of one call in the audit record.
//!
//! Owns: which calls are recorded, what of their parameters (names only), and that the line is written before the answer
//! goes out, or when the client leaves without one.

use std::sync::Arc;

use harness_wire::RpcError;
use service_orchestration::blocking;

use super::registry::recorded_name;
use super::serve::Caller;
use super::shared::Shared;
use crate::audit::{Durability, Entry};
use crate::protocol::{ApiError, Effect, NamePattern, Request};

/// A call that is or is not recorded. Dropped without an outcome, it is recorded as abandoned.
pub(super) struct Recorded<'a> {
    shared: &'a Arc<Shared>,
    entry: Option<Entry>,
    durability: Durability,
}

impl<'a> Recorded<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, caller: &Caller, call: &Request) -> Self {
        let entry = match call.effect() {
            Effect::Reads => None,
            Effect::Changes => Some(entry(caller, call)),
        };
        Self {
            shared,
            entry,
            durability: durability(call),
        }
    }

    /// Records what came of it, and gives that back in the form of an answer.
    pub(super) async fn outcome<T>(mut self, result: Result<T, ApiError>) -> Result<T, RpcError> {
        self.write(match &result {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.code.name(),
        })
        .await;
        result.map_err(RpcError::from)
    }

    /// Records that it came to this.
    pub(super) async fn write(&mut self, outcome: String) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let entry = Entry { outcome, ..entry };
        match self.durability {
            Durability::Soon => self.shared.audit.append(entry, Durability::Soon),
            Durability::Now => {
                let shared = Arc::clone(self.shared);
                blocking::unblock(move || shared.audit.append(entry, Durability::Now)).await;
            }
        }
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            let outcome = "abandoned".to_owned();
            self.shared
                .audit
                .append(Entry { outcome, ..entry }, Durability::Soon);
        }
    }
}

fn durability(call: &Request) -> Durability {
    match call {
        Request::Shutdown(_)
        | Request::InviteClient(_)
        | Request::RevokeClient(_)
        | Request::SetClientRole(_) => Durability::Now,
        _ => Durability::Soon,
    }
}

fn entry(caller: &Caller, call: &Request) -> Entry {
    let identity = &caller.identity;
    let half = identity.fingerprint.len() / 2;
    let entry = Entry {
        client: identity.name.clone(),
        role: Some(identity.role),
        certificate: identity.fingerprint.get(..half).map(str::to_owned),
        from: Some(caller.from.to_string()),
        method: call.method(),
        ..Entry::default()
    };
    // The parameters' own JSON would say it all, and too much: a definition may hold anything.
    match call {
        Request::StartStack(params) => about(entry, &params.stack.name, &params.units),
        Request::ApplyStack(params) => about::<&str>(entry, &params.stack.name, &[]),
        Request::StopUnits(params) => about(entry, &params.stack, &params.units),
        Request::RestartUnits(params) => about(entry, &params.stack, &params.units),
        Request::StartUnits(params) => about(entry, &params.stack, &params.units),
        Request::SignalUnits(params) => about(entry, &params.stack, &params.units),
        Request::HoldUnits(params) | Request::ReleaseUnits(params) => {
            about(entry, &params.stack, &params.units)
        }
        Request::PublishService(params) => {
            let (stack, unit) = recorded_name(&params.name);
            about(entry, &stack, &[unit])
        }
        Request::WithdrawService(params) => {
            let (stack, unit) = recorded_name(&params.name);
            about(entry, &stack, &[unit])
        }
        Request::BeginOneOff(params) => about(entry, &params.stack, &[&params.unit]),
        Request::OpenInput(params) => about(entry, &params.stack, &[&params.unit]),
        Request::EndOneOff(params) => about::<&str>(entry, &params.stack, &[]),
        Request::ForgetStack(params) => about::<&str>(entry, &params.stack, &[]),
        Request::RotateNet(params) => about::<&str>(entry, &params.stack, &[]),
        Request::Shutdown(params) => Entry {
            about: params.keep.then(|| "keep".to_owned()),
            ..entry
        },
        Request::InviteClient(params) => Entry {
            about: Some(format!(
                "{}, {}{}",
                params.name.as_deref().unwrap_or("unnamed"),
                params.role,
                granted(&params.register)
            )),
            ..entry
        },
        Request::RevokeClient(params) => Entry {
            about: Some(params.name.clone()),
            ..entry
        },
        Request::SetClientRole(params) => Entry {
            about: Some(format!(
                "{}, {}{}",
                params.name,
                params.role,
                granted(params.register.as_deref().unwrap_or_default())
            )),
            ..entry
        },
        Request::RenewClient(_)
        | Request::DaemonStatus(_)
        | Request::StackStatusOf(_)
        | Request::ListStacks(_)
        | Request::WaitFor(_)
        | Request::WhyUnit(_)
        | Request::ResolveNet(_)
        | Request::StatusOfNet(_)
        | Request::ListRegistry(_)
        | Request::ResolveService(_)
        | Request::RenewLease(_)
        | Request::WatchRegistry(_)
        | Request::GiveInput(_)
        | Request::SubscribeEvents(_)
        | Request::ReadLogs(_)
        | Request::FollowLogs(_)
        | Request::ReadBlocks(_)
        | Request::FollowBlocks(_)
        | Request::ListClients(_)
        | Request::ReadAudit(_)
        | Request::VerifyAudit(_) => entry,
    }
}

/// What may be registered, after the role.
fn granted(register: &[NamePattern]) -> String {
    let each = register
        .iter()
        .map(|pattern| format!(", registers {pattern}"));
    each.collect()
}

fn about<U: ToString>(entry: Entry, stack: &impl ToString, units: &[U]) -> Entry {
    Entry {
        stack: Some(stack.to_string()),
        units: units.iter().map(ToString::to_string).collect(),
        ..entry
    }
}
