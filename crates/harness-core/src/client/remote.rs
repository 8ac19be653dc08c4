//! Daemons elsewhere: taking up an invitation, and what is kept of it.
//!
//! Owns: the directory `contexts/NAME` of the configuration: where the daemon is (`remote.json`), its authority, and this
//! client's certificate with the key that was made here. Nothing of it is shared with the daemon of these directories.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use harness_wire::enrol::{Application, apply};
use harness_wire::{CertificateRequest, ClientTls, PkiError, PrivateDirectory, Role, pki};
use serde::{Deserialize, Serialize};

use super::HarnessClient;
use crate::access::{Token, TokenError, hex};
use crate::dirs::Dirs;
use crate::protocol::RenewParams;
use crate::protocol::method::RenewClient;

/// A daemon elsewhere, at which this client has enrolled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    directory: PathBuf,
    note: Note,
}

/// What is noted of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    schema_version: u32,
    address: String,
    client: String,
    /// As it was granted; the daemon may have changed it since.
    role: Role,
}

/// Why an invitation could not be taken up, or what came of one cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The text is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The daemon gave no certificate.
    #[error("the invitation was not taken up")]
    Apply(#[from] harness_wire::enrol::EnrolError),
    /// There is a context of this name.
    #[error("there is a context `{name}` already: choose another name, or remove {}", directory.display())]
    Taken {
        /// The name.
        name: String,
        /// Where it lies.
        directory: PathBuf,
    },
    /// There is no context of this name.
    #[error("there is no context `{name}`: `harness daemon enroll` makes one")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Keys cannot be made, kept or used.
    #[error("the keys of the context cannot be used")]
    Keys(#[from] PkiError),
}

impl EnrolError {
    /// What a program that gives up over it exits with.
    pub fn exit_code(&self) -> u8 {
        use harness_wire::enrol::EnrolError as Wire;
        match self {
            Self::Token(_) => 2,
            Self::Apply(Wire::Unreachable { .. } | Wire::TimedOut { .. }) => 5,
            Self::Apply(_) | Self::Keys(_) => 6,
            Self::Taken { .. } => 1,
            Self::Unknown { .. } => 4,
        }
    }
}

impl Remote {
    /// Whether this text is a token of an invitation, and so a secret.
    #[must_use]
    pub fn is_token(text: &str) -> bool {
        text.parse::<Token>().is_ok()
    }

    /// Takes up an invitation: makes a key, which stays here, and has it certified. The context gets this name, or that
    /// of the daemon's host.
    ///
    /// # Errors
    /// [`EnrolError`]; nothing is left behind then. The invitation may be used up when keeping the certificate failed.
    pub async fn enrol(dirs: &Dirs, token: &str, name: Option<&str>) -> Result<Self, EnrolError> {
        let token: Token = token.parse()?;
        let name = name.map_or_else(|| name_of(&token.address), str::to_owned);
        pki::check_name(&name)?;
        let directory = directory(dirs, &name);
        if directory.join(NOTE).exists() {
            return Err(EnrolError::Taken { name, directory });
        }
        let request = CertificateRequest::new()?;
        let application = Application {
            invitation: hex(&token.invitation),
            secret: hex(&token.secret),
            request: request.pem().to_owned(),
        };
        let granted = apply(&token.address, token.authority, &application, PATIENCE).await?;
        request.keep(
            &directory,
            &granted.name,
            &granted.authority,
            &granted.certificate,
        )?;
        let note = Note {
            schema_version: 1,
            address: token.address,
            client: granted.name,
            role: granted.role,
        };
        let text = serde_json::to_string_pretty(&note).expect("text and numbers always serialise");
        let private = PrivateDirectory::open(&directory)?;
        let _lock = private.lock()?;
        // Last: with it, the context is there.
        private.write(NOTE, &text)?;
        Ok(Self { directory, note })
    }

    /// The context of this name.
    ///
    /// # Errors
    /// [`EnrolError::Unknown`], [`EnrolError::Keys`].
    pub fn open(dirs: &Dirs, name: &str) -> Result<Self, EnrolError> {
        let unknown = || EnrolError::Unknown {
            name: name.to_owned(),
        };
        pki::check_name(name)?;
        let directory = directory(dirs, name);
        if !directory.exists() {
            return Err(unknown());
        }
        let text = PrivateDirectory::open(&directory)?
            .read(NOTE)?
            .ok_or_else(unknown)?;
        let note = serde_json::from_str(&text).map_err(|_| PkiError::Damaged {
            path: directory.join(NOTE),
        })?;
        Ok(Self { directory, note })
    }

    /// Its name here.
    pub fn name(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Where the daemon answers.
    pub fn address(&self) -> &str {
        &self.note.address
    }

    /// The name that this client has there.
    pub fn client(&self) -> &str {
        &self.note.client
    }

    /// What it was allowed to do when it enrolled.
    pub fn role(&self) -> Role {
        self.note.role
    }

    /// Where its files lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn tls(&self) -> Result<(String, ClientTls), PkiError> {
        let tls = ClientTls::load(&self.directory, &self.note.client)?;
        Ok((self.note.address.clone(), tls))
    }

    /// Gets another certificate when two thirds of this one's life are over. A failure is for the next time: this one
    /// is good for as long as it lives.
    pub(super) async fn renew_if_due(&self, client: &HarnessClient) {
        let is_due = pki::is_client_due(&self.directory, &self.note.client, SystemTime::now());
        if !is_due.unwrap_or(false) {
            return;
        }
        if let Err(error) = self.renew(client).await {
            tracing::warn!(%error, "the certificate of this client cannot be renewed");
        }
    }

    async fn renew(&self, client: &HarnessClient) -> Result<(), Box<dyn std::error::Error>> {
        let request = CertificateRequest::new()?;
        let params = RenewParams {
            request: request.pem().to_owned(),
        };
        let renewed = client.call::<RenewClient>(&params).await?;
        let name = &self.note.client;
        let authority = PrivateDirectory::open(&self.directory)?.read("ca.pem")?;
        // The authority is the one this client knows, whatever the answer says.
        let authority = authority.unwrap_or_default();
        request.keep(&self.directory, name, &authority, &renewed.certificate)?;
        Ok(())
    }
}

fn directory(dirs: &Dirs, name: &str) -> PathBuf {
    dirs.config().join("contexts").join(name)
}

/// What a context is called after the host in an address.
fn name_of(address: &str) -> String {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.to_ascii_lowercase().replace(':', "-")
}

const NOTE: &str = "remote.json";
/// For the whole of it. A busy machine makes a certificate in milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
