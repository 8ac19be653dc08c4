//! `package`: services as one signed file each.
//!
//! Owns: the list of what can be done. None of it needs a daemon, and nothing here reads an archive but through
//! [`harness_package::admit`].

use std::path::PathBuf;

use clap::{Args, Subcommand};
use harness_core::Dirs;

use super::package_build::{self, BuildArgs};
use super::package_inspect::{self, InspectArgs};
use super::package_keygen::{self, KeygenArgs};
use super::package_push::{self, PushArgs};
use super::package_rollback::{self, RollbackArgs};
use super::package_trust::{self, TrustArgs};
use super::package_versions::{self, ListArgs};
use crate::context::Context;
use crate::failure::Failure;

/// Build and sign packages of services, and bring them to hosts
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct PackageArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Keygen(KeygenArgs),
    Build(BuildArgs),
    Inspect(InspectArgs),
    Trust(TrustArgs),
    Push(PushArgs),
    Rollback(RollbackArgs),
    List(ListArgs),
}

const EXAMPLES: &str = "\
Examples:
  harness package keygen                        a key to sign with
  harness package build api                     packs and signs the directory `api`
  harness package inspect api-1.2.0.tar.gz      what is in it, and who signed it
  harness package trust add alice.pub           takes what alice signs
  harness package push api-1.2.0.tar.gz --host build";

impl PackageArgs {
    pub(crate) fn is_json(&self) -> bool {
        match &self.what {
            What::Keygen(args) => args.is_json(),
            What::Build(args) => args.is_json(),
            What::Inspect(args) => args.is_json(),
            What::Trust(args) => args.is_json(),
            What::List(args) => args.is_json(),
            What::Push(args) => args.is_json(),
            What::Rollback(_) => false,
        }
    }
}

pub(crate) async fn run(args: PackageArgs, context: &Context) -> Result<(), Failure> {
    match args.what {
        What::Keygen(args) => package_keygen::run(&args, context),
        What::Build(args) => smol::unblock(move || package_build::build(&args))
            .await?
            .show(context),
        What::Inspect(args) => {
            let dirs = context.dirs_here("package inspect")?;
            let found = smol::unblock(move || package_inspect::inspect(&args, &dirs));
            found.await?.show(context)
        }
        What::Trust(args) => package_trust::run(args, context),
        What::Push(args) => package_push::run(args, context).await,
        What::Rollback(args) => package_rollback::run(args, context).await,
        What::List(args) => package_versions::run(args, context).await,
    }
}

/// The key that is signed with where none is named.
pub(super) fn own_key(dirs: &Dirs) -> PathBuf {
    dirs.config().join("package.key")
}

/// Whom we trust.
pub(super) fn trusted_keys(dirs: &Dirs) -> PathBuf {
    dirs.config().join("trusted_keys")
}
