//! The discovery calls: looking things up, and registering what somebody else runs.
//!
//! Owns: what a client may say of the services it registers: as whom, for which place, how much of it. Which of its names
//! it may use, [`crate::access`] decides; what is listed, the registry.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness_wire::Role;
use serde_json::json;
use service_orchestration::spec::{StackName, UnitName};
use service_orchestration::supervisor::RegisterError;
use service_registry::{
    Attachment, Endpoint, Entry, HostId, Incarnation, Lease, LeaseError, Outcome, Owner, Place,
    Resolved, RouteError,
};

use super::serve::Caller;
use super::shared::Shared;
use crate::access::max_entries;
use crate::protocol::method::PublishService;
use crate::protocol::registry::place_of_view;
use crate::protocol::{
    ApiError, Done, ErrorCode, InstanceName, Method, PublishEndpoint, RegistryCursor,
    RegistryEntry, RegistryList, RegistryListParams, RegistryPublishParams, RegistryPublished,
    RegistryRenewParams, RegistryResolveParams, RegistryResolved, RegistryWithdrawParams,
    RegistryWithdrawn, Request, ResolveFrom, SCHEMA_VERSION,
};

/// Whether the client was granted this call, which its role does not allow.
pub(super) fn is_granted(shared: &Shared, caller: &Caller, call: &Request) -> bool {
    let client = &caller.identity.name;
    let has_word_in = |name: &InstanceName| {
        let (stack, service) = (name.service.stack.as_str(), name.service.service.as_str());
        shared.access.has_word_in(client, stack, service)
    };
    match call {
        Request::PublishService(params) => has_word_in(&params.name),
        Request::WithdrawService(params) => has_word_in(&params.name),
        Request::RenewLease(_) => !shared.access.may_register(client).is_empty(),
        _ => false,
    }
}

/// Why the client may not register under this name.
pub(super) fn not_granted(
    shared: &Shared,
    caller: &Caller,
    role: Role,
    call: &Request,
) -> Option<ApiError> {
    let name = match call {
        Request::PublishService(params) => &params.name,
        Request::WithdrawService(params) => &params.name,
        _ => return None,
    };
    let client = &caller.identity.name;
    let register = shared.access.may_register(client);
    let granted = match register.is_empty() {
        true => "nothing".to_owned(),
        false => {
            let names: Vec<String> = register.iter().map(ToString::to_string).collect();
            names.join(", ")
        }
    };
    let needed = PublishService::ROLE;
    let message = format!(
        "to register `{name}` needs the role {needed}, or a grant; `{client}` is {role}, and was granted {granted}"
    );
    let data = json!({ "needed": needed.as_str(), "role": role.as_str(), "register": register });
    Some(ApiError::new(ErrorCode::Forbidden, message).with_data(data))
}

pub(super) fn list(shared: &Shared, params: &RegistryListParams) -> RegistryList {
    let registry = shared.manager.registry();
    let snapshot = registry.snapshot();
    let after = params.after.as_ref().map(InstanceName::key);
    let is_meant = |entry: &&Arc<Entry>| {
        let service = &entry.key.service;
        let within = params.within.as_ref();
        within.is_none_or(|within| within.contains(&service.stack, &service.service))
            && after.as_ref().is_none_or(|after| entry.key > *after)
    };
    let mut list = RegistryList {
        schema_version: SCHEMA_VERSION,
        items: Vec::new(),
        more: false,
        cursor: RegistryCursor(snapshot.cursor),
    };
    let mut weight = 0;
    for entry in snapshot.entries.iter().filter(is_meant) {
        let owner = registry.owner(&entry.key);
        let Some(item) = RegistryEntry::of(entry, owner.as_ref()) else {
            continue;
        };
        weight += item.weight();
        if weight > PART_BYTES && !list.items.is_empty() {
            list.more = true;
            break;
        }
        list.items.push(item);
    }
    list
}

pub(super) async fn resolve(
    shared: &Shared,
    params: RegistryResolveParams,
) -> Result<RegistryResolved, ApiError> {
    let RegistryResolveParams { name, from } = params;
    let from = place_of(shared, from).await?;
    let registry = shared.manager.registry();
    let found = match name.instance {
        0 => registry.best(&name.service.key()),
        _ => registry.instance(&name.key()),
    };
    let unknown = || {
        ApiError::new(
            ErrorCode::UnknownService,
            format!("nothing is listed as `{name}`"),
        )
        .with_data(json!({ "name": name }))
    };
    let entry = found.ok_or_else(unknown)?;
    let owner = registry.owner(&entry.key);
    let resolved = match registry.reach(Arc::clone(&entry), &from) {
        Ok(resolved) => RegistryResolved::of(&resolved, owner.as_ref()),
        Err(error) => {
            // Whoever registered it has said where it is, and nothing is known that says otherwise.
            let is_registered = owner.is_some() && matches!(error, RouteError::Unconnected { .. });
            if is_registered && let Some(resolved) = Resolved::declared(entry) {
                return RegistryResolved::of(&resolved, owner.as_ref()).ok_or_else(unknown);
            }
            let data = json!({ "name": name, "code": error.code() });
            let message = format!("`{name}` cannot be reached: {error}");
            return Err(ApiError::new(ErrorCode::NoRoute, message).with_data(data));
        }
    };
    resolved.ok_or_else(unknown)
}

/// Where whoever asks is.
async fn place_of(shared: &Shared, from: ResolveFrom) -> Result<Place, ApiError> {
    match from {
        ResolveFrom::Here => Ok(Place::local()),
        ResolveFrom::Host(host) => Ok(Place::Host(HostId::new(host))),
        ResolveFrom::Container(place) => Ok(Place::Container {
            host: HostId::new(place.host),
            networks: place
                .networks
                .into_iter()
                .map(|(name, end)| {
                    let (ip, gateway) = (end.ip, end.gateway);
                    (name, Attachment { ip, gateway })
                })
                .collect(),
        }),
        ResolveFrom::Unit(unit) => {
            let local = match unit.instance {
                0 => unit.service.service.to_string(),
                replica => format!("{}/{replica}", unit.service.service),
            };
            let stack = &unit.service.stack;
            let view = shared.manager.net(stack, Some(&local), Some(&local));
            let view = view.await.map_err(ApiError::from)?;
            place_of_view(&view.from).ok_or_else(|| {
                ApiError::new(ErrorCode::Internal, "it is in no known kind of place")
            })
        }
    }
}

pub(super) async fn publish(
    shared: &Shared,
    caller: &Caller,
    role: Role,
    params: RegistryPublishParams,
) -> Result<RegistryPublished, ApiError> {
    let lease = Lease {
        owner: owner_of(caller, &params.lease)?,
        ttl: Duration::from_millis(params.ttl_ms),
    };
    let (place, ip) = place_and_address(caller, role, &params)?;
    if params.endpoints.len() > MOST_ENDPOINTS {
        return Err(invalid(format!(
            "a service has {MOST_ENDPOINTS} ports at most"
        )));
    }
    let endpoints = params.endpoints.iter().map(endpoint);
    let entry = Entry {
        key: params.name.key(),
        incarnation: Incarnation(params.incarnation.unwrap_or_default()),
        place,
        ip,
        endpoints: endpoints.collect::<Result<_, _>>()?,
        readiness: params.health.into(),
    };
    let is_new_run = params.incarnation.is_none();
    let registered = shared
        .manager
        .register(entry, is_new_run, lease, max_entries(role));
    let registered = registered.await.map_err(of_register)?;
    Ok(RegistryPublished {
        incarnation: registered.incarnation.0,
        changed: registered.outcome == Outcome::Changed,
        ttl_ms: params.ttl_ms,
    })
}

pub(super) fn renew(
    shared: &Shared,
    caller: &Caller,
    params: &RegistryRenewParams,
) -> Result<Done, ApiError> {
    let owner = owner_of(caller, &params.lease)?;
    let renewed = shared.manager.registry().renew(&owner, Instant::now());
    renewed.map_err(|error| of_register(error.into()))?;
    Ok(Done {})
}

pub(super) async fn withdraw(
    shared: &Shared,
    caller: &Caller,
    params: RegistryWithdrawParams,
) -> Result<RegistryWithdrawn, ApiError> {
    let owner = Owner::new(caller.identity.name.as_str());
    let run = params.incarnation.map(Incarnation);
    let withdrawn = shared.manager.withdraw(params.name.key(), run, owner);
    let outcome = withdrawn.await.map_err(of_register)?;
    Ok(RegistryWithdrawn {
        changed: outcome == Outcome::Changed,
    })
}

/// Takes off the list what a client has registered and has no word in any more.
pub(super) async fn lose_what_is_not_granted(shared: &Shared, client: &str) {
    let leases = shared.manager.registry().leases().into_iter();
    let of_client = leases.filter(|leased| leased.lease.owner.as_str() == client);
    let keys = of_client.map(|leased| leased.entry.key.clone());
    let lost: Vec<_> = keys
        .filter(|key| {
            let service = &key.service;
            let access = &shared.access;
            !access.has_word_in(client, &service.stack, &service.service)
        })
        .collect();
    if !lost.is_empty() {
        shared.manager.lose(client, lost).await;
    }
}

/// The lease is part of no message and no file name, and short.
fn owner_of(caller: &Caller, lease: &str) -> Result<Owner, ApiError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match lease.len() <= MAX_LEASE_NAME && lease.bytes().all(is_legal) {
        true => Ok(Owner::under(caller.identity.name.as_str(), lease)),
        false => Err(invalid(format!(
            "a lease is named by up to {MAX_LEASE_NAME} letters, digits, `.`, `_` and `-`"
        ))),
    }
}

/// Where the service runs and listens, by what the client says and by where it calls from.
fn place_and_address(
    caller: &Caller,
    role: Role,
    params: &RegistryPublishParams,
) -> Result<(Place, IpAddr), ApiError> {
    let from = caller.from.ip().to_canonical();
    let place = match &params.host {
        Some(_) if !role.allows(PublishService::ROLE) => {
            let message = "only a deployer says on which machine a service runs: without `host`, it is the one that it calls from";
            return Err(ApiError::new(ErrorCode::Forbidden, message));
        }
        // Names of hosts have the form of names of units.
        Some(host) => match UnitName::new(host.as_str()) {
            Ok(_) => Place::Host(HostId::new(host.as_str())),
            Err(error) => return Err(invalid(format!("`host`: {error}"))),
        },
        None if from.is_loopback() => Place::local(),
        // No host of the topology has a name with a colon.
        None => Place::Host(HostId::new(format!("client:{}", caller.identity.name))),
    };
    let is_local = place == Place::local();
    let usual = match (&params.host, is_local) {
        (_, true) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (Some(_), false) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        (None, false) => from,
    };
    let ip = params.ip.map_or(usual, |ip| ip.to_canonical());
    let is_named_host = params.host.is_some();
    let is_usable = match ip {
        ip if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) => false,
        ip if ip.is_loopback() => is_local || is_named_host,
        ip if ip.is_unspecified() => is_local || is_named_host,
        _ => true,
    };
    match is_usable {
        true => Ok((place, ip)),
        false => Err(invalid(format!(
            "a service is not reached at {ip} from elsewhere"
        ))),
    }
}

fn endpoint(asked: &PublishEndpoint) -> Result<Endpoint, ApiError> {
    if asked.port == 0 {
        return Err(invalid("a service does not listen on port 0".to_owned()));
    }
    let usual = Endpoint::new(asked.name.as_ref().map(ToString::to_string), asked.port);
    let Some(scheme) = &asked.scheme else {
        return Ok(usual);
    };
    let is_legal =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte);
    let begins = scheme.starts_with(|first: char| first.is_ascii_lowercase());
    match begins && scheme.len() <= MAX_SCHEME && scheme.bytes().all(is_legal) {
        true => Ok(Endpoint {
            scheme: Some(scheme.clone()),
            ..usual
        }),
        false => Err(invalid(format!(
            "a scheme is up to {MAX_SCHEME} lower-case letters, digits, `+`, `.` and `-`, and begins with a letter"
        ))),
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidParams, message)
}

fn of_register(error: RegisterError) -> ApiError {
    let message = error.to_string();
    let (code, data) = match error {
        RegisterError::Own { key } => (
            ErrorCode::ServiceTaken,
            json!({ "name": key.to_string(), "owner": null }),
        ),
        RegisterError::TooMany { most, .. } | RegisterError::Full { most } => {
            (ErrorCode::TooMany, json!({ "most": most }))
        }
        RegisterError::Ended => return ApiError::shutting_down(),
        RegisterError::Lease(LeaseError::Duration { .. }) => {
            (ErrorCode::InvalidParams, json!(null))
        }
        RegisterError::Lease(LeaseError::Taken { key, holder, .. }) => {
            let owner = holder.map(|holder| holder.to_string());
            (
                ErrorCode::ServiceTaken,
                json!({ "name": key.to_string(), "owner": owner }),
            )
        }
        RegisterError::Lease(LeaseError::Stale { key, known, .. }) => (
            ErrorCode::StaleRun,
            json!({ "name": key.to_string(), "known": known.0 }),
        ),
        RegisterError::Lease(LeaseError::NoLease { owner }) => {
            (ErrorCode::NoLease, json!({ "lease": owner.lease() }))
        }
        _ => (ErrorCode::Internal, json!(null)),
    };
    ApiError::new(code, message).with_data(data)
}

/// The stack and the service of a name, for the record of changes.
pub(super) fn recorded_name(name: &InstanceName) -> (StackName, String) {
    let service = &name.service.service;
    let unit = match name.instance {
        0 => service.to_string(),
        replica => format!("{service}/{replica}"),
    };
    (name.service.stack.clone(), unit)
}

/// Entries in one message: it fits into what an observer's connection takes.
pub(super) const PART_BYTES: usize = 128 * 1024;
const MOST_ENDPOINTS: usize = 32;
const MAX_LEASE_NAME: usize = 64;
const MAX_SCHEME: usize = 32;
