//! Keeps the register and the certificates of a daemon, and knows who is connected.
//!
//! Owns: `clients.json` beside the keys, the server's current TLS settings, and which connections end when a client is
//! shut out. What is decided stands in [`super::register`]. Writes small files: to be called where that may block.
//!
//! Invariant: what a client is told is on disk before it is told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_channel::{Receiver, Sender};
use chrono::{DateTime, Utc};
use harness_wire::{
    Account, Life, PeerIdentity, Pki, PkiError, PrivateDirectory, Role, RpcError, ServerNames,
    ServerTls, code, pki,
};

use super::WallClock;
use super::limits::{max_connections, max_waiting};
use super::register::{self, Register, Unwelcome};
use crate::client::LOCAL_CLIENT;
use crate::protocol::method::PublishService;
use crate::protocol::{
    ApiError, ClientInfo, ClientList, ErrorCode, InvitationInfo, Method, NamePattern, Renewed,
    SCHEMA_VERSION, SetRoleParams,
};

/// Who may come in, and as what.
#[derive(Debug)]
pub(crate) struct Access {
    // A lock, because sessions of every client meet here. It is held for a look, or for the writing of a small file.
    inner: Mutex<Inner>,
    pub(super) clock: WallClock,
    /// What the clock said when the daemon began, and when that was by the one that nobody sets.
    began: (SystemTime, Instant),
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) pki: Pki,
    pub(super) register: Register,
    tls: ServerTls,
    /// When a certificate is to be made anew.
    due: SystemTime,
    /// What the clock said when that was found out.
    looked: SystemTime,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    pub(super) failures: super::invite::Failures,
}

#[derive(Debug)]
struct Connection {
    client: String,
    account: Account,
    /// Dropped to end it.
    _stay: Sender<Infallible>,
}

/// The stay of one connection. Dropping it ends the stay.
#[derive(Debug)]
pub(crate) struct Pass {
    access: Arc<Access>,
    number: u64,
    account: Account,
    stay: Receiver<Infallible>,
}

impl Access {
    /// Opens keys, certificates and register, and makes what is missing.
    pub(crate) fn open(
        directory: PathBuf,
        names: &ServerNames,
        life: Life,
        clock: WallClock,
    ) -> Result<Self, PkiError> {
        let now = clock.now();
        let mut pki = Pki::open_or_create(directory, names)?.with_life(life);
        let register = load(pki.directory())?;
        register.hosts().for_each(|host| pki.add_name(host));
        let mut inner = Inner {
            tls: pki.server_config(now)?,
            pki,
            register,
            due: now,
            looked: now,
            connections: BTreeMap::new(),
            next_connection: 0,
            failures: super::invite::Failures::default(),
        };
        inner.renew_own(now)?;
        Ok(Self {
            inner: Mutex::new(inner),
            began: (now, Instant::now()),
            clock,
        })
    }

    /// The server's TLS settings, renewed if that is due: also after the clock was set back, since certificates of the
    /// time before are not valid yet.
    pub(crate) fn tls(&self) -> ServerTls {
        let now = self.clock.now();
        let mut inner = self.inner();
        let is_set_back = now + CLOCK_DRIFT < inner.looked;
        if (inner.due <= now || is_set_back)
            && let Err(error) = inner.renew_own(now)
        {
            tracing::warn!(%error, "the certificates cannot be renewed");
            (inner.due, inner.looked) = (now + RETRY, now);
        }
        inner.tls.clone()
    }

    /// How long until a certificate is to be made anew.
    pub(crate) fn until_due(&self) -> Duration {
        let due = self.inner().due;
        due.duration_since(self.clock.now()).unwrap_or_default()
    }

    /// Whether somebody who was invited may come.
    pub(crate) fn expects_somebody(&self) -> bool {
        let now = self.now();
        self.inner().register.expects_somebody(now)
    }

    /// What a client may do now.
    pub(crate) fn role_of(&self, shown: &PeerIdentity) -> Result<Role, RpcError> {
        let role = self.inner().register.role_of(shown);
        role.map_err(|unwelcome| not_welcome(shown, unwelcome))
    }

    /// Lets a connection of a client stay until it leaves or is shut out.
    pub(crate) fn enter(
        self: &Arc<Self>,
        shown: &PeerIdentity,
    ) -> Result<(PeerIdentity, Pass), RpcError> {
        let mut inner = self.inner();
        let role = inner
            .register
            .role_of(shown)
            .map_err(|unwelcome| not_welcome(shown, unwelcome))?;
        if shown.name != LOCAL_CLIENT && shown.expires <= self.latest() {
            let message = format!(
                "the certificate of `{}` has expired; a clock that was set back does not change that",
                shown.name
            );
            return Err(RpcError::new(code::FORBIDDEN, message));
        }
        let limit = max_connections(role);
        if inner.connections_of(&shown.name) >= limit {
            let message = format!("`{}` has {limit} connections already", shown.name);
            return Err(RpcError::new(code::OVERLOADED, message));
        }
        if shown.name != LOCAL_CLIENT
            && inner.register.saw(shown)
            && let Err(error) = inner.save()
        {
            tracing::warn!(%error, "the register of clients cannot be written");
        }
        let (sender, stay) = async_channel::bounded(1);
        let number = inner.next_connection;
        inner.next_connection += 1;
        let account = inner.account_of(&shown.name, role);
        let connection = Connection {
            client: shown.name.clone(),
            account: account.clone(),
            _stay: sender,
        };
        inner.connections.insert(number, connection);
        let identity = PeerIdentity {
            role,
            ..shown.clone()
        };
        let access = Arc::clone(self);
        Ok((
            identity,
            Pass {
                access,
                number,
                account,
                stay,
            },
        ))
    }

    /// Shuts a client out, those connections of it that are open included.
    pub(crate) fn revoke(&self, name: &str) -> Result<(), ApiError> {
        not_the_owner(name)?;
        let now = self.now();
        let mut inner = self.inner();
        let before = inner.register.clone();
        if !inner.register.revoke(name, now) {
            return Err(unknown_client(name));
        }
        inner.save_or(before)?;
        inner
            .connections
            .retain(|_, connection| connection.client != name);
        Ok(())
    }

    /// Changes what a client may do, from its next call on.
    pub(crate) fn set_role(&self, params: &SetRoleParams) -> Result<(), ApiError> {
        let SetRoleParams {
            name,
            role,
            register,
        } = params;
        not_the_owner(name)?;
        check_grants(register.as_deref().unwrap_or_default())?;
        let mut inner = self.inner();
        let before = inner.register.clone();
        if !inner.register.set_role(name, *role) {
            return Err(unknown_client(name));
        }
        if let Some(register) = register {
            inner.register.set_register(name, register.clone());
        }
        inner.save_or(before)
    }

    /// What a client may register although its role does not allow it.
    pub(crate) fn may_register(&self, name: &str) -> Vec<NamePattern> {
        self.inner().register.may_register(name).to_vec()
    }

    /// What a client of this name may register: whatever it likes, or what it was granted.
    pub(crate) fn has_word_in(&self, name: &str, stack: &str, service: &str) -> bool {
        let inner = self.inner();
        inner.register.client(name).is_some_and(|client| {
            let is_granted = |pattern: &NamePattern| pattern.contains(stack, service);
            client.revoked.is_none()
                && (client.role.allows(PublishService::ROLE)
                    || client.register.iter().any(is_granted))
        })
    }

    /// Grants a client that is in another certificate.
    pub(crate) fn renew(&self, client: &PeerIdentity, request: &str) -> Result<Renewed, ApiError> {
        let mut inner = self.inner();
        let before = inner.register.clone();
        let certified = inner
            .pki
            .certify(request, &client.name, client.role, self.clock.now())
            .map_err(|error| of_pki(&error))?;
        let authority = inner.pki.authority_pem().map_err(|error| of_pki(&error))?;
        inner.register.renew(&certified.identity);
        inner.save_or(before)?;
        Ok(Renewed {
            certificate: certified.pem,
            authority,
        })
    }

    /// Who is known and who is invited.
    pub(crate) fn list(&self) -> ClientList {
        let now = self.now();
        let inner = self.inner();
        let items = inner.register.clients().map(|(name, client)| ClientInfo {
            name: name.clone(),
            role: client.role,
            enrolled_at: client.since,
            serial: client.serial().map(str::to_owned),
            expires_at: client.expires(),
            revoked_at: client.revoked,
            register: client.register.clone(),
            connections: u32::try_from(inner.connections_of(name)).unwrap_or(u32::MAX),
        });
        let items = items.collect();
        let invitations = inner
            .register
            .invitations()
            .filter(|invitation| invitation.expires > now)
            .map(|invitation| InvitationInfo {
                name: invitation.name.clone(),
                role: invitation.role,
                expires_at: invitation.expires,
                invited_by: invitation.by.clone(),
                register: invitation.register.clone(),
            });
        ClientList {
            schema_version: SCHEMA_VERSION,
            items,
            invitations: invitations.collect(),
        }
    }

    pub(super) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time by the clock, or, where that was set back, as it would be if it had not been.
    fn latest(&self) -> SystemTime {
        let (then, since) = self.began;
        self.clock.now().max(then + since.elapsed())
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now().into()
    }
}

impl Inner {
    /// Renews the server's certificate and that of the local client, as far as due, and lists the latter.
    pub(super) fn renew_own(&mut self, now: SystemTime) -> Result<(), PkiError> {
        self.pki.client_config(LOCAL_CLIENT, Role::Admin, now)?;
        self.tls = self.pki.server_config(now)?;
        self.due = self.pki.due(LOCAL_CLIENT, now)?;
        self.looked = now;
        let directory = self.pki.directory().path("");
        let local = pki::local_identity(directory, LOCAL_CLIENT)?;
        if self.register.role_of(&local) == Ok(Role::Admin) {
            return Ok(());
        }
        // A program that has read the one before may be on its way here.
        match self.register.is_taken(LOCAL_CLIENT) {
            true => self.register.rotate(&local),
            false => self.register.enlist(Role::Admin, &local, now.into()),
        }
        self.save()
    }

    fn connections_of(&self, name: &str) -> usize {
        self.connections
            .values()
            .filter(|connection| connection.client == name)
            .count()
    }

    /// What the connections of this client share: that of those that are open, or a new one. By its name, so that another
    /// certificate is not another account.
    fn account_of(&self, name: &str, role: Role) -> Account {
        let open = self.connections.values().find(|it| it.client == name);
        let most = max_waiting(role);
        let same = open.filter(|it| it.account.max_bytes() == most);
        same.map_or_else(|| Account::new(most), |it| it.account.clone())
    }

    pub(super) fn save(&self) -> Result<(), PkiError> {
        let text = serde_json::to_string_pretty(&self.register)
            .expect("text and numbers always serialise");
        let directory = self.pki.directory();
        let _lock = directory.lock()?;
        directory.write(FILE, &text)
    }

    /// Writes the register; when that fails, it is as it was.
    pub(super) fn save_or(&mut self, before: Register) -> Result<(), ApiError> {
        self.save().map_err(|error| {
            self.register = before;
            of_pki(&error)
        })
    }
}

impl Pass {
    /// What the connection shares with the others of its client.
    pub(crate) fn account(&self) -> Account {
        self.account.clone()
    }

    /// Waits until the client is shut out.
    pub(crate) async fn revoked(&self) {
        let Err(async_channel::RecvError) = self.stay.recv().await;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.access.inner().connections.remove(&self.number);
    }
}

fn load(directory: &PrivateDirectory) -> Result<Register, PkiError> {
    let Some(text) = directory.read(FILE)? else {
        return Ok(Register::new());
    };
    let path = || directory.path(FILE);
    match Register::version_of(&text) {
        Some(found) if found > register::VERSION => Err(PkiError::TooNew {
            path: path(),
            found,
            known: register::VERSION,
        }),
        Some(_) | None => {
            serde_json::from_str(&text).map_err(|_| PkiError::Damaged { path: path() })
        }
    }
}

fn not_welcome(shown: &PeerIdentity, unwelcome: Unwelcome) -> RpcError {
    let name = &shown.name;
    let message = match unwelcome {
        Unwelcome::Revoked => format!("`{name}` was shut out; an invitation lets it in again"),
        Unwelcome::Unknown => {
            format!("this certificate of `{name}` is not in the register; enrol anew")
        }
    };
    RpcError::new(code::FORBIDDEN, message)
}

fn not_the_owner(name: &str) -> Result<(), ApiError> {
    match name {
        LOCAL_CLIENT => Err(ApiError::new(
            ErrorCode::OwnerIsAdmin,
            format!("`{LOCAL_CLIENT}` is whoever owns the daemon's files, and admin for as long"),
        )),
        _ => Ok(()),
    }
}

/// Grants are looked through with every registration.
pub(super) fn check_grants(register: &[NamePattern]) -> Result<(), ApiError> {
    match register.len() > MOST_GRANTS {
        true => Err(ApiError::new(
            ErrorCode::InvalidParams,
            format!("a client may be granted {MOST_GRANTS} names and stacks to register, no more"),
        )),
        false => Ok(()),
    }
}

fn unknown_client(name: &str) -> ApiError {
    ApiError::new(
        ErrorCode::UnknownClient,
        format!("there is no client `{name}`"),
    )
    .with_data(serde_json::json!({ "client": name }))
}

pub(super) fn of_pki(error: &PkiError) -> ApiError {
    let code = match error {
        PkiError::BadName { .. } | PkiError::Request { .. } => ErrorCode::InvalidParams,
        _ => ErrorCode::Internal,
    };
    ApiError::new(code, service_orchestration::error_chain(error))
}

/// The register, beside the keys.
const FILE: &str = "clients.json";
/// What a clock may be set back without anything being made anew: less than certificates allow for.
const CLOCK_DRIFT: Duration = Duration::from_secs(60);
const MOST_GRANTS: usize = 64;
/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_secs(60 * 60);
