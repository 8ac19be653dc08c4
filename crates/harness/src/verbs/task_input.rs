//! What `run TASK` passes on: this program's standard input, to the task's.
//!
//! Owns: whether there is anything to pass on, and reading it. A terminal is left alone unless it is asked for.

use std::io::{IsTerminal, Read, Stdin};
use std::os::fd::AsFd;

use command_executor::blocking;
use harness_core::HarnessClient;
use harness_core::client::{ClientError, TaskInput};
use harness_core::protocol::OpenInputParams;
use harness_core::spec::{StackName, UnitName};

use crate::context::Context;
use crate::failure::Failure;

/// The way to the standard input of the task's next run, where there is something to pass on.
///
/// # Errors
/// When the daemon cannot be asked.
pub(super) async fn open(
    client: &HarnessClient,
    stack: &StackName,
    unit: &UnitName,
    is_asked_for: bool,
) -> Result<Option<TaskInput>, Failure> {
    let stdin = std::io::stdin();
    if is_nothing(&stdin) || stdin.is_terminal() && !is_asked_for {
        return Ok(None);
    }
    let params = OpenInputParams {
        stack: stack.clone(),
        unit: unit.clone(),
    };
    Ok(Some(client.open_input(&params).await?))
}

/// Passes all of it on. Never returns: the task may go on after it.
pub(super) async fn pass_on(input: Option<TaskInput>, task: &str, context: &Context) {
    if let Some(input) = &input
        && let Err(error) = give_all(input).await
    {
        let error = harness_core::error_chain(&error);
        context.tell(&format!("{task} gets no more of standard input: {error}"));
    }
    // The task is told that this was all; dropping it earlier would say that somebody went away.
    std::future::pending().await
}

#[derive(Debug, thiserror::Error)]
enum PassOnError {
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error(transparent)]
    Daemon(#[from] ClientError),
}

async fn give_all(input: &TaskInput) -> Result<(), PassOnError> {
    loop {
        let bytes = blocking::unblock(next).await;
        let bytes = bytes.map_err(PassOnError::Unreadable)?;
        let is_last = bytes.is_empty();
        if !input.give(bytes).await? || is_last {
            return Ok(());
        }
    }
}

/// The next bytes; none at the end.
fn next() -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; PIECE];
    let mut stdin = std::io::stdin().lock();
    let read = stdin.read(&mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Whether it is the null device, which has nothing for anybody.
fn is_nothing(stdin: &Stdin) -> bool {
    let (Ok(own), Ok(null)) = (
        rustix::fs::fstat(stdin.as_fd()),
        rustix::fs::stat("/dev/null"),
    ) else {
        return false;
    };
    (own.st_mode, own.st_rdev) == (null.st_mode, null.st_rdev)
}

/// What a pipe holds.
const PIECE: usize = 64 * 1024;
