//! The calls about clients and about the record of changes.
//!
//! Owns: the way of these calls off the sessions' thread: they write and read files.

use std::sync::Arc;

use service_orchestration::blocking;

use super::registry::lose_what_is_not_granted;
use super::serve::Caller;
use super::shared::Shared;
use crate::audit;
use crate::protocol::{
    ApiError, AuditPage, AuditReadParams, AuditVerified, Done, ErrorCode, InviteParams, Invited,
    RenewParams, Renewed, RevokeParams, SetRoleParams,
};

pub(super) async fn invite(
    shared: &Arc<Shared>,
    caller: &Caller,
    params: InviteParams,
) -> Result<Invited, ApiError> {
    let address = match &params.address {
        Some(address) => given(address)?,
        None => own(shared)?,
    };
    let by = caller.identity.name.clone();
    let access = Arc::clone(&shared.access);
    blocking::unblock(move || access.invite(&params, address, &by)).await
}

pub(super) async fn revoke(shared: &Arc<Shared>, params: RevokeParams) -> Result<Done, ApiError> {
    let access = Arc::clone(&shared.access);
    let name = params.name.clone();
    blocking::unblock(move || access.revoke(&params.name)).await?;
    lose_what_is_not_granted(shared, &name).await;
    Ok(Done {})
}

pub(super) async fn set_role(
    shared: &Arc<Shared>,
    params: SetRoleParams,
) -> Result<Done, ApiError> {
    let access = Arc::clone(&shared.access);
    let name = params.name.clone();
    blocking::unblock(move || access.set_role(&params)).await?;
    lose_what_is_not_granted(shared, &name).await;
    Ok(Done {})
}

pub(super) async fn renew(
    shared: &Arc<Shared>,
    caller: &Caller,
    params: RenewParams,
) -> Result<Renewed, ApiError> {
    let client = caller.identity.clone();
    let access = Arc::clone(&shared.access);
    blocking::unblock(move || access.renew(&client, &params.request)).await
}

pub(super) async fn read_audit(
    shared: &Arc<Shared>,
    params: AuditReadParams,
) -> Result<AuditPage, ApiError> {
    let state = shared.state.clone();
    blocking::unblock(move || audit::read(&state, &params))
        .await
        .map_err(|error| unreadable(&error))
}

pub(super) async fn verify_audit(shared: &Arc<Shared>) -> Result<AuditVerified, ApiError> {
    let state = shared.state.clone();
    blocking::unblock(move || audit::verify(&state))
        .await
        .map_err(|error| unreadable(&error))
}

fn unreadable(error: &audit::AuditError) -> ApiError {
    let message = service_orchestration::error_chain(error);
    ApiError::new(ErrorCode::AuditUnreadable, message)
}

/// Where the daemon listens, if that is an address that somebody else can use.
fn own(shared: &Shared) -> Result<String, ApiError> {
    let listen = &shared.endpoint.listen;
    match listen.parse::<std::net::SocketAddr>() {
        Ok(address) if !address.ip().is_unspecified() => Ok(listen.clone()),
        Ok(_) | Err(_) => {
            let message = format!(
                "the daemon listens on {listen}: say by which address the client reaches it"
            );
            Err(ApiError::new(ErrorCode::AddressNeeded, message))
        }
    }
}

/// An address as it was given: `host:port`.
fn given(address: &str) -> Result<String, ApiError> {
    let is_host = |host: &str| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        bare.parse::<std::net::IpAddr>()
            .is_ok_and(|address| !address.is_unspecified())
            || (!host.is_empty() && host.len() <= 253 && host.bytes().all(is_name))
    };
    match address.rsplit_once(':') {
        Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Ok(address.to_owned())
        }
        Some(_) | None => Err(ApiError::new(
            ErrorCode::AddressNeeded,
            format!("`{address}` is no address of the form host:port"),
        )),
    }
}
