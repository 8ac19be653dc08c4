//! From a request to its answer.
//!
//! Owns: which question to the supervisor each method is, and who may ask it.

use harness_wire::{PeerIdentity, RpcError};
use serde_json::json;
use service_orchestration::supervisor::Order;

use super::shared::Shared;
use super::{events, logs, stacks};
use crate::protocol::{
    ApiError, ApplyParams, ApplyResult, DaemonInfo, Done, ErrorCode, OrderResult, Request,
    RestartParams, SCHEMA_VERSION, StackListResult, StartParams, StartResult, StopParams,
    UnitsParams, WaitParams, WaitResult,
};

/// Answers one request of a client.
pub(super) async fn serve(shared: &Shared, client: &PeerIdentity, request: harness_wire::Request) {
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
    if !client.role.allows(call.role()) {
        return responder.error(&forbidden(&call, client));
    }
    match call {
        Request::DaemonStatus(_) => responder.ok(&daemon_status(shared).await),
        Request::Shutdown(params) => {
            tracing::info!(client = %client.name, keep = params.keep, "asked to end");
            let end = shared.end(params.keep);
            end.reached().await;
            responder.ok(&Done {});
        }
        Request::StartStack(params) => {
            responder.answer(start(shared, params).await.map_err(RpcError::from))
        }
        Request::ApplyStack(params) => {
            responder.answer(apply(shared, params).await.map_err(RpcError::from))
        }
        Request::StopUnits(params) => {
            responder.answer(stop(shared, params).await.map_err(RpcError::from))
        }
        Request::RestartUnits(params) => {
            responder.answer(restart(shared, params).await.map_err(RpcError::from))
        }
        Request::HoldUnits(params) => {
            responder.answer(
                order(shared, params, Order::Hold)
                    .await
                    .map_err(RpcError::from),
            );
        }
        Request::ReleaseUnits(params) => {
            shared.note_start(&params.stack);
            responder.answer(
                order(shared, params, Order::Release)
                    .await
                    .map_err(RpcError::from),
            );
        }
        Request::StackStatusOf(params) => {
            responder.answer(
                shared
                    .manager
                    .status(&params.stack)
                    .await
                    .map_err(|error| ApiError::from(error).into()),
            );
        }
        Request::ListStacks(_) => {
            let items = stacks::summaries(&shared.manager).await;
            responder.ok(&StackListResult {
                schema_version: SCHEMA_VERSION,
                items,
            });
        }
        Request::WaitFor(params) => {
            responder.answer(wait(shared, params).await.map_err(RpcError::from))
        }
        Request::ForgetStack(params) => {
            let forgotten = shared.manager.forget(&params.stack).await;
            shared.attend(&params.stack);
            responder.answer(
                forgotten
                    .map(|()| Done {})
                    .map_err(|error| ApiError::from(error).into()),
            );
        }
        Request::WhyUnit(params) => {
            let why = shared.manager.why(&params.stack, &params.unit).await;
            responder.answer(why.map_err(|error| ApiError::from(error).into()));
        }
        Request::SubscribeEvents(params) => events::subscribe(shared, params, responder).await,
        Request::ReadLogs(params) => logs::read(shared, params, responder).await,
        Request::FollowLogs(params) => logs::follow(shared, params, responder).await,
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
    } = params;
    let name = stack.name.clone();
    let applied = shared.manager.apply(*stack, mode.into()).await?;
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
        .apply(*params.stack, params.mode.into())
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

async fn restart(shared: &Shared, params: RestartParams) -> Result<OrderResult, ApiError> {
    let RestartParams { stack, units } = params;
    shared.note_start(&stack);
    order(shared, UnitsParams { stack, units }, Order::Restart).await
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
    } = params;
    Ok(shared
        .manager
        .wait(&stack, &units, goal.into(), any)
        .await?
        .into())
}

fn forbidden(call: &Request, client: &PeerIdentity) -> RpcError {
    let needed = call.role();
    let message = format!(
        "`{}` needs the role {needed}; `{}` is {}",
        call.method(),
        client.name,
        client.role
    );
    ApiError::new(ErrorCode::Forbidden, message)
        .with_data(json!({ "needed": needed.as_str(), "role": client.role.as_str() }))
        .into()
}
