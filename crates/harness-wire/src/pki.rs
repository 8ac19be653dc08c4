//! The keys and certificates of one installation: an authority, the server's leaf, one leaf per client.
//!
//! Owns: the directory they lie in, their making, their renewal. Never reads a clock (callers say what time it is) and
//! never lets a private key leave the directory except into TLS settings. All functions block on small files: call them
//! before serving, or from a thread that may block.
//!
//! | file | holds |
//! |---|---|
//! | `ca.pem` | the authority's certificate, which clients trust |
//! | `ca.key` | the authority's certificate and key: issues leaves |
//! | `server.pem` | the server's certificate and key |
//! | `client-NAME.pem` | a client's certificate and key |
//! | `lock` | held while any of them is made |
//!
//! A client elsewhere makes its key where it is and sends a request ([`CertificateRequest`]); its directory then holds
//! `ca.pem` and `client-NAME.pem` alone.
//!
//! Invariant: a file is complete or absent (written aside, then renamed), and a key never has a mode others can read.

mod files;
mod leaf;
mod names;
mod request;

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};

use crate::identity::{IdentityError, PeerIdentity, Role};
use crate::tls::{ClientTls, ServerTls, TlsError};
use files::Directory;
pub use files::Directory as PrivateDirectory;
use leaf::Leaf;
pub use leaf::Life;
pub use names::ServerNames;
pub use request::{CertificateRequest, Certified};

/// Why keys or certificates could not be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// Reading or writing failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Others can read or change a file or directory that must be private. `chmod go= PATH` repairs it, if nobody has used the chance.
    #[error("{} has mode {mode:04o}: others have access to it (`chmod go= {}` takes it away)", path.display(), path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file or directory belongs to someone else.
    #[error("{} belongs to user {owner}, not to the user running this program", path.display())]
    Foreign {
        /// The file or directory.
        path: PathBuf,
        /// The numeric user id it belongs to.
        owner: u32,
    },
    /// A file does not hold what it should.
    #[error("{} holds no usable certificate and key", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file was written by a later version.
    #[error("{} has format {found}; this program knows up to {known}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The latest one known.
        known: u32,
    },
    /// There are no certificates yet: the server has never run here.
    #[error("{} does not exist: no server has run here yet", path.display())]
    Absent {
        /// The file looked for.
        path: PathBuf,
    },
    /// The name cannot be part of a file name and a certificate.
    #[error(
        "`{name}` is no client name: use 1 to 63 of `a-z`, `0-9`, `.`, `_` and `-`, a letter or digit first"
    )]
    BadName {
        /// The name as given.
        name: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    Issue(#[from] rcgen::Error),
    /// A request for a certificate is none, or for a kind of key that is not used here.
    #[error("the request for a certificate cannot be granted: {reason}")]
    Request {
        /// What is wrong with it.
        reason: String,
    },
    /// The certificates do not work together.
    #[error("the certificates in {} cannot be used", path.display())]
    Tls {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// A client certificate names no client.
    #[error("{} names no client", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: IdentityError,
    },
}

/// The keys and certificates of one installation.
#[derive(Debug)]
pub struct Pki {
    directory: Directory,
    names: ServerNames,
    authority: CertificateDer<'static>,
    life: Life,
}

impl Pki {
    /// Opens the directory, making it and the authority on first use.
    ///
    /// Two processes may do this at the same time; both end up with the same authority.
    ///
    /// # Errors
    /// [`PkiError::Exposed`] or [`PkiError::Foreign`] when others have access to the directory or a key,
    /// [`PkiError::Damaged`] when the authority cannot be read. Nothing is replaced in either case.
    pub fn open_or_create(
        directory: impl AsRef<Path>,
        names: &ServerNames,
    ) -> Result<Self, PkiError> {
        let directory = Directory::open_or_create(directory.as_ref())?;
        let _lock = directory.lock()?;
        let combined = match directory.read(AUTHORITY_KEY)? {
            Some(pem) => pem,
            None => {
                let pem = make_authority()?;
                directory.write(AUTHORITY_KEY, &pem)?;
                pem
            }
        };
        let authority =
            CertificateDer::from_pem_slice(combined.as_bytes()).map_err(|_| PkiError::Damaged {
                path: directory.path(AUTHORITY_KEY),
            })?;
        // Derived from the former, so that a crash between the two leaves nothing that does not match.
        if directory.read(AUTHORITY)?.is_none() {
            let end = combined.find(KEY_MARK).unwrap_or(combined.len());
            directory.write(AUTHORITY, &combined[..end])?;
        }
        Ok(Self {
            directory,
            names: names.clone(),
            authority,
            life: Life::default(),
        })
    }

    /// The same with certificates that live as long as this from now on.
    #[must_use]
    pub fn with_life(mut self, life: Life) -> Self {
        self.life = life;
        self
    }

    /// Adds a name or address that the server answers to; its certificate says so when it is asked for next.
    pub fn add_name(&mut self, host: &str) {
        let names = self.names.clone();
        self.names = match host.parse::<IpAddr>() {
            Ok(address) => names.with_address(address),
            Err(_) => names.with_name(host),
        };
    }

    /// The directory that everything lies in.
    pub fn directory(&self) -> &PrivateDirectory {
        &self.directory
    }

    /// The fingerprint of the authority, by which those who do not know it yet are told to recognise it.
    pub fn authority_fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.authority)
    }

    /// The authority's certificate, as PEM.
    ///
    /// # Errors
    /// As [`Pki::open_or_create`].
    pub fn authority_pem(&self) -> Result<String, PkiError> {
        self.directory
            .read(AUTHORITY)?
            .ok_or_else(|| PkiError::Absent {
                path: self.directory.path(AUTHORITY),
            })
    }

    /// TLS settings for the server; its certificate is made, or renewed when due or when its names do not fit.
    ///
    /// # Errors
    /// As [`Pki::open_or_create`].
    pub fn server_config(&self, now: SystemTime) -> Result<ServerTls, PkiError> {
        let _lock = self.directory.lock()?;
        let leaf = match Leaf::load(&self.directory, SERVER)? {
            Some(leaf) if !leaf.is_due(now) && leaf.covers(&self.names) => leaf,
            Some(_) | None => self.issue(SERVER, leaf::server_params(&self.names)?, now)?,
        };
        ServerTls::new(
            self.authority.clone(),
            leaf.certificate,
            leaf.key,
            self.names.clone(),
        )
        .map_err(|source| self.unusable(source))
    }

    /// TLS settings for a client of this installation; its certificate is made, or renewed when due or when its role changed.
    ///
    /// # Errors
    /// [`PkiError::BadName`], else as [`Pki::open_or_create`].
    pub fn client_config(
        &self,
        name: &str,
        role: Role,
        now: SystemTime,
    ) -> Result<ClientTls, PkiError> {
        let file = client_file(name)?;
        let _lock = self.directory.lock()?;
        let leaf = match Leaf::load(&self.directory, &file)? {
            Some(leaf) if !leaf.is_due(now) && leaf.has_role(role) => leaf,
            Some(_) | None => self.issue(&file, leaf::client_params(name, role), now)?,
        };
        ClientTls::new(self.authority.clone(), leaf.certificate, leaf.key)
            .map_err(|source| self.unusable(source))
    }

    /// When the server's certificate or this client's should be made anew, whichever comes first. Now, when one is missing.
    ///
    /// # Errors
    /// As [`Pki::open_or_create`].
    pub fn due(&self, client: &str, now: SystemTime) -> Result<SystemTime, PkiError> {
        let file = client_file(client)?;
        let mut due = None;
        for file in [SERVER, file.as_str()] {
            let this = match Leaf::load(&self.directory, file)? {
                Some(leaf) if !leaf.is_due(now) => leaf.due(),
                Some(_) | None => now,
            };
            due = Some(due.map_or(this, |earlier: SystemTime| earlier.min(this)));
        }
        Ok(due.unwrap_or(now))
    }

    /// Whether the server's certificate is missing, past two thirds of its life, or valid only in the future.
    ///
    /// When it is, call [`Pki::server_config`] and give the result to [`crate::Acceptor::with_tls`]; open sessions go on.
    ///
    /// # Errors
    /// As [`Pki::open_or_create`].
    pub fn needs_renewal(&self, now: SystemTime) -> Result<bool, PkiError> {
        Ok(Leaf::load(&self.directory, SERVER)?.is_none_or(|leaf| leaf.is_due(now)))
    }

    fn issue(
        &self,
        file: &str,
        params: CertificateParams,
        now: SystemTime,
    ) -> Result<Leaf, PkiError> {
        let pem = leaf::sign(params, &self.issuer()?, self.life, now)?;
        self.directory.write(file, &pem)?;
        Leaf::load(&self.directory, file)?.ok_or_else(|| PkiError::Absent {
            path: self.directory.path(file),
        })
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, PkiError> {
        let damaged = || PkiError::Damaged {
            path: self.directory.path(AUTHORITY_KEY),
        };
        let pem = self.directory.read(AUTHORITY_KEY)?.ok_or_else(damaged)?;
        let key = KeyPair::from_pem(&pem[pem.find(KEY_MARK).ok_or_else(damaged)?..])
            .map_err(|_| damaged())?;
        Issuer::from_ca_cert_der(&self.authority, key).map_err(|_| damaged())
    }

    fn unusable(&self, source: TlsError) -> PkiError {
        PkiError::Tls {
            path: self.directory.path(""),
            source,
        }
    }
}

impl ClientTls {
    /// TLS settings of a client whose certificate exists already, without touching the authority's key.
    ///
    /// # Errors
    /// [`PkiError::Absent`] when the server has not run yet, else as [`Pki::open_or_create`].
    pub fn load(directory: impl AsRef<Path>, name: &str) -> Result<Self, PkiError> {
        let path = directory.as_ref();
        let file = client_file(name)?;
        let directory = Directory::open(path)?;
        let absent = |file: &str| PkiError::Absent {
            path: directory.path(file),
        };
        let authority = directory
            .read(AUTHORITY)?
            .ok_or_else(|| absent(AUTHORITY))?;
        let authority = CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|_| {
            PkiError::Damaged {
                path: directory.path(AUTHORITY),
            }
        })?;
        let leaf = Leaf::load(&directory, &file)?.ok_or_else(|| absent(&file))?;
        Self::new(authority, leaf.certificate, leaf.key).map_err(|source| PkiError::Tls {
            path: path.to_owned(),
            source,
        })
    }
}

/// Who the certificate of a local client says it is.
///
/// # Errors
/// As [`ClientTls::load`]; [`PkiError::Identity`] when the certificate names no client.
pub fn local_identity(directory: impl AsRef<Path>, name: &str) -> Result<PeerIdentity, PkiError> {
    let file = client_file(name)?;
    let directory = Directory::open(directory.as_ref())?;
    let path = directory.path(&file);
    let leaf =
        Leaf::load(&directory, &file)?.ok_or_else(|| PkiError::Absent { path: path.clone() })?;
    PeerIdentity::from_certificate(&leaf.certificate)
        .map_err(|source| PkiError::Identity { path, source })
}

/// SHA-256 of a certificate: by which an authority is known before anything is trusted.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Whether the certificate of a client whose files lie here should be made anew.
///
/// # Errors
/// As [`ClientTls::load`].
pub fn is_client_due(
    directory: impl AsRef<Path>,
    name: &str,
    now: SystemTime,
) -> Result<bool, PkiError> {
    let file = client_file(name)?;
    let directory = Directory::open(directory.as_ref())?;
    Ok(Leaf::load(&directory, &file)?.is_none_or(|leaf| leaf.is_due(now)))
}

fn make_authority() -> Result<String, rcgen::Error> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    // Part of the key makes the name unique, so that two installations are never taken for each other.
    let tail: String = key
        .public_key_raw()
        .iter()
        .skip(1)
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("harness authority {tail}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // It is trusted because of where it lies, not for a time: a wrong clock must not lock anyone out.
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(9999, 12, 31);
    let certificate = params.self_signed(&key)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
}

/// Whether a client can have this name: it becomes part of a file name and of a certificate.
///
/// # Errors
/// [`PkiError::BadName`].
pub fn check_name(name: &str) -> Result<(), PkiError> {
    client_file(name).map(|_| ())
}

fn client_file(name: &str) -> Result<String, PkiError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = (1..=63).contains(&name.len())
        && name
            .bytes()
            .all(|byte| is_plain(byte) || b"._-".contains(&byte))
        && name.bytes().next().is_some_and(is_plain);
    if fits {
        Ok(format!("client-{name}.pem"))
    } else {
        Err(PkiError::BadName {
            name: name.to_owned(),
        })
    }
}

const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const SERVER: &str = "server.pem";
const KEY_MARK: &str = "-----BEGIN PRIVATE KEY-----";

#[cfg(test)]
mod tests;
