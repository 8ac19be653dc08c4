//! An order for a service that runs from a package.
//!
//! Owns: what of it is the package's: the program, its arguments, and what its environment begins with. Which version is meant is asked of the host at
//! every launch: it is the one that is current there.

use std::path::PathBuf;

use command_executor::agent::{AgentLink, StreamError};

use super::order::root;
use super::reach::ReachError;
use super::{KnownHost, not_reached, not_runnable};
use crate::executors::{LaunchError, LaunchOrder};
use crate::package::{Installed, slot_of};
use crate::spec::{RemoteRun, TargetSpec};

/// The order with what its package says; as it was where it runs from none.
///
/// # Errors
/// [`LaunchError::NotRunnable`] when no version is current there.
pub(super) async fn filled(
    mut order: LaunchOrder,
    home: &str,
    host: &KnownHost,
    agent: &AgentLink,
) -> Result<LaunchOrder, LaunchError> {
    let TargetSpec::Remote(target) = &order.target else {
        return Ok(order);
    };
    let RemoteRun::Package(_) = &target.run else {
        return Ok(order);
    };
    let slot = slot_of(&order.unit.stack, &order.unit.name);
    let root = root(home, agent.hello()).join(PACKAGES);
    let found = Installed::find(agent, &root, &slot).await;
    let found = found.map_err(|error| match error {
        StreamError::Failed(failure) => not_runnable(&order.unit, failure.message),
        lost => not_reached(&order.unit, ReachError::Away(host.link.explain(lost))),
    })?;
    let Some(Installed { path, about, .. }) = found else {
        let (unit, host) = (&order.unit.name, &target.host);
        let reason = format!(
            "no version of its package is on {host}: `harness deploy {unit}` brings it there"
        );
        return Err(not_runnable(&order.unit, reason));
    };
    let program = path.join(about.service.binary.as_str());
    order.command = vec![program.to_string_lossy().into_owned()];
    order.command.extend(about.service.args);
    // What it keeps is to outlive its versions.
    order.working_dir = PathBuf::new();
    let mut env = about.environment;
    env.append(&mut order.env);
    env.insert("HARNESS_PACKAGE".to_owned(), about.name.to_string());
    env.insert("HARNESS_VERSION".to_owned(), about.version.to_string());
    env.insert(
        "HARNESS_PACKAGE_DIR".to_owned(),
        path.to_string_lossy().into_owned(),
    );
    order.env = env;
    Ok(order)
}

/// Beside the run directories of this installation.
pub(super) const PACKAGES: &str = "packages";
