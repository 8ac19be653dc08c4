//! `completions`: what a shell needs to complete our verbs, options and names.

use clap::{Args, ValueEnum};

use crate::complete;
use crate::failure::Failure;
use crate::render::print_bytes;

/// Print completions for a shell
///
/// With them a shell completes verbs, options, and the names of services, tasks and stacks. It asks this program, so
/// they need not be printed again for another version.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    Powershell,
    Zsh,
}

const EXAMPLES: &str = "\
Examples:
  harness completions bash > ~/.local/share/bash-completion/completions/harness
  harness completions zsh > ~/.zfunc/_harness
  harness completions fish > ~/.config/fish/completions/harness.fish
  source <(harness completions bash)     for this shell only";

pub(crate) fn run(args: CompletionsArgs) -> Result<(), Failure> {
    let name = match args.shell {
        Shell::Bash => "bash",
        Shell::Elvish => "elvish",
        Shell::Fish => "fish",
        Shell::Powershell => "powershell",
        Shell::Zsh => "zsh",
    };
    let script = complete::registration(name).expect("the library knows these shells");
    print_bytes(&script)
}
