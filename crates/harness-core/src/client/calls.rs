//! Every call of the protocol, with its types.
//!
//! Owns: which calls are repeated over a new connection when the old one broke.

use std::future::Future;

use harness_wire::Role;
use service_orchestration::Volumes;
use service_orchestration::report::{NetStatus, NetView, Rotation, StackStatus, Why};
use service_orchestration::spec::{StackName, UnitName};

use super::connection::Connection;
use super::{ClientError, HarnessClient};
use crate::protocol::method::{
    ApplyStack, BeginOneOff, DaemonStatus, EndOneOff, ForgetStack, HoldUnits, InviteClient,
    ListClients, ListStacks, ReadAudit, ReleaseUnits, ResolveNet, RestartUnits, RevokeClient,
    RotateNet, SetClientRole, Shutdown, SignalUnits, StackStatusOf, StartStack, StartUnits,
    StatusOfNet, StopUnits, VerifyAudit, WaitFor, WhyUnit,
};
use crate::protocol::{
    ApplyParams, ApplyResult, AuditPage, AuditReadParams, AuditVerified, AuditVerifyParams,
    ClientList, ClientListParams, DaemonInfo, DaemonStatusParams, Effect, ForgetParams,
    InviteParams, Invited, Method, NetParams, NetRotateParams, NetStatusParams, OneOffEndParams,
    OneOffParams, OneOffResult, OrderResult, RestartParams, RevokeParams, SetRoleParams,
    ShutdownParams, SignalParams, SignalResult, StackListParams, StackSummary, StartParams,
    StartResult, StartUnitsParams, StatusParams, StopParams, UnitsParams, WaitParams, WaitResult,
    WhyParams,
};

impl HarnessClient {
    /// Calls a method and waits for its result.
    ///
    /// A repeatable call whose connection broke is asked again of the daemon that answers next; so is a question that a
    /// daemon can no longer answer because it ends, when it leaves its services to the next; and an order that it refuses
    /// for that, while somebody replaces it.
    ///
    /// # Errors
    /// [`ClientError`]. There is no deadline: drop the future when it takes too long.
    ///
    /// # Cancellation
    /// Dropping the future tells the daemon that the answer is not wanted. What it has begun, it may finish.
    pub async fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, ClientError> {
        self.ask::<M>(params, M::REPEATABLE).await
    }

    async fn ask<M: Method>(
        &self,
        params: &M::Params,
        is_repeatable: bool,
    ) -> Result<M::Result, ClientError> {
        let mut connection = self.connection().await?;
        loop {
            let error = match call_over::<M>(&connection, params).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            let may_repeat = match (&error, M::EFFECT) {
                (ClientError::Lost { .. }, _) => is_repeatable,
                (_, Effect::Reads) => true,
                // It was refused before anything was done, and whoever ends the daemon brings up the next.
                (_, Effect::Changes) => is_repeatable && self.is_being_replaced(),
            };
            if !may_repeat {
                return Err(error);
            }
            let Some(departure) = self.departure(&error, &connection).await else {
                return Err(error);
            };
            connection = self.reconnect(departure).await?;
        }
    }

    /// Who the daemon is, and its stacks.
    ///
    /// # Errors
    /// [`ClientError`], as for every call here.
    pub async fn daemon_status(&self) -> Result<DaemonInfo, ClientError> {
        self.call::<DaemonStatus>(&DaemonStatusParams {}).await
    }

    /// Ends the daemon, after stopping every stack unless `keep`. Returns when that is done.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn shutdown(&self, keep: bool) -> Result<(), ClientError> {
        self.call::<Shutdown>(&ShutdownParams { keep })
            .await
            .map(|_done| ())
    }

    /// Defines a stack and orders units of it up. Returns when ordered: [`HarnessClient::wait`] for what comes of it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn start(&self, params: &StartParams) -> Result<StartResult, ClientError> {
        // A task that may have run once is not run again.
        self.ask::<StartStack>(params, !params.again).await
    }

    /// Defines a stack.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn apply(&self, params: &ApplyParams) -> Result<ApplyResult, ClientError> {
        self.call::<ApplyStack>(params).await
    }

    /// Orders units down. Returns when ordered.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stop(&self, params: &StopParams) -> Result<OrderResult, ClientError> {
        self.call::<StopUnits>(params).await
    }

    /// Orders a new attempt of units. Returns when ordered.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn restart(&self, params: &RestartParams) -> Result<OrderResult, ClientError> {
        self.call::<RestartUnits>(params).await
    }

    /// How a stack stands.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn status(&self, stack: &StackName) -> Result<StackStatus, ClientError> {
        self.call::<StackStatusOf>(&StatusParams {
            stack: stack.clone(),
        })
        .await
    }

    /// Which stacks there are.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn stacks(&self) -> Result<Vec<StackSummary>, ClientError> {
        self.call::<ListStacks>(&StackListParams {})
            .await
            .map(|list| list.items)
    }

    /// Returns once units have come as far as asked, or never can.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancellation
    /// Dropping the future ends the wait at the daemon too.
    pub async fn wait(&self, params: &WaitParams) -> Result<WaitResult, ClientError> {
        self.call::<WaitFor>(params).await
    }

    /// Forgets a stack of which nothing runs; its volumes only when it is said so, and then also those of a stack that
    /// was forgotten before. Gives the names of the volumes that were removed.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn forget(
        &self,
        stack: &StackName,
        volumes: Volumes,
    ) -> Result<Vec<String>, ClientError> {
        self.call::<ForgetStack>(&ForgetParams {
            stack: stack.clone(),
            volumes: volumes == Volumes::Remove,
        })
        .await
        .map(|forgotten| forgotten.volumes)
    }

    /// Why a unit is where it is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn why(&self, stack: &StackName, unit: &UnitName) -> Result<Why, ClientError> {
        self.call::<WhyUnit>(&WhyParams {
            stack: stack.clone(),
            unit: unit.clone(),
        })
        .await
    }

    /// Where units are reached, and why there.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn net(&self, params: &NetParams) -> Result<NetView, ClientError> {
        self.call::<ResolveNet>(params).await
    }

    /// The meshes of a stack, as their hosts tell.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn net_status(&self, stack: &StackName) -> Result<NetStatus, ClientError> {
        let stack = stack.clone();
        self.call::<StatusOfNet>(&NetStatusParams { stack }).await
    }

    /// Gives the hosts of the meshes of a stack new keys, without parting them.
    ///
    /// # Errors
    /// [`ClientError`].
    ///
    /// # Cancellation
    /// It goes on.
    pub async fn rotate_net(&self, stack: &StackName) -> Result<Rotation, ClientError> {
        let stack = stack.clone();
        self.call::<RotateNet>(&NetRotateParams { stack }).await
    }

    /// Orders units of a stack that is defined up, as it is defined.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn start_units(&self, params: &StartUnitsParams) -> Result<OrderResult, ClientError> {
        self.ask::<StartUnits>(params, !params.again).await
    }

    /// Who may come in, and who is invited.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn clients(&self) -> Result<ClientList, ClientError> {
        self.call::<ListClients>(&ClientListParams {}).await
    }

    /// Invites a client.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn invite(&self, params: &InviteParams) -> Result<Invited, ClientError> {
        self.call::<InviteClient>(params).await
    }

    /// Shuts a client out, with the connections that it has open.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke(&self, name: &str) -> Result<(), ClientError> {
        self.call::<RevokeClient>(&RevokeParams {
            name: name.to_owned(),
        })
        .await
        .map(|_done| ())
    }

    /// Changes what a client may do, from its next call on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_role(&self, name: &str, role: Role) -> Result<(), ClientError> {
        self.call::<SetClientRole>(&SetRoleParams {
            name: name.to_owned(),
            role,
            register: None,
        })
        .await
        .map(|_done| ())
    }

    /// Changes what a client may do, and what it may register although its role does not allow it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_rights(&self, params: &SetRoleParams) -> Result<(), ClientError> {
        self.call::<SetClientRole>(params).await.map(|_done| ())
    }

    /// What was changed, and by whom.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit(&self, params: &AuditReadParams) -> Result<AuditPage, ClientError> {
        self.call::<ReadAudit>(params).await
    }

    /// Whether the record of it is as it was written.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn verify_audit(&self) -> Result<AuditVerified, ClientError> {
        self.call::<VerifyAudit>(&AuditVerifyParams {}).await
    }

    /// Makes something ready that is run by the definition of a unit, and beside it: the caller begins it, and it ends with
    /// the caller's process.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn begin_one_off(&self, params: &OneOffParams) -> Result<OneOffResult, ClientError> {
        self.call::<BeginOneOff>(params).await
    }

    /// Ends what is run so. Returns when nothing of it is left.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_one_off(&self, params: &OneOffEndParams) -> Result<(), ClientError> {
        self.call::<EndOneOff>(params).await.map(|_done| ())
    }

    /// Keeps units down until they are released.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn hold(&self, params: &UnitsParams) -> Result<OrderResult, ClientError> {
        self.call::<HoldUnits>(params).await
    }

    /// Keeps units down no longer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn release(&self, params: &UnitsParams) -> Result<OrderResult, ClientError> {
        self.call::<ReleaseUnits>(params).await
    }

    /// Sends a signal to the main processes of units. Returns when sent.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn signal(&self, params: &SignalParams) -> Result<SignalResult, ClientError> {
        self.call::<SignalUnits>(params).await
    }
}

fn call_over<M: Method>(
    connection: &Connection,
    params: &M::Params,
) -> impl Future<Output = Result<M::Result, ClientError>> {
    let answer = connection
        .client()
        .call::<M::Params, M::Result>(M::NAME, params);
    async move {
        connection
            .drive(answer)
            .await
            .map_err(|error| ClientError::of_call(error, M::NAME))
    }
}
