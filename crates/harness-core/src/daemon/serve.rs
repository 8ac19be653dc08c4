//! From a request to its answer.
//!
//! Owns: which question to the supervisor each method is, and who may ask it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use harness_wire::{PeerIdentity, Role, RpcError};
use serde_json::json;
use service_orchestration::Volumes;
use service_orchestration::logs::Reach;
use service_orchestration::supervisor::Order;

use super::recorded::Recorded;
use super::shared::Shared;
use super::{clients, events, inputs, logs, registry, stacks, watching};
use crate::protocol::{
    ApiError, ApplyParams, ApplyResult, DaemonInfo, Done, ErrorCode, ForgetResult, NetParams,
    NetRotateParams, NetStatusParams, OneOffEndParams, OneOffResult, OrderResult, Request,
    RestartParams, SCHEMA_VERSION, SignalParams, SignalResult, StackListResult, StartParams,
    StartResult, StartUnitsParams, StopParams, UnitsParams, WaitGoal, WaitParams, WaitResult,
};

/// Who calls.
#[derive(Debug)]
pub(super) struct Caller {
    /// As it was when the connection began.
    pub(super) identity: PeerIdentity,
    pub(super) from: SocketAddr,
}

/// Answers one request of a client.
pub(super) async fn serve(shared: &Arc<Shared>, caller: &Caller, request: harness_wire::Request) {
    let harness_wire::Request {
        method,
        params,
        responder,
        ..
    } = request;
    let call = match Request::parse(&method, &params) {
        Ok(call) => call,
        Err(error) => return responder.error(&error),
    };
    let mut record = Recorded::new(shared, caller, &call);
    // Asked anew with every call: a role may have changed, or the client been shut out.
    let role = match shared.access.role_of(&caller.identity) {
        Ok(role) if role.allows(call.role()) => role,
        Ok(role) if registry::is_granted(shared, caller, &call) => role,
        Ok(role) => {
            let error = registry::not_granted(shared, caller, role, &call)
                .unwrap_or_else(|| forbidden(&call, &caller.identity.name, role));
            return responder.answer::<Done>(record.outcome(Err(error)).await);
        }
        Err(error) => {
            record.write("forbidden".to_owned()).await;
            return responder.error(&error);
        }
    };
    match call {
        Request::DaemonStatus(_) => responder.ok(&daemon_status(shared).await),
        Request::Shutdown(params) => {
            tracing::info!(client = %caller.identity.name, keep = params.keep, "asked to end");
            // Before it ends: afterwards the record belongs to the next daemon.
            record.write("ok".to_owned()).await;
            let end = shared.end(params.keep);
            end.reached().await;
            responder.ok(&Done {});
        }
        Request::StartStack(params) => {
            let result = start(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::ApplyStack(params) => {
            let result = apply(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::StopUnits(params) => {
            let result = stop(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::RestartUnits(params) => {
            let result = restart(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::StartUnits(params) => {
            let result = start_units(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::HoldUnits(params) => {
            let result = order(shared, params, Order::Hold).await;
            responder.answer(record.outcome(result).await);
        }
        Request::ReleaseUnits(params) => {
            shared.note_start(&params.stack);
            let result = order(shared, params, Order::Release).await;
            responder.answer(record.outcome(result).await);
        }
        Request::ForgetStack(params) => {
            let volumes = match params.volumes {
                true => Volumes::Remove,
                false => Volumes::Keep,
            };
            let forgotten = shared.manager.forget(&params.stack, volumes).await;
            shared.attend(&params.stack);
            let left = match (&forgotten, volumes) {
                (Ok(_), Volumes::Remove) => shared.manager.volumes_of_others(&params.stack).await,
                (Ok(_), Volumes::Keep) | (Err(_), _) => Vec::new(),
            };
            let result = forgotten
                .map(|volumes| ForgetResult { volumes, left })
                .map_err(ApiError::from);
            responder.answer(record.outcome(result).await);
        }
        Request::SignalUnits(params) => {
            let result = signal(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::StackStatusOf(params) => {
            let status = shared.manager.status_text(&params.stack).await;
            responder.answer(status.map_err(|error| ApiError::from(error).into()));
        }
        Request::ListStacks(_) => {
            let items = stacks::summaries(&shared.manager).await;
            if shared.manager.has_ended() {
                // It knows of no stack any more: the next daemon does.
                responder.answer::<StackListResult>(Err(ApiError::shutting_down().into()));
                return;
            }
            responder.ok(&StackListResult {
                schema_version: SCHEMA_VERSION,
                items,
            });
        }
        Request::WaitFor(params) => {
            responder.answer(wait(shared, params).await.map_err(RpcError::from))
        }
        Request::WhyUnit(params) => {
            let why = shared.manager.why(&params.stack, &params.unit).await;
            responder.answer(why.map_err(|error| ApiError::from(error).into()));
        }
        Request::ResolveNet(params) => {
            let NetParams { stack, asker, unit } = params;
            let view = shared
                .manager
                .net(&stack, asker.as_deref(), unit.as_deref());
            responder.answer(view.await.map_err(|error| ApiError::from(error).into()));
        }
        Request::StatusOfNet(NetStatusParams { stack }) => {
            let status = shared.manager.net_status(&stack).await;
            responder.answer(status.map_err(|error| ApiError::from(error).into()));
        }
        Request::RotateNet(NetRotateParams { stack }) => {
            let rotation = shared.manager.rotate_mesh_keys(&stack).await;
            let rotation = rotation.map_err(ApiError::from);
            responder.answer(record.outcome(rotation).await);
        }
        Request::ListRegistry(params) => responder.ok(&registry::list(shared, &params)),
        Request::ResolveService(params) => {
            let result = registry::resolve(shared, params).await;
            responder.answer(result.map_err(RpcError::from));
        }
        Request::PublishService(params) => {
            let result = registry::publish(shared, caller, role, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::RenewLease(params) => {
            let result = registry::renew(shared, caller, &params);
            responder.answer(result.map_err(RpcError::from));
        }
        Request::WithdrawService(params) => {
            let result = registry::withdraw(shared, caller, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::WatchRegistry(params) => {
            watching::watch(shared, caller, role, params, responder).await;
        }
        Request::BeginOneOff(params) => {
            let (stack, unit) = (params.stack.clone(), params.unit.clone());
            let ready = shared.manager.one_off(&stack, &unit, params.into()).await;
            let result = ready.map(OneOffResult::from).map_err(ApiError::from);
            responder.answer(record.outcome(result).await);
        }
        Request::EndOneOff(OneOffEndParams { stack, id }) => {
            let ended = shared.manager.end_one_offs(&stack, id.as_deref()).await;
            let result = ended.map(|()| Done {}).map_err(ApiError::from);
            responder.answer(record.outcome(result).await);
        }
        Request::OpenInput(params) => {
            record.write("ok".to_owned()).await;
            inputs::open(shared, caller, params, responder).await;
        }
        Request::GiveInput(params) => responder.ok(&inputs::take(shared, caller, params).await),
        Request::SubscribeEvents(params) => events::subscribe(shared, params, responder).await,
        Request::ReadLogs(params) => logs::lines(shared, params, Reach::Past, responder).await,
        Request::FollowLogs(params) => {
            logs::lines(shared, params, Reach::PastAndFuture, responder).await;
        }
        Request::ReadBlocks(params) => logs::blocks(shared, params, Reach::Past, responder).await,
        Request::FollowBlocks(params) => {
            logs::blocks(shared, params, Reach::PastAndFuture, responder).await;
        }
        Request::ListClients(_) => responder.ok(&shared.access.list()),
        Request::InviteClient(params) => {
            let result = clients::invite(shared, caller, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::RevokeClient(params) => {
            let result = clients::revoke(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::SetClientRole(params) => {
            let result = clients::set_role(shared, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::RenewClient(params) => {
            let result = clients::renew(shared, caller, params).await;
            responder.answer(record.outcome(result).await);
        }
        Request::ReadAudit(params) => {
            responder.answer(
                clients::read_audit(shared, params)
                    .await
                    .map_err(RpcError::from),
            );
        }
        Request::VerifyAudit(_) => {
            responder.answer(clients::verify_audit(shared).await.map_err(RpcError::from));
        }
    }
}

async fn daemon_status(shared: &Shared) -> DaemonInfo {
    let endpoint = shared.endpoint.clone();
    DaemonInfo {
        schema_version: SCHEMA_VERSION,
        pid: endpoint.pid,
        listen: endpoint.listen,
        program: endpoint.program,
        version: endpoint.version,
        started_at: endpoint.started_at,
        detached: endpoint.detached,
        state_directory: shared.state.clone(),
        stacks: stacks::summaries(&shared.manager).await,
    }
}

async fn start(shared: &Shared, params: StartParams) -> Result<StartResult, ApiError> {
    let StartParams {
        stack,
        mode,
        units,
        no_deps,
        again,
        secrets,
    } = params;
    let name = stack.name.clone();
    let applied = shared
        .manager
        .apply_with(*stack, secrets, mode.into())
        .await?;
    shared.note_start(&name);
    let ordered = shared
        .manager
        .order(
            &name,
            &units,
            Order::Start {
                no_dependencies: no_deps,
                again,
            },
        )
        .await;
    if ordered.is_err() {
        shared.attend(&name);
    }
    Ok(StartResult {
        applied: applied.into(),
        ordered: ordered?.into(),
    })
}

async fn apply(shared: &Shared, params: ApplyParams) -> Result<ApplyResult, ApiError> {
    Ok(shared
        .manager
        .apply_with(*params.stack, params.secrets, params.mode.into())
        .await?
        .into())
}

async fn stop(shared: &Shared, params: StopParams) -> Result<OrderResult, ApiError> {
    let order = Order::Stop {
        with_dependents: params.with_dependents,
        force: params.force,
        grace: params.grace(),
    };
    let ordered = shared
        .manager
        .order(&params.stack, &params.units, order)
        .await?;
    shared.attend(&params.stack);
    Ok(ordered.into())
}

async fn signal(shared: &Shared, params: SignalParams) -> Result<SignalResult, ApiError> {
    let SignalParams {
        stack,
        units,
        signal,
    } = params;
    let signalled = shared.manager.signal(&stack, &units, signal).await?;
    Ok(SignalResult { units: signalled })
}

async fn restart(shared: &Shared, params: RestartParams) -> Result<OrderResult, ApiError> {
    let RestartParams {
        stack,
        units,
        grace_ms,
    } = params;
    shared.note_start(&stack);
    let restart = Order::Restart {
        grace: grace_ms.map(Duration::from_millis),
    };
    order(shared, UnitsParams { stack, units }, restart).await
}

async fn start_units(shared: &Shared, params: StartUnitsParams) -> Result<OrderResult, ApiError> {
    let StartUnitsParams {
        stack,
        units,
        no_deps,
        again,
    } = params;
    shared.note_start(&stack);
    let start = Order::Start {
        no_dependencies: no_deps,
        again,
    };
    order(shared, UnitsParams { stack, units }, start).await
}

async fn order(
    shared: &Shared,
    params: UnitsParams,
    order: Order,
) -> Result<OrderResult, ApiError> {
    let ordered = shared
        .manager
        .order(&params.stack, &params.units, order)
        .await;
    if ordered.is_err() {
        shared.attend(&params.stack);
    }
    Ok(ordered?.into())
}

async fn wait(shared: &Shared, params: WaitParams) -> Result<WaitResult, ApiError> {
    let WaitParams {
        stack,
        units,
        goal,
        any,
        ordered_down,
    } = params;
    let manager = &shared.manager;
    let waited = match ordered_down && goal == WaitGoal::Stopped {
        true => manager.wait_down(&stack, &units).await,
        false => manager.wait(&stack, &units, goal.into(), any).await,
    };
    Ok(waited?.into())
}

fn forbidden(call: &Request, name: &str, role: Role) -> ApiError {
    let needed = call.role();
    let message = format!(
        "`{}` needs the role {needed}; `{name}` is {role}",
        call.method()
    );
    ApiError::new(ErrorCode::Forbidden, message)
        .with_data(json!({ "needed": needed.as_str(), "role": role.as_str() }))
}
