//! From a verb to what does it.

use super::{
    audit, completions, config, daemon, deploy, down, events, exec, graph, host, images, import,
    logs, ls, net, package, registry, resolve, restart, run, signal, start, status, stop, up,
    validate, wait, why,
};
use crate::cli::Verb;
use crate::context::Context;
use crate::failure::Failure;

/// Does what was asked.
///
/// # Errors
/// [`Failure`], which has the exit code.
pub(crate) async fn dispatch(verb: Verb, context: &Context) -> Result<(), Failure> {
    context.set_for_programs(verb.is_for_programs());
    match verb {
        Verb::Up(args) => up::run(args, context).await,
        Verb::Start(args) => start::run(args, context).await,
        Verb::Stop(args) => stop::run(args, context).await,
        Verb::Restart(args) => restart::run(args, context).await,
        Verb::Build(args) => images::build(args, context).await,
        Verb::Pull(args) => images::pull(args, context).await,
        Verb::Port(args) => resolve::run(args.into(), context).await,
        Verb::Down(args) => down::run(args, context).await,
        Verb::Run(args) => run::run(args, context).await,
        Verb::Exec(args) => exec::run(args, context).await,
        Verb::Signal(args) => signal::run(args, context).await,
        Verb::Kill(args) => signal::kill(args, context).await,
        Verb::Status(args) => status::run(args, context).await,
        Verb::Logs(args) => logs::run(args, context).await,
        Verb::Tail(args) => logs::run(args.followed(), context).await,
        Verb::Events(args) => events::run(args, context).await,
        Verb::Wait(args) => wait::run(args, context).await,
        Verb::Why(args) => why::run(args, context).await,
        Verb::Net(args) => net::run(args, context).await,
        Verb::Resolve(args) => resolve::run(args, context).await,
        Verb::Registry(args) => registry::run(args, context).await,
        Verb::Graph(args) => graph::run(args, context).await,
        Verb::Host(args) => host::run(args, context).await,
        Verb::Deploy(args) => deploy::deploy(args, context).await,
        Verb::Rollback(args) => deploy::rollback(args, context).await,
        Verb::Package(args) => package::run(args, context).await,
        Verb::Ls(args) => ls::run(args, context).await,
        Verb::Validate(args) => validate::run(args, context).await,
        Verb::Config(args) => config::run(args, context).await,
        Verb::Import(args) => import::run(args, context),
        Verb::Audit(args) => audit::run(args, context).await,
        Verb::Daemon(args) => daemon::run(args, context).await,
        Verb::Completions(args) => completions::run(args),
    }
}
