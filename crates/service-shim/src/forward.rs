//! A program that carries TCP connections from one address of this machine to another, so that containers reach what
//! listens on loopback only.
//!
//! Owns: what a call means, what is said before serving, and the exit codes: 64 called wrongly, 71 the system gives no
//! means to serve, 73 the address cannot be listened on. Never listens on more than the one address that it was
//! given, and never looks at what it carries. Nothing needs an orderly end: a signal ends it, and its connections.
//!
//! Start reading at [`server`] for the loop, at [`flow`] for how bytes move.

mod bind;
mod flow;
mod link;
mod order;
mod pool;
mod ready;
mod server;
mod side;

use std::convert::Infallible;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::io;

use bind::BindError;
use order::{Order, OrderError};
use server::Server;

/// Why nothing is forwarded.
#[derive(Debug, thiserror::Error)]
enum ForwardError {
    /// It was called wrongly.
    #[error(transparent)]
    Order(#[from] OrderError),
    /// The address is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The kernel gives no pipe or no poll set, or takes it back.
    #[error("cannot forward")]
    System(#[source] io::Error),
}

/// Forwards until the process is ended; returns an exit code only when that is not possible, and has said why.
///
/// `args` are the two addresses. `notify` is where it reports that it listens (`NOTIFY_SOCKET`).
pub(crate) fn main(args: &[OsString], notify: Option<&OsStr>) -> i32 {
    let error = match forward(args, notify) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    eprintln!("{}", chain(&error));
    match error {
        ForwardError::Order(_) => EXIT_USAGE,
        ForwardError::System(_) => EXIT_SYSTEM,
        ForwardError::Bind(_) => EXIT_BIND,
    }
}

fn forward(args: &[OsString], notify: Option<&OsStr>) -> Result<Infallible, ForwardError> {
    let order = Order::parse(args)?;
    let listener = bind::listen(order.listen)?;
    let mut server = Server::new(listener, order.to).map_err(ForwardError::System)?;
    if let Some(address) = notify
        && let Err(error) = ready::say(address)
    {
        // It serves all the same: whoever waits for the word will say that it did not come.
        eprintln!("cannot report readiness: {error}");
    }
    server.serve().map_err(ForwardError::System)
}

/// The error and what caused it, in one line.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

const EXIT_USAGE: i32 = 64;
const EXIT_SYSTEM: i32 = 71;
const EXIT_BIND: i32 = 73;
