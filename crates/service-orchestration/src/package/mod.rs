//! Packages on hosts: brought, unpacked, prepared, made current, gone back from.
//!
//! Owns: the order of a deployment. What is on a host and who has its lock is known there only ([`harness_package::store`]); every
//! step is asked of it, so that whoever dies in between leaves the old version or the new one. Never starts or stops a service: whoever
//! does calls between the steps of a [`PackageSession`].
//!
//! Start reading at [`PackageDeployer`].

mod archive;
mod deployer;
mod error;
mod installed;
mod session;
mod setup;

pub use archive::{SignedPackage, SignedPackageError};
pub use deployer::{DeployOptions, DeployStep, Deployed, PackageDeployer};
pub use error::DeployError;
pub use harness_package::session::{RefusalKind, SlotVersions};
pub use harness_package::store::{Holder, Place, SlotName, Version};
pub use harness_package::{About, TrustStore};
pub use installed::{Installed, slot_of};
pub use session::{Brought, PackageSession, Switch};
pub use setup::{SetupEnd, SetupOrder};
