//! `package inspect`: what is in an archive, and who signed it.
//!
//! Owns: the question. The archive is let in by hash and signature first, and then gone through whole; nothing is unpacked.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;

use clap::Args;
use harness_core::Dirs;
use harness_package::{Digest, KeyId, Limits, Manifest, NotADigest, Right, TrustStore, admit};
use serde_json::{Value, json};

use super::host::Shown;
use super::package::trusted_keys;
use super::package_build::signature_path;
use super::package_failure::PackageFailure;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, package_page, print};

/// Show what is in a package, and who signed it; refuse one that no host would take
///
/// The signature is looked for beside the archive, as FILE.minisig. Exits with 6 when nobody who is trusted has signed it, and
/// with 1 when something in it may not be, which is named.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct InspectArgs {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its signature [default: FILE.minisig]
    #[arg(long, value_name = "FILE", conflicts_with = "allow_unsigned")]
    signature: Option<PathBuf>,
    /// The hash that it must have
    #[arg(long, value_name = "HEX", value_parser = digest)]
    sha256: Option<Digest>,
    /// Show it whoever made it
    #[arg(long)]
    allow_unsigned: bool,
    #[command(flatten)]
    shown: Shown,
}

const EXAMPLES: &str = "\
Examples:
  harness package inspect api-1.2.0.tar.gz
  harness package inspect api-1.2.0.tar.gz -o json";

impl InspectArgs {
    pub(super) fn is_json(&self) -> bool {
        self.shown.is_json()
    }
}

fn digest(text: &str) -> Result<Digest, NotADigest> {
    Digest::try_from(text.to_owned())
}

/// What is in it.
#[derive(Debug)]
pub(super) struct Found {
    manifest: Manifest,
    path: PathBuf,
    size: u64,
    sha256: Digest,
    signer: Option<KeyId>,
    is_json: bool,
}

/// Reads the archive. Blocks.
pub(super) fn inspect(args: &InspectArgs, dirs: &Dirs) -> Result<Found, PackageFailure> {
    let path = args.file.clone();
    let file = File::open(&path).map_err(PackageFailure::io("read", &path))?;
    let metadata = file.metadata();
    let size = metadata.map_err(PackageFailure::io("read", &path))?.len();
    let (store, signature);
    let right = if args.allow_unsigned {
        Right::Unsigned
    } else {
        let place = args.signature.clone();
        let place = place.unwrap_or_else(|| signature_path(&path));
        signature = fs::read_to_string(&place).map_err(|error| match error.kind() {
            ErrorKind::NotFound => PackageFailure::NoSignature { path: place },
            _ => PackageFailure::io("read", place)(error),
        })?;
        store = TrustStore::read(&trusted_keys(dirs))?;
        Right::Signed {
            store: &store,
            signature: &signature,
        }
    };
    let admitted = admit(file, right, args.sha256);
    let mut admitted = admitted.map_err(|source| PackageFailure::Admit {
        path: path.clone(),
        source,
    })?;
    let manifest = admitted.inspect(&Limits::default());
    let manifest = manifest.map_err(|source| PackageFailure::Inspect {
        path: path.clone(),
        source,
    })?;
    Ok(Found {
        manifest,
        path,
        size,
        sha256: admitted.sha256(),
        signer: admitted.signer(),
        is_json: args.is_json(),
    })
}

impl Found {
    pub(super) fn show(&self, context: &Context) -> Result<(), Failure> {
        let signer = self.signer.map(|key| key.to_string());
        if self.is_json {
            // As it stands in the archive, which others read too.
            let manifest: Value = serde_json::from_slice(&self.manifest.to_json())
                .expect("a manifest is written as JSON");
            return print(&json_line(&json!({
                "archive": self.path, "size": self.size, "sha256": self.sha256, "key": signer, "manifest": manifest,
            })));
        }
        print(&package_page(
            &context.data,
            &self.manifest,
            &self.path,
            self.size,
            self.sha256,
            signer,
        ))
    }
}
