//! Launches an attempt.

use std::io::Write;
use std::os::fd::OwnedFd;

use service_shim::protocol::{LaunchOrder, Notice};
use service_shim::{LogMode, RunDir, Task, remove_run_dir};

use super::adopt::{Adopted, adopt};
use super::error::LaunchError;
use super::order::SupervisedLaunch;
use super::process::{NoticeReader, SupervisedProcess};
use super::program::{ShimProgram, Started};
use crate::blocking::unblock;

/// Starts a shim, has it start the service, and returns once the service runs.
///
/// The service then needs neither us nor the shim to go on. Its output goes to the log directory of the order.
///
/// # Errors
/// [`LaunchError`]: nothing runs, and the run directory is gone again, except for [`LaunchError::Unclear`].
///
/// # Cancellation
/// Dropping the future may leave a running service: [`adopt`](super::adopt()) its run directory, or remove it when
/// that says it has ended.
pub async fn launch(
    order: SupervisedLaunch,
    shim: &ShimProgram,
) -> Result<SupervisedProcess, LaunchError> {
    let run_dir = order.run_dir();
    let starter = shim.clone();
    let (started, output) = unblock(move || start(order, &starter)).await?;
    let Started {
        stream,
        shim: child,
    } = started;
    let broken = |source| LaunchError::Shim {
        program: shim.path(),
        source,
    };
    let mut notices = NoticeReader::new(stream).map_err(broken)?;
    loop {
        match notices.next().await {
            Ok(Some(Notice::Started { identity })) => {
                return Ok(SupervisedProcess::new(
                    run_dir,
                    shim.clone(),
                    identity,
                    notices,
                    child,
                    output,
                ));
            }
            Ok(Some(Notice::Failed { failure })) => {
                // Nothing ran. What cannot be removed now is found, ended, when run directories are next looked at.
                drop(unblock(move || remove_run_dir(&run_dir)).await);
                return Err(LaunchError::Refused {
                    kind: failure.kind,
                    message: failure.message,
                });
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    drop(child);
    // The shim is gone. Whether it came as far as starting the service, only its successor can tell.
    let adopted = adopt(&run_dir, shim).await;
    drop(output);
    match adopted {
        Ok(Adopted::Alive(process)) => Ok(process),
        Ok(Adopted::Ended(exit)) => Err(LaunchError::ShimDied {
            exit: Box::new(exit),
        }),
        Err(error) => Err(LaunchError::Unclear(error)),
    }
}

/// Starts the shim. With it comes a hold on the output, taken before anybody could write to it.
fn start(
    order: SupervisedLaunch,
    shim: &ShimProgram,
) -> Result<(Started, Vec<OwnedFd>), LaunchError> {
    let path = order.run_dir();
    let run = RunDir::create(&order.run_root, &order.instance_id).map_err(|source| {
        LaunchError::RunDirectory {
            path: path.clone(),
            source,
        }
    })?;
    let output = match order.log.mode {
        LogMode::Capture => run.make_output(),
        LogMode::File => Ok(Vec::new()),
    };
    let output = output.map_err(|source| {
        drop(remove_run_dir(&path));
        LaunchError::RunDirectory {
            path: path.clone(),
            source,
        }
    })?;
    let line = LaunchOrder::encode(order.into_spec());
    let started = shim.start(Task::Run, run).and_then(|mut started| {
        started.stream.write_all(&line)?;
        Ok(started)
    });
    let started = started.map_err(|source| {
        // Without a complete order the shim has started nothing.
        drop(remove_run_dir(&path));
        LaunchError::Shim {
            program: shim.path(),
            source,
        }
    })?;
    Ok((started, output))
}
