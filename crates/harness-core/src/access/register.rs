//! The register of clients: who may come in, as what, by which certificates; and who is invited.
//!
//! Owns: the answers to "is this certificate still welcome" and "does this secret take up an invitation", and the form of
//! `clients.json`. Never reads a clock or a file, and never holds a secret: of an invitation it knows the hash.
//!
//! Invariant: a certificate is welcome only if the register lists it; what a certificate says of its role is not asked.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use harness_wire::{PeerIdentity, Role};

use crate::protocol::NamePattern;

/// Everything that decides who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Register {
    schema_version: u32,
    clients: BTreeMap<String, Client>,
    invitations: BTreeMap<String, Invitation>,
    /// Names and addresses, beside the loopback's, by which invited clients reach the daemon.
    hosts: BTreeSet<String>,
}

/// A client, under its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) role: Role,
    pub(crate) since: DateTime<Utc>,
    /// Those that are welcome, the newest last. Two while a new one has been issued and not been seen.
    certificates: Vec<Certificate>,
    pub(crate) revoked: Option<DateTime<Utc>>,
    /// What it may register although its role does not allow it. Not there in registers of before: they grant nothing, and
    /// one that grants nothing is written as before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) register: Vec<NamePattern>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Certificate {
    fingerprint: String,
    serial: String,
    expires: DateTime<Utc>,
}

/// An invitation that nobody has taken up yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invitation {
    /// SHA-256 of the secret, in hexadecimal.
    pub(crate) secret_hash: String,
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) expires: DateTime<Utc>,
    /// Who sent it.
    pub(crate) by: String,
    /// How often a wrong secret was offered for it.
    failures: u32,
    /// As [`Client::register`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) register: Vec<NamePattern>,
}

/// Why a certificate is not welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwelcome {
    /// The client was shut out.
    Revoked,
    /// The register does not know it, or has replaced it.
    Unknown,
}

/// Why an invitation cannot be taken up. Whoever tries is not told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotInvited {
    /// There is none of this name: used, withdrawn, or never sent.
    Unknown,
    /// It is too late.
    Expired,
    /// The secret is wrong.
    WrongSecret,
    /// The secret is wrong, and it was tried too often: the invitation is withdrawn.
    Withdrawn,
}

impl Register {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            schema_version: VERSION,
            ..Self::default()
        }
    }

    /// Which version of the form a text is of that may hold a register.
    pub(crate) fn version_of(text: &str) -> Option<u32> {
        #[derive(Deserialize)]
        struct Versioned {
            schema_version: u32,
        }
        let versioned: Versioned = serde_json::from_str(text).ok()?;
        Some(versioned.schema_version)
    }

    /// What this client may do, by what the register says now.
    pub(crate) fn role_of(&self, shown: &PeerIdentity) -> Result<Role, Unwelcome> {
        let client = self.clients.get(&shown.name).ok_or(Unwelcome::Unknown)?;
        if client.revoked.is_some() {
            return Err(Unwelcome::Revoked);
        }
        let is_listed = |listed: &Certificate| listed.fingerprint == shown.fingerprint;
        match client.certificates.iter().any(is_listed) {
            true => Ok(client.role),
            false => Err(Unwelcome::Unknown),
        }
    }

    /// Notes that a certificate is in use: those before it are not needed any more. Returns whether anything changed.
    pub(crate) fn saw(&mut self, shown: &PeerIdentity) -> bool {
        let Some(client) = self.clients.get_mut(&shown.name) else {
            return false;
        };
        let is_shown = |listed: &Certificate| listed.fingerprint == shown.fingerprint;
        match client.certificates.iter().position(is_shown) {
            Some(place @ 1..) => {
                client.certificates.drain(..place);
                true
            }
            Some(0) | None => false,
        }
    }

    /// Lists a client with its first certificate. One of the same name that was shut out is replaced.
    pub(crate) fn enlist(&mut self, role: Role, certificate: &PeerIdentity, now: DateTime<Utc>) {
        let client = Client {
            role,
            since: now,
            certificates: vec![Certificate::of(certificate)],
            revoked: None,
            register: Vec::new(),
        };
        self.clients.insert(certificate.name.clone(), client);
    }

    /// Lists another certificate of a client. The one in use stays welcome until this one is seen.
    pub(crate) fn renew(&mut self, certificate: &PeerIdentity) {
        if let Some(client) = self.clients.get_mut(&certificate.name) {
            client.certificates.truncate(1);
            client.certificates.push(Certificate::of(certificate));
        }
    }

    /// Lists another certificate of a client of several programs: the one before it stays welcome until the next.
    pub(crate) fn rotate(&mut self, certificate: &PeerIdentity) {
        if let Some(client) = self.clients.get_mut(&certificate.name) {
            let newest = client.certificates.pop();
            client.certificates = newest.into_iter().collect();
            client.certificates.push(Certificate::of(certificate));
        }
    }

    /// Sends an invitation.
    pub(crate) fn invite(&mut self, id: String, invitation: Invitation) {
        self.invitations.insert(id, invitation);
    }

    /// Takes up an invitation, which is gone then. On failure nobody is let in, and the failure counts.
    pub(crate) fn redeem(
        &mut self,
        id: &str,
        secret_hash: &str,
        now: DateTime<Utc>,
    ) -> Result<Invitation, NotInvited> {
        let invitation = self.invitations.get_mut(id).ok_or(NotInvited::Unknown)?;
        if invitation.expires <= now {
            self.invitations.remove(id);
            return Err(NotInvited::Expired);
        }
        if !is_same(&invitation.secret_hash, secret_hash) {
            invitation.failures += 1;
            if invitation.failures < MAX_FAILURES {
                return Err(NotInvited::WrongSecret);
            }
            self.invitations.remove(id);
            return Err(NotInvited::Withdrawn);
        }
        self.invitations.remove(id).ok_or(NotInvited::Unknown)
    }

    /// Shuts a client out, and withdraws what invites one of its name. `false` when there is none to shut out.
    pub(crate) fn revoke(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        let invited = self.invitations.len();
        self.invitations
            .retain(|_, invitation| invitation.name != name);
        let was_invited = self.invitations.len() < invited;
        match self.clients.get_mut(name) {
            Some(client) if client.revoked.is_none() => {
                client.revoked = Some(now);
                client.certificates.clear();
                true
            }
            Some(_) | None => was_invited,
        }
    }

    /// Changes what a client may do. `false` when there is none.
    pub(crate) fn set_role(&mut self, name: &str, role: Role) -> bool {
        match self.clients.get_mut(name) {
            Some(client) if client.revoked.is_none() => {
                client.role = role;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Changes what a client may register although its role does not allow it. `false` when there is none.
    pub(crate) fn set_register(&mut self, name: &str, register: Vec<NamePattern>) -> bool {
        match self.clients.get_mut(name) {
            Some(client) if client.revoked.is_none() => {
                client.register = register;
                true
            }
            Some(_) | None => false,
        }
    }

    /// What a client may register although its role does not allow it: nothing when it is not known, or shut out.
    pub(crate) fn may_register(&self, name: &str) -> &[NamePattern] {
        match self.clients.get(name) {
            Some(client) if client.revoked.is_none() => &client.register,
            Some(_) | None => &[],
        }
    }

    /// Whether a name is taken, by a client or an invitation.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        let is_client = self
            .clients
            .get(name)
            .is_some_and(|client| client.revoked.is_none());
        is_client
            || self
                .invitations
                .values()
                .any(|invitation| invitation.name == name)
    }

    /// Forgets invitations that nobody took up in time. Returns whether there were any.
    pub(crate) fn prune(&mut self, now: DateTime<Utc>) -> bool {
        let before = self.invitations.len();
        self.invitations
            .retain(|_, invitation| invitation.expires > now);
        self.invitations.len() < before
    }

    /// Whether somebody is expected.
    pub(crate) fn expects_somebody(&self, now: DateTime<Utc>) -> bool {
        self.invitations
            .values()
            .any(|invitation| invitation.expires > now)
    }

    /// The client of this name.
    pub(crate) fn client(&self, name: &str) -> Option<&Client> {
        self.clients.get(name)
    }

    /// The clients, by name.
    pub(crate) fn clients(&self) -> impl Iterator<Item = (&String, &Client)> {
        self.clients.iter()
    }

    /// The invitations nobody has taken up.
    pub(crate) fn invitations(&self) -> impl Iterator<Item = &Invitation> {
        self.invitations.values()
    }

    /// Notes a host by which clients reach the daemon. Returns whether it is new.
    pub(crate) fn add_host(&mut self, host: &str) -> bool {
        self.hosts.insert(host.to_owned())
    }

    /// The hosts that were noted.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }
}

impl Client {
    /// When the last of its certificates ends.
    pub(crate) fn expires(&self) -> Option<DateTime<Utc>> {
        self.certificates.iter().map(|listed| listed.expires).max()
    }

    /// The serial number of its newest certificate.
    pub(crate) fn serial(&self) -> Option<&str> {
        self.certificates
            .last()
            .map(|listed| listed.serial.as_str())
    }
}

impl Invitation {
    pub(crate) fn new(
        secret_hash: String,
        role: Role,
        name: String,
        expires: DateTime<Utc>,
        by: String,
    ) -> Self {
        Self {
            secret_hash,
            role,
            name,
            expires,
            by,
            failures: 0,
            register: Vec::new(),
        }
    }

    /// The same, with this to register.
    pub(crate) fn registering(self, register: Vec<NamePattern>) -> Self {
        Self { register, ..self }
    }
}

impl Certificate {
    fn of(identity: &PeerIdentity) -> Self {
        Self {
            fingerprint: identity.fingerprint.clone(),
            serial: identity.serial.clone(),
            expires: identity.expires.into(),
        }
    }
}

/// Compares in a time that does not tell how much is the same.
fn is_same(one: &str, other: &str) -> bool {
    let differences = one
        .bytes()
        .zip(other.bytes())
        .fold(0, |differences, (one, other)| differences | (one ^ other));
    one.len() == other.len() && differences == 0
}

/// The version of the form. A released one is never changed: the next number stands beside it.
pub(crate) const VERSION: u32 = 1;
/// Wrong secrets after which an invitation is withdrawn.
const MAX_FAILURES: u32 = 5;

#[cfg(test)]
mod tests;
