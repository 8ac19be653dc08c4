//! `package trust`: whose packages are taken.
//!
//! Owns: what is written into the directory of trusted keys. What makes a key be trusted is that somebody has named it here.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use harness_package::{PublicKey, TrustStore};
use serde_json::json;

use super::host::Shown;
use super::package::trusted_keys;
use super::package_failure::PackageFailure;
use super::package_keygen::{fill, fresh};
use crate::context::Context;
use crate::failure::Failure;
use crate::render::{json_line, print};

/// Say whose packages are taken
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct TrustArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Take packages that this key signed
#[derive(Args, Debug)]
#[command(after_help = ADD_EXAMPLES)]
struct AddArgs {
    /// A public key's file, as `package keygen` and minisign write it, or its last line
    #[arg(value_name = "KEY")]
    key: String,
}

/// List the keys whose packages are taken
#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
struct ListArgs {
    #[command(flatten)]
    shown: Shown,
}

/// Take packages of this key no longer; what runs of them goes on
#[derive(Args, Debug)]
#[command(after_help = REMOVE_EXAMPLES)]
struct RemoveArgs {
    /// The key's number
    #[arg(value_name = "KEY")]
    key: String,
}

const EXAMPLES: &str = "\
Examples:
  harness package trust add alice.pub
  harness package trust list
  harness package trust remove 8F2D6A3C11E05B74";

const ADD_EXAMPLES: &str = "\
Examples:
  harness package trust add alice.pub";

const LIST_EXAMPLES: &str = "\
Examples:
  harness package trust list
  harness package trust list -o json";

const REMOVE_EXAMPLES: &str = "\
Examples:
  harness package trust remove 8F2D6A3C11E05B74";

impl TrustArgs {
    pub(super) fn is_json(&self) -> bool {
        matches!(&self.what, What::List(args) if args.shown.is_json())
    }
}

pub(super) fn run(args: TrustArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("package trust")?;
    let directory = trusted_keys(&dirs);
    match args.what {
        What::Add(args) => {
            dirs.create()?;
            let (key, is_new) = add(&directory, &args.key)?;
            context.tell(&match is_new {
                true => format!("packages that key {key} signed are taken"),
                false => format!("key {key} is trusted already"),
            });
            Ok(())
        }
        What::List(args) => list(&args, &directory, context),
        What::Remove(args) => {
            remove(&directory, &args.key)?;
            context.tell(&format!("key {} is not trusted any more", args.key));
            Ok(())
        }
    }
}

/// The key, and whether it is new.
fn add(directory: &Path, key: &str) -> Result<(String, bool), PackageFailure> {
    let key = read(key)?;
    let store = TrustStore::read(directory)?;
    if store.keys().any(|known| *known == key) {
        return Ok((key.id().to_string(), false));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(PackageFailure::io("make", directory))?;
    let path = directory.join(format!("{}.pub", key.id()));
    fill(fresh(&path, 0o644)?, &path, &key.to_text())?;
    Ok((key.id().to_string(), true))
}

/// A file, or the key itself.
fn read(key: &str) -> Result<PublicKey, PackageFailure> {
    let path = PathBuf::from(key);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return PublicKey::parse(key).map_err(|_| PackageFailure::io("read", path)(error));
        }
        Err(error) => return Err(PackageFailure::io("read", path)(error)),
    };
    PublicKey::parse(&text).map_err(|source| PackageFailure::Key { path, source })
}

fn list(args: &ListArgs, directory: &Path, context: &Context) -> Result<(), Failure> {
    let store = TrustStore::read(directory).map_err(PackageFailure::from)?;
    let keys: Vec<String> = store.keys().map(|key| key.id().to_string()).collect();
    if args.shown.is_json() {
        return print(&json_line(
            &json!({ "directory": directory, "items": keys }),
        ));
    }
    if keys.is_empty() {
        context.tell("no key is trusted; `harness package trust add` adds one");
        return Ok(());
    }
    print(&(keys.join("\n") + "\n"))
}

/// Removes every file of the key, whatever its name.
fn remove(directory: &Path, key: &str) -> Result<(), PackageFailure> {
    // Refuses a directory that is not sound before anything in it is touched.
    TrustStore::read(directory)?;
    let mut has_removed = false;
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(_) => {
            let key = key.to_owned();
            return Err(PackageFailure::NotTrusted { key });
        }
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "pub") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(PackageFailure::io("read", &path))?;
        if PublicKey::parse(&text).is_ok_and(|found| found.id().to_string() == key) {
            fs::remove_file(&path).map_err(PackageFailure::io("remove", &path))?;
            has_removed = true;
        }
    }
    match has_removed {
        true => Ok(()),
        false => Err(PackageFailure::NotTrusted {
            key: key.to_owned(),
        }),
    }
}
