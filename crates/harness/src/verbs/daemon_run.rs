//! `daemon run`: this process becomes the daemon.
//!
//! Owns: what signals mean to it. The daemon itself is harness-core's.

use std::io::IsTerminal;

use clap::Args;
use clap::builder::FalseyValueParser;
use futures_lite::future;
use harness_core::daemon::Listen;
use harness_core::{BaseDaemon, DaemonHandle};
use rustix::fs::Mode;
use tracing_subscriber::EnvFilter;

use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt::{Interrupt, Interrupts};
use crate::render::{note, print};

/// Be the daemon, in the foreground
///
/// The first SIGTERM or Ctrl-C stops every stack and then the daemon, the second kills what is left of the stacks, the
/// third leaves it behind for the next daemon. What the daemon says is chosen by HARNESS_LOG.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RunArgs {
    /// Where to listen; port 0 is any free one [default: 127.0.0.1:9443]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "HARNESS_LISTEN",
        hide_env_values = true
    )]
    listen: Option<Listen>,
    /// Listen where other machines can reach it; clients need a certificate in any case
    #[arg(long, env = "HARNESS_ALLOW_REMOTE", hide_env_values = true, value_parser = FalseyValueParser::new())]
    allow_remote: bool,
    /// How much the logs of all services together hold, such as 2GiB [default: no cap]
    #[arg(long, value_name = "SIZE", env = "HARNESS_LOG_TOTAL", hide_env_values = true, value_parser = log_total)]
    log_total: Option<u64>,
    /// Leave the session and terminal
    #[arg(long, hide = true)]
    detached: bool,
}

const EXAMPLES: &str = "\
Examples:
  harness daemon run
  HARNESS_LOG=debug harness daemon run --listen 127.0.0.1:0";

pub(super) async fn serve(args: RunArgs, context: &Context) -> Result<(), Failure> {
    let dirs = context.dirs_here("daemon run")?;
    log_to_stderr(args.detached)?;
    // What this process makes is its user's alone, also where a library makes it and says nothing. Services get a mask of
    // their own from their shims.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // Each service costs three descriptors, each client one.
    command_executor::raise_open_files();
    // Before the services are taken over: from here on a signal is an order to end, in order.
    let mut interrupts = Interrupts::new().map_err(Failure::io("listen to signals"))?;
    let daemon = BaseDaemon::builder()
        .dirs(dirs)
        .listen(args.listen.unwrap_or_default())
        .allow_remote(args.allow_remote)
        .detached(args.detached)
        .log_total(args.log_total)
        .program("harness", env!("CARGO_PKG_VERSION"))
        .program(PROGRAM, env!("CARGO_PKG_VERSION"))
        .build()
        .await?;
    if !args.detached {
        print(&format!("listening on {}\n", daemon.listen()))?;
    }
    let handle = daemon.handle();
    let running = async { daemon.run().await.map_err(Failure::from) };
    let ending = async { Err(obey(&mut interrupts, &handle, args.detached).await) };
    future::or(running, ending).await
}

fn log_total(text: &str) -> Result<u64, String> {
    match harness_config::parse_size(text)? {
        bytes if bytes < LEAST_LOG_TOTAL => Err("expected at least 1 MiB".to_owned()),
        bytes => Ok(bytes),
    }
}

/// Follows signals, each more urgent than the one before. Returns when the daemon is to be left as it is.
async fn obey(interrupts: &mut Interrupts, handle: &DaemonHandle, is_detached: bool) -> Failure {
    let say = |text: &str| {
        if !is_detached {
            note(text);
        }
    };
    interrupts.next().await;
    tracing::info!("asked to end by a signal");
    say("stopping every stack; once more kills what is left\n");
    let ended = async {
        handle.shutdown(false).await;
        // The end itself is `BaseDaemon::run` returning.
        future::pending::<Interrupt>().await
    };
    let insist = async {
        interrupts.next().await;
        tracing::warn!("asked to end once more: killing");
        say("killing what is left; once more leaves it behind\n");
        let killed = async {
            handle.hurry().await;
            future::pending::<Interrupt>().await
        };
        future::or(async { interrupts.next().await }, killed).await
    };
    let by = future::or(ended, insist).await;
    tracing::warn!("asked to end for the third time: leaving what runs");
    Failure::Interrupted {
        by,
        meanwhile: "left what still runs to the next daemon".to_owned(),
    }
}

/// Sends what the libraries trace to standard error, which a detached daemon has its log behind.
fn log_to_stderr(is_detached: bool) -> Result<(), Failure> {
    let text = std::env::var("HARNESS_LOG").unwrap_or_default();
    let text = if text.is_empty() {
        "info".to_owned()
    } else {
        text
    };
    let filter = EnvFilter::try_new(&text).map_err(|source| Failure::LogFilter { text, source })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(!is_detached && std::io::stderr().is_terminal())
        .init();
    Ok(())
}

/// As in the stack file.
const LEAST_LOG_TOTAL: u64 = 1 << 20;
/// What the daemon calls itself.
pub(super) const PROGRAM: &str = "harness";
