//! From an order to what a shim on a host is told.
//!
//! Owns: where everything of ours lies there: below the user's home, apart from that of other installations.

use std::path::{Path, PathBuf};

use command_executor::agent::{AgentLink, StreamError};
use command_executor::supervised::SupervisedLaunch;
use service_shim::agent::protocol::{Failure, FailureKind, Hello};
use service_shim::agent::record::CommandExit;
use service_shim::{LogMode, LogPolicy};

use super::control::with_path;
use super::directory::HostCall;
use super::not_runnable;
use super::slip::Slip;
use crate::executors::shimmed::stop_policy;
use crate::executors::{LaunchError, LaunchOrder};
use crate::logs::LogStore;
use crate::spec::{RemoteRun, TargetSpec};

/// An order, in the words of its host.
pub(super) struct Ordered {
    pub(super) slip: Slip,
    pub(super) launch: SupervisedLaunch,
}

/// What an order means on this host.
///
/// # Errors
/// [`LaunchError`]: there is nothing in it that a host could run.
pub(super) fn translate(
    order: LaunchOrder,
    home: &str,
    hello: &Hello,
) -> Result<Ordered, LaunchError> {
    let TargetSpec::Remote(target) = &order.target else {
        return Err(LaunchError::WrongTarget {
            executor: "SshExecutor",
            target: order.target.kind(),
        });
    };
    let (user, group) = match &target.run {
        RemoteRun::Program(process) => (process.user.clone(), process.group.clone()),
        // Whoever may read it: the user that logs in.
        RemoteRun::Package(_) => (None, None),
    };
    let Some((program, args)) = order.command.split_first() else {
        return Err(not_runnable(&order.unit, "its command is empty".to_owned()));
    };
    let root = root(home, hello);
    let run_root = root.join("run");
    let log_dir = LogStore::new(root.join("log")).directory(&order.unit);
    let work = LogStore::new(root.join("work")).directory(&order.unit);
    // What it writes there comes here as records.
    let copy = LogPolicy {
        mode: LogMode::Capture,
        ..order.log_policy()
    };
    let slip = Slip {
        host: HostCall::of(target),
        attempt: order.attempt,
        run_dir: run_root.join(&order.instance_id),
        working_dir: within(&work, &order.working_dir),
        log_dir: log_dir.clone(),
        copy: copy.clone(),
    };
    let mut env = with_path(order.env);
    // Of whoever logs in; another user's own are given by whoever becomes it.
    if user.is_none() {
        let home = hello.home.to_string_lossy();
        env.entry("HOME".to_owned())
            .or_insert_with(|| home.into_owned());
    }
    let launch = SupervisedLaunch {
        run_root,
        instance_id: order.instance_id,
        attempt: order.attempt,
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        env: env
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        cwd: Some(slip.working_dir.clone()),
        user,
        group,
        // The caps that are shared are those of what is kept here.
        log: LogPolicy {
            dir: log_dir,
            totals: Vec::new(),
            ..copy
        },
        stop: stop_policy(Some(order.stop.signal), order.stop.grace, order.stop.scope),
        notify: order.notify,
        stdin: order.input.is_some(),
        cgroup: true,
    };
    Ok(Ordered { slip, launch })
}

/// Where all that is of this installation lies on a host.
pub(in crate::executors) fn root(home: &str, hello: &Hello) -> PathBuf {
    hello.base().join(below_home(home))
}

/// The same, as seen from there.
pub(super) fn below_home(home: &str) -> PathBuf {
    Path::new(".local/state/harness").join(home)
}

/// A directory as the file has it: absolute ones are what they are.
fn within(work: &Path, directory: &Path) -> PathBuf {
    match directory.as_os_str().is_empty() {
        true => work.to_owned(),
        false => work.join(directory),
    }
}

/// Whether the working directory is ours to make.
pub(super) fn is_ours(slip: &Slip, home: &str, hello: &Hello) -> bool {
    slip.working_dir.starts_with(root(home, hello).join("work"))
}

/// Makes a directory there, for the user alone.
pub(super) async fn make_directory(agent: &AgentLink, path: &Path) -> Result<(), StreamError> {
    let argv = vec![
        "/bin/sh".into(),
        "-c".into(),
        "umask 077; mkdir -p -- \"$1\"".into(),
        "sh".into(),
        path.as_os_str().to_owned().into(),
    ];
    let env = vec![("PATH".into(), super::DEFAULT_PATH.into())];
    let made = agent.exec(argv, env, None, None).await?;
    match made.complete(MOST_COMPLAINT).await? {
        (_, CommandExit::Code(0)) => Ok(()),
        ([_, said], _) => {
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            let message = format!("cannot make {}: {said}", path.display());
            Err(Failure::new(FailureKind::System, message).into())
        }
    }
}

const MOST_COMPLAINT: usize = 4096;
