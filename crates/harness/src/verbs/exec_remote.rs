//! `exec` where a service runs on another host: a command there, by ssh.
//!
//! Owns: what of the surroundings the command gets there, and the connection for it. The daemon is not asked: it is run with the login that the
//! service's file names, else the list of hosts.

use command_executor::ssh::SshConnection;
use command_executor::{Command, OutputMode, SshLayer, StdinMode};
use harness_core::hosts::{HostBook, HostCall};

use super::exec::ExecArgs;
use super::exec_attend::Attended;
use super::exec_failure::ExecFailure;
use super::host::connection;
use super::host_failure::HostFailure;
use crate::context::Context;
use crate::failure::Failure;

/// Runs the command on this host, over a connection that is left again, unless somebody else had opened it.
///
/// # Errors
/// When the host is not in the list or cannot be reached; as the command ends.
pub(super) async fn run(
    args: ExecArgs,
    host: &HostCall,
    mark: String,
    terminals: (bool, bool),
    context: &Context,
) -> Result<(), Failure> {
    let dirs = context.dirs_here("exec")?;
    let book = HostBook::load(&dirs).map_err(HostFailure::from)?;
    let entry = book.called(host).map_err(HostFailure::from)?;
    let connection = connection(&dirs, &book, &entry).await?;
    let was_open = connection.is_open().await.map_err(HostFailure::from)?;
    connection.open().await.map_err(HostFailure::from)?;
    let ended = match attended(args, &connection, mark, terminals) {
        Ok(attended) => attended.run(context).await,
        Err(failure) => Err(failure),
    };
    if !was_open {
        connection.leave().await.map_err(HostFailure::from)?;
    }
    Ok(ended?)
}

/// The command as it is run there.
fn attended(
    args: ExecArgs,
    connection: &SshConnection,
    mark: String,
    (has_terminal, tty): (bool, bool),
) -> Result<Attended<SshLayer>, ExecFailure> {
    let mut layer = SshLayer::new(connection);
    if let Some(directory) = &args.workdir {
        layer = layer.with_working_dir(directory);
    }
    // As arguments, for stdin is the command's own. What is nobody else's business goes by a file, or by its stdin.
    let mut command = Command::new("env");
    command.arg(format!("HARNESS_EXEC={mark}"));
    for variable in args.env {
        let (name, value) = variable.value()?;
        let mut word = std::ffi::OsString::from(name);
        word.push("=");
        word.push(value);
        command.arg(word);
    }
    command
        .args(args.command)
        .stdin(StdinMode::Inherit)
        .stdout(OutputMode::Inherit)
        .stderr(OutputMode::Inherit);
    Ok(Attended {
        quiet: layer.clone(),
        layer: layer.with_tty(tty),
        mark,
        command,
        shares_group: has_terminal,
    })
}
