//! `package keygen`: a key to sign packages with.
//!
//! Owns: the two files of a key. Neither is ever written over, and the secret one is for its owner alone from its first byte.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use harness_package::SecretKey;
use serde_json::json;

use super::host::Shown;
use super::package::own_key;
use super::package_failure::PackageFailure;
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{Span, json_line, print};

/// Make a key to sign packages with, in the format of minisign
///
/// Without FILE it is the key that `package build` signs with. The public key is written beside it, with the extension
/// `pub`: whoever shall take your packages adds that one with `package trust add`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct KeygenArgs {
    /// Where the secret key goes
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    shown: Shown,
}

const EXAMPLES: &str = "\
Examples:
  harness package keygen
  harness package keygen ci.key                 writes ci.key and ci.pub";

impl KeygenArgs {
    pub(super) fn is_json(&self) -> bool {
        self.shown.is_json()
    }
}

pub(super) fn run(args: &KeygenArgs, context: &Context) -> Result<(), Failure> {
    let path = match &args.file {
        Some(path) => path.clone(),
        None => {
            let dirs = context.dirs_here("package keygen")?;
            dirs.create()?;
            own_key(&dirs)
        }
    };
    let public_path = path.with_extension("pub");
    let key = SecretKey::generate().map_err(|source| PackageFailure::Key {
        path: path.clone(),
        source,
    })?;
    let public = key.public();
    // Taken before anything secret is written: a key without its other half helps nobody.
    let public_file = fresh(&public_path, 0o644)?;
    let written = fresh(&path, 0o600).and_then(|file| {
        fill(file, &path, &key.to_text())?;
        fill(public_file, &public_path, &public.to_text())
    });
    if let Err(error) = written {
        let _empty = std::fs::remove_file(&public_path);
        return Err(error.into());
    }
    if args.is_json() {
        return print(&json_line(&json!({
            "key": public.id().to_string(), "secret": path, "public": public_path,
        })));
    }
    let look = &context.data;
    print(&format!(
        "key {}\n  secret  {}\n  public  {}\n",
        look.paint(Span::Strong, &public.id().to_string()),
        path.display(),
        public_path.display()
    ))
}

/// A file that was not there before.
pub(super) fn fresh(path: &Path, mode: u32) -> Result<File, PackageFailure> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    opened.map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => PackageFailure::KeyThere {
            path: path.to_owned(),
        },
        _ => PackageFailure::io("write", path)(source),
    })
}

/// The whole text, on the disk.
pub(super) fn fill(mut file: File, path: &Path, text: &str) -> Result<(), PackageFailure> {
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(PackageFailure::io("write", path))
}
