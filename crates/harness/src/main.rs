//! `harness`: the command line. Arguments in, one request or a few to the daemon, text or JSON out.
//!
//! Owns: nothing but the order in which things happen. What a verb does stands in [`verbs`], what is shown in [`render`],
//! what goes wrong in [`failure`]. Decides nothing about services: that is the daemon's.

mod cli;
mod complete;
mod compose_words;
mod context;
mod crash;
mod failure;
mod follow;
mod help;
mod hints;
mod interrupt;
mod outcome;
mod package_host;
mod render;
mod secrets;
mod select;
mod time;
mod units;
mod usage;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: a lone binary is its own shim, which must begin before any thread does.
    package_host::run_if_asked(Some(service_shim::EMBEDDED_FLAG));
    service_shim::run_if_asked();
    complete::answer_if_asked();
    crash::guard(|| {
        let cli = cli::parse();
        let context = context::Context::new(cli.globals);
        let outcome = smol::block_on(verbs::dispatch(cli.verb, &context));
        failure::exit_code(&context, outcome)
    })
}
