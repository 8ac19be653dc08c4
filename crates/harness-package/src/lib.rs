//! Packages of services: one file that holds a program, what it needs to run, and a manifest of all of it.
//!
//! Owns: the manifest, the archive, its signature, the checks of what a stranger sends, and the place on a disk where a package
//! ends up. Blocks, and needs no runtime; knows neither hosts nor services nor a network: bringing a package
//! to a host is the work of whoever calls.
//!
//! The way of an archive is fixed by the types:
//!
//! ```text
//! directory + Recipe ── build ──► archive, Signature
//!                                    │ admit: hash and signature, over bytes that nobody has parsed
//!                                    ▼
//!                                 Admitted ── inspect ──► Manifest   (gone through whole, nothing written)
//!                                    │ unpack: gone through, staged, flushed, renamed
//!                                    ▼
//!                                 NAME/VERSION-SHA256
//! ```
//!
//! See ADR 028.

#[cfg(not(unix))]
compile_error!("packages are made of and become directories with the permissions of Unix");

mod admit;
mod archive;
mod digest;
mod manifest;
mod path;
pub mod session;
mod signature;
pub mod store;
mod unpack;

pub use admit::{AdmitError, Admitted, InspectError, Right, admit};
pub use archive::{BuildError, Built, Limits, Refusal, build};
pub use digest::{Digest, NotADigest};
pub use manifest::{
    About, Content, Entry, Health, Manifest, ManifestError, Mode, NameFault, NotAMode, PackageName,
    Pick, Program, Recipe,
};
pub use path::{Clash, EntryPath, LinkFault, LinkTarget, MAX_PATH_BYTES, PathFault};
pub use signature::{
    KeyError, KeyId, PublicKey, SecretKey, Signature, SignatureError, TrustError, TrustStore,
};
pub use unpack::{UnpackError, Unpacked};
