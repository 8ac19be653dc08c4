//! Launches an attempt.

use service_shim::protocol::Notice;

use super::adopt::{Adopted, adopt};
use super::error::LaunchError;
use super::order::SupervisedLaunch;
use super::process::{NoticeReader, SupervisedProcess};
use super::program::Started;
use super::shore::Shore;

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
    shore: &Shore,
) -> Result<SupervisedProcess, LaunchError> {
    let run_dir = order.run_dir();
    let (started, output) = shore.start(order).await?;
    let Started {
        stream,
        shim: child,
    } = started;
    let broken = |source| LaunchError::Shim {
        program: shore.program(),
        source,
    };
    let mut notices = NoticeReader::new(stream).map_err(broken)?;
    loop {
        match notices.next().await {
            Ok(Some(Notice::Started { identity })) => {
                return Ok(SupervisedProcess::new(
                    run_dir,
                    shore.clone(),
                    identity,
                    notices,
                    child,
                    output,
                ));
            }
            Ok(Some(Notice::Failed { failure })) => {
                // Nothing ran. What cannot be removed now is found, ended, when run directories are next looked at.
                drop(shore.remove(&run_dir).await);
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
    let adopted = adopt(&run_dir, shore).await;
    drop(output);
    match adopted {
        Ok(Adopted::Alive(process)) => Ok(process),
        Ok(Adopted::Ended(exit)) => Err(LaunchError::ShimDied {
            exit: Box::new(exit),
        }),
        Err(error) => Err(LaunchError::Unclear(error)),
    }
}
