//! Calls about clients: who there is, inviting, shutting out.
//!
//! Owns: the shape of `daemon clients -o json` and `daemon invite -o json`.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use harness_wire::Role;

use super::NamePattern;

/// Parameters of `client.list`: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientListParams {}

/// Who is known and who is invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientList {
    /// [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
    pub schema_version: u32,
    /// The clients, by name; those that were shut out too.
    pub items: Vec<ClientInfo>,
    /// Invitations that nobody has taken up.
    pub invitations: Vec<InvitationInfo>,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientInfo {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Since when.
    pub enrolled_at: DateTime<Utc>,
    /// The serial number of its newest certificate, in hexadecimal.
    pub serial: Option<String>,
    /// When that ends; it is renewed before, while the client comes.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was shut out.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Connections it has open.
    pub connections: u32,
    /// What it may register although its role does not allow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub register: Vec<NamePattern>,
}

/// An invitation that nobody has taken up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationInfo {
    /// The name that the client will have.
    pub name: String,
    /// What it will be allowed to do.
    pub role: Role,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// Who sent it.
    pub invited_by: String,
    /// What the client will be allowed to register although its role does not allow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub register: Vec<NamePattern>,
}

/// Parameters of `client.invite`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InviteParams {
    /// What the client will be allowed to do.
    pub role: Role,
    /// How long the invitation holds, in milliseconds.
    pub ttl_ms: u64,
    /// The name it will have; without it, one is made up.
    #[serde(default)]
    pub name: Option<String>,
    /// Where it reaches the daemon, `host:port`; without it, where the daemon listens.
    #[serde(default)]
    pub address: Option<String>,
    /// What it may register although its role does not allow it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub register: Vec<NamePattern>,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invited {
    /// What the invited client shows once. A secret.
    pub token: String,
    /// The name it will have.
    pub name: String,
    /// What it will be allowed to do.
    pub role: Role,
    /// Until when.
    pub expires_at: DateTime<Utc>,
    /// Where it reaches the daemon.
    pub address: String,
}

/// Parameters of `client.revoke`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeParams {
    /// Whom.
    pub name: String,
}

/// Parameters of `client.set-role`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRoleParams {
    /// Whose.
    pub name: String,
    /// What it may do from now on.
    pub role: Role,
    /// What it may register although its role does not allow it; absent: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub register: Option<Vec<NamePattern>>,
}

/// Parameters of `client.renew`: the client that asks gets another certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewParams {
    /// A request for a certificate (PKCS #10), as PEM.
    pub request: String,
}

/// Another certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The certificate, as PEM.
    pub certificate: String,
    /// The authority to trust, as PEM.
    pub authority: String,
}
