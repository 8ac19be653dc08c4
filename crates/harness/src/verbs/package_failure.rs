//! Why a package is not made, not taken, or a key not kept.
//!
//! Owns: the words, the exit codes and the hints.

use std::io;
use std::path::PathBuf;

use harness_core::package::{DeployError, RefusalKind, SignedPackageError};
use harness_package::{
    AdmitError, BuildError, InspectError, KeyError, ManifestError, SignatureError, TrustError,
};

/// Why `package` did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageFailure {
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A key that would be written over.
    #[error("{} is there already", path.display())]
    KeyThere { path: PathBuf },
    /// A file that should hold a key.
    #[error("{}", path.display())]
    Key {
        path: PathBuf,
        #[source]
        source: KeyError,
    },
    /// No key to sign with.
    #[error("there is no key {} to sign with", path.display())]
    NoKey { path: PathBuf },
    /// A secret key that others can read.
    #[error("the secret key {} can be read by others (mode {mode:04o})", path.display())]
    ExposedKey { path: PathBuf, mode: u32 },
    /// The recipe is wrong.
    #[error("{}", path.display())]
    Recipe {
        path: PathBuf,
        #[source]
        source: ManifestError,
    },
    /// The archive would be among what is packed.
    #[error("{} would be in the directory that is packed", path.display())]
    Inside { path: PathBuf },
    /// It cannot be built.
    #[error("no package was made of {}", directory.display())]
    Build {
        directory: PathBuf,
        #[source]
        source: BuildError,
    },
    /// Nobody signed it.
    #[error("there is no signature {}", path.display())]
    NoSignature { path: PathBuf },
    /// It is not let in.
    #[error("{} is not taken", path.display())]
    Admit {
        path: PathBuf,
        #[source]
        source: AdmitError,
    },
    /// What is in it may not be.
    #[error("{} is not taken", path.display())]
    Inspect {
        path: PathBuf,
        #[source]
        source: InspectError,
    },
    /// Whom we trust cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It is not brought anywhere.
    #[error(transparent)]
    Package(#[from] SignedPackageError),
    /// It was not deployed. What was current is so still.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// A name that no place on a host can have.
    #[error("`{name}` is no name: {reason}")]
    Name { name: String, reason: &'static str },
    /// It runs from no package.
    #[error("`{unit}` does not run from a package on another host")]
    NotPackaged { unit: String },
    /// It cannot go elsewhere, as it is nowhere.
    #[error("`{unit}` does not run, and --host moves what runs")]
    NotMoved { unit: String, host: String },
    /// A login that is said in the stack file.
    #[error(
        "the stack file says how to log in to {host}, and packages are brought there as the list of hosts says"
    )]
    OwnLogin { host: String },
    /// No other version can be found by its name.
    #[error("{} is not named NAME-VERSION.tar.gz, so another version cannot be found beside it", path.display())]
    NoVersionInName { path: PathBuf },
    /// Nothing that could serve us there.
    #[error("there is no program `harness-shim` here that could be brought to hosts")]
    NoShim,
    /// It did not come up in time.
    #[error("{host} cannot be reached")]
    Unreachable {
        host: String,
        #[source]
        source: Option<std::sync::Arc<command_executor::agent::ConnectError>>,
    },
    /// Some of those that were asked. What was printed says why.
    #[error("{} cannot be asked", hosts.join(", "))]
    NotAsked { hosts: Vec<String> },
    /// Nobody we trust has this key.
    #[error("no key {key} is trusted")]
    NotTrusted { key: String },
}

impl PackageFailure {
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// What the program exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::KeyThere { .. } | Self::NoKey { .. } | Self::Key { .. } | Self::Inside { .. } => {
                2
            }
            Self::Name { .. }
            | Self::NotPackaged { .. }
            | Self::NotMoved { .. }
            | Self::OwnLogin { .. }
            | Self::NoVersionInName { .. } => 2,
            Self::NotTrusted { .. } => 4,
            Self::NoShim => 69,
            Self::ExposedKey { .. }
            | Self::NoSignature { .. }
            | Self::Trust(TrustError::Writable { .. } | TrustError::Owner { .. })
            | Self::Admit {
                source: AdmitError::Signature(_) | AdmitError::OtherArchive { .. },
                ..
            }
            | Self::Package(SignedPackageError::Admit {
                source: AdmitError::Signature(_) | AdmitError::OtherArchive { .. },
                ..
            }) => 6,
            Self::Recipe { .. } => 78,
            Self::Io { .. }
            | Self::Build { .. }
            | Self::Admit { .. }
            | Self::Inspect { .. }
            | Self::Package(_)
            | Self::Deploy(_)
            | Self::Unreachable { .. }
            | Self::NotAsked { .. }
            | Self::Trust(_) => 1,
        }
    }

    /// What can be done about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::KeyThere { .. } => {
                Some("a key is never written over: name another file, or use that key".to_owned())
            }
            Self::NoKey { .. } => Some(
                "`harness package keygen` makes one, --key names another, --unsigned does without"
                    .to_owned(),
            ),
            Self::ExposedKey { path, .. } => Some(format!("`chmod go= {}`", path.display())),
            Self::Inside { .. } => Some(
                "--to names another place; or list `files` in the recipe".to_owned(),
            ),
            Self::NoSignature { .. } => Some(
                "--signature names its file; --allow-unsigned looks at what you trust for another reason"
                    .to_owned(),
            ),
            Self::Admit {
                source: AdmitError::Signature(SignatureError::OtherKey { .. }),
                ..
            }
            | Self::Package(SignedPackageError::Admit {
                source: AdmitError::Signature(SignatureError::OtherKey { .. }),
                ..
            }) => Some(
                "if that is the key of somebody you trust: `harness package trust add FILE.pub`"
                    .to_owned(),
            ),
            Self::NotPackaged { .. } => {
                Some("a service with `type: remote` and `package:` does".to_owned())
            }
            Self::NotMoved { host, .. } => Some(format!(
                "say `host: {host}` in the stack file, or `harness start` it first"
            )),
            Self::OwnLogin { host } => Some(format!(
                "give `user`, `port` and `ssh_key` to `harness host add {host}` instead"
            )),
            Self::NoShim => Some("name it in HARNESS_SHIM".to_owned()),
            Self::Unreachable { source, .. } => source.as_ref()?.hint(),
            Self::Deploy(DeployError::Held { .. }) => {
                Some("wait until that one is done; a dead one holds up nobody".to_owned())
            }
            Self::Deploy(DeployError::Refused {
                kind: RefusalKind::Room,
                ..
            }) => Some("make room there, or keep fewer versions (--keep)".to_owned()),
            Self::Deploy(DeployError::Lost { .. }) => Some(
                "`harness package list` shows which version is current; pushing again goes on from there"
                    .to_owned(),
            ),
            Self::NotTrusted { .. } => Some("`harness package trust list` shows them".to_owned()),
            _ => None,
        }
    }
}
