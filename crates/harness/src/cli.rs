//! The arguments of the program.
//!
//! Owns: the global options and the list of verbs. A verb's own arguments stand in its file under [`crate::verbs`].

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::parser::ValueSource;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::render::ColorWish;
use crate::verbs::{
    audit, completions, config, daemon, deploy, down, events, exec, graph, host, images, import,
    logs, ls, net, package, registry, resolve, restart, run, signal, start, status, stop, up,
    validate, wait, why,
};
use crate::{compose_words, help};

/// Runs a stack of services wherever each belongs, from one YAML file.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
    #[command(flatten)]
    pub(crate) globals: Globals,
}

/// What every verb takes.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Stack file; several are laid over each other, `-` is standard input [env: HARNESS_FILE]
    #[arg(
        short = 'f',
        long = "file",
        short_alias = 'c',
        alias = "config",
        value_name = "FILE",
        global = true
    )]
    pub(crate) files: Vec<PathBuf>,
    /// Name of the stack, for one that the daemon knows or instead of the file's
    #[arg(
        short,
        long,
        value_name = "NAME",
        add = crate::complete::stacks(),
        global = true,
        env = "HARNESS_PROJECT",
        hide_env_values = true
    )]
    pub(crate) project: Option<String>,
    /// Environment file that stands in for `.env`; may be repeated, later ones win [env: COMPOSE_ENV_FILES]
    #[arg(
        long = "env-file",
        hide_short_help = true,
        value_name = "FILE",
        global = true
    )]
    pub(crate) env_files: Vec<PathBuf>,
    /// A daemon elsewhere, at which `daemon enroll` has enrolled
    #[arg(
        long,
        hide_short_help = true,
        value_name = "NAME",
        global = true,
        env = "HARNESS_CONTEXT",
        hide_env_values = true
    )]
    pub(crate) context: Option<String>,
    /// When to use colour
    #[arg(
        long,
        hide_short_help = true,
        value_name = "WHEN",
        global = true,
        env = "HARNESS_COLOR",
        hide_env_values = true
    )]
    pub(crate) color: Option<ColorWish>,
    /// How to show progress on standard error
    #[arg(
        long,
        hide_short_help = true,
        value_name = "HOW",
        global = true,
        env = "HARNESS_PROGRESS",
        hide_env_values = true,
        default_value = "auto",
        hide_default_value = true
    )]
    pub(crate) progress: ProgressWish,
    /// Say only what was asked for, and errors
    #[arg(short, long, global = true, hide_short_help = true, env = "HARNESS_QUIET", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) quiet: bool,
    /// Never ask
    #[arg(long, global = true, hide_short_help = true, env = "HARNESS_NO_INPUT", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) no_input: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true, hide_short_help = true, env = "HARNESS_YES", hide_env_values = true, value_parser = FalseyValueParser::new())]
    pub(crate) yes: bool,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressWish {
    /// As it fits: a live view on a terminal, lines elsewhere.
    #[default]
    Auto,
    /// A view that is drawn again and again.
    Tty,
    /// A line for every change.
    Plain,
    /// Nothing.
    Quiet,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Up(up::UpArgs),
    Start(start::StartArgs),
    Stop(stop::StopArgs),
    Restart(restart::RestartArgs),
    Down(down::DownArgs),
    Deploy(deploy::DeployArgs),
    Rollback(deploy::RollbackArgs),
    Build(images::BuildArgs),
    Pull(images::PullArgs),
    Run(run::RunArgs),
    Exec(exec::ExecArgs),
    Signal(signal::SignalArgs),
    Kill(signal::KillArgs),
    #[command(visible_alias = "ps")]
    Status(status::StatusArgs),
    Logs(logs::LogsArgs),
    /// Follow the output of services: `logs -f`
    #[command(after_help = logs::EXAMPLES)]
    Tail(logs::LogsArgs),
    Events(events::EventsArgs),
    Wait(wait::WaitArgs),
    Why(why::WhyArgs),
    Net(net::NetArgs),
    Resolve(resolve::ResolveArgs),
    /// As Compose has it: `resolve SVC --port PORT`
    #[command(hide = true)]
    Port(resolve::PortArgs),
    Registry(registry::RegistryArgs),
    Graph(graph::GraphArgs),
    Ls(ls::LsArgs),
    Validate(validate::ValidateArgs),
    Config(config::ConfigArgs),
    Import(import::ImportArgs),
    Audit(audit::AuditArgs),
    Daemon(daemon::DaemonArgs),
    Host(host::HostArgs),
    Package(package::PackageArgs),
    Completions(completions::CompletionsArgs),
}

impl Verb {
    /// Whether what it prints is for programs, so that errors are too.
    pub(crate) fn is_for_programs(&self) -> bool {
        match self {
            Self::Status(args) => args.is_json(),
            Self::Logs(args) | Self::Tail(args) => args.is_json(),
            Self::Events(args) => args.is_json(),
            Self::Net(args) => args.is_json(),
            Self::Resolve(args) => args.is_json(),
            Self::Registry(args) => args.is_json(),
            Self::Graph(args) => args.is_json(),
            Self::Ls(args) => args.is_json(),
            Self::Validate(args) => args.is_json(),
            Self::Audit(args) => args.is_json(),
            Self::Daemon(args) => args.is_json(),
            Self::Host(args) => args.is_json(),
            Self::Package(args) => args.is_json(),
            Self::Up(_)
            | Self::Run(_)
            | Self::Exec(_)
            | Self::Signal(_)
            | Self::Kill(_)
            | Self::Start(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Down(_)
            | Self::Deploy(_)
            | Self::Rollback(_)
            | Self::Build(_)
            | Self::Pull(_)
            | Self::Port(_)
            | Self::Wait(_)
            | Self::Why(_)
            | Self::Config(_)
            | Self::Import(_)
            | Self::Completions(_) => false,
        }
    }
}

/// The arguments of this process. Help and wrong usage end it here, the latter with exit code 2.
pub(crate) fn parse() -> Cli {
    let choice = match ColorWish::from_arguments(std::env::args_os()) {
        Some(ColorWish::Always) => ColorChoice::Always,
        Some(ColorWish::Never) => ColorChoice::Never,
        // What is left is read from the environment by the library in the same way as we do.
        Some(ColorWish::Auto) | None => ColorChoice::Auto,
    };
    let words: Vec<_> = std::env::args_os().collect();
    let matches = command().color(choice).try_get_matches_from(&words);
    let parsed = matches.and_then(|matches| of_matches(&matches));
    parsed.unwrap_or_else(|error| compose_words::exit(error, &words))
}

/// As Compose has it, `ps -q` shows ids, `ls -q` names, and `config -q` nothing; `HARNESS_QUIET` of the environment takes away no answer.
fn of_matches(matches: &clap::ArgMatches) -> Result<Cli, clap::Error> {
    let mut cli = Cli::from_arg_matches(matches)?;
    let is_typed = matches.value_source("quiet") == Some(ValueSource::CommandLine);
    if is_typed {
        match &mut cli.verb {
            Verb::Status(args) => args.show_ids(),
            Verb::Ls(args) => args.show_names(),
            Verb::Config(args) => args.only_check(),
            _ => {}
        }
    }
    Ok(cli)
}

/// The whole command line, laid out.
pub(crate) fn command() -> clap::Command {
    help::laid_out(Cli::command())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_contradict_nowhere() {
        command().debug_assert();
    }

    #[test]
    fn quiet_among_the_words_of_a_verb_means_what_it_means_in_compose() {
        for (line, word, expected) in [
            ("harness ps -q", "ids: true", true),
            ("harness -q status", "ids: true", true),
            ("harness ps", "ids: true", false),
            ("harness ls -q", "output: Name", true),
            ("harness ls", "output: Name", false),
            ("harness ls -q -o json", "output: Json", true),
            ("harness config -q", "only_check: true", true),
            ("harness config", "only_check: true", false),
        ] {
            let matches = command().try_get_matches_from(line.split(' '));
            let cli = of_matches(&matches.expect(line)).expect(line);
            let is_said = format!("{:?}", cli.verb).contains(word);
            assert_eq!(is_said, expected, "{line}");
        }
    }

    #[test]
    fn the_file_may_stand_before_and_behind_the_verb() {
        let files = |words: &[&str]| {
            Cli::try_parse_from(words)
                .map(|cli| cli.globals.files)
                .expect("good usage")
        };
        let expected = [PathBuf::from("x.yaml")];
        assert_eq!(files(&["harness", "-f", "x.yaml", "start"]), expected);
        assert_eq!(files(&["harness", "start", "-f", "x.yaml"]), expected);
        assert_eq!(files(&["harness", "-f", "x.yaml", "logs", "-f"]), expected);
        assert_eq!(
            files(&["harness", "logs", "-f", "--file", "x.yaml"]),
            expected
        );
        assert_eq!(
            files(&["harness", "events", "-c", "x.yaml", "-f"]),
            expected
        );
    }
}
