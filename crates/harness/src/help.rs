//! How help is laid out: what a verb does, how it is called, examples, and only then its options.
//!
//! Owns: the order of the parts, the groups of the verbs, and the list of exit codes. The words about a verb stand in its
//! file under [`crate::verbs`].

use clap::Command;
use clap::builder::styling::Styles;

/// The command line with every help laid out.
pub(crate) fn laid_out(command: Command) -> Command {
    let overview = overview(&command);
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let command = verbs.into_iter().fold(command, |all, verb| {
        all.mut_subcommand(verb, examples_first)
    });
    command.help_template(overview)
}

fn examples_first(command: Command) -> Command {
    let inner: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    inner
        .into_iter()
        .fold(command, |all, verb| {
            all.mut_subcommand(verb, examples_first)
        })
        .help_template("{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}")
}

/// The template of the program's own help.
fn overview(command: &Command) -> String {
    let styles = Styles::styled();
    let heading = |text: &str| {
        let style = styles.get_header();
        format!("{}{text}:{}", style.render(), style.render_reset())
    };
    let mut text = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}\n{EXAMPLES}\n",
        heading("Examples")
    );
    for (at, (title, _)) in GROUPS.iter().enumerate() {
        text += &format!("\n{}\n", heading(title));
        for verb in shown(command).filter(|verb| group(verb) == at) {
            text += &verb_line(verb, &styles);
        }
    }
    text += &format!(
        "\n{}\n{{options}}\n\n{}\n{EXIT_CODES}",
        heading("Options"),
        heading("Exit codes")
    );
    text
}

/// The verbs but those that are here for users of other programs.
fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    let verbs = command.get_subcommands();
    verbs.filter(|verb| !verb.is_hide_set())
}

/// The group of a verb; one that is in none is of the last.
fn group(verb: &Command) -> usize {
    let name = verb.get_name();
    let found = GROUPS.iter().position(|(_, verbs)| verbs.contains(&name));
    found.unwrap_or(GROUPS.len() - 1)
}

fn verb_line(verb: &Command, styles: &Styles) -> String {
    let about = verb
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let aliases: Vec<&str> = verb.get_visible_aliases().collect();
    let also = match aliases.as_slice() {
        [] => String::new(),
        several => format!(" [also: {}]", several.join(", ")),
    };
    let style = styles.get_literal();
    format!(
        "  {}{:<WIDTH$}{}{about}{also}\n",
        style.render(),
        verb.get_name(),
        style.render_reset()
    )
}

/// Wide enough for the longest verb.
const WIDTH: usize = 13;

/// What verbs are for. The order within a group is that of the list of verbs.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Run",
        &[
            "up", "start", "stop", "restart", "down", "deploy", "rollback", "build", "pull", "run",
            "exec", "wait", "signal", "kill",
        ],
    ),
    (
        "Look",
        &[
            "status", "logs", "tail", "events", "why", "net", "resolve", "registry", "graph", "ls",
        ],
    ),
    ("Stack file", &["validate", "config", "import"]),
    (
        "System",
        &["daemon", "host", "package", "audit", "completions"],
    ),
];

const EXAMPLES: &str =
    "  harness start --wait        start the stack of harness.yaml and wait until it is ready
  harness status              how it stands
  harness logs -f api         what `api` writes, as it writes it
  harness why api             why `api` is where it is
  harness stop                stop it, in reverse order";

const EXIT_CODES: &str =
    "    0  success                                   6  authentication or permission
    1  failed; a unit failed to start            8  waited for what runs but is unhealthy
    2  wrong usage                                  (start --wait), or never comes (wait)
    3  status --exit-code: not all is well      69  a target that is needed cannot be run here
    4  no such stack, service or task           70  a defect of this program
    5  no daemon                                78  the stack file is wrong
  124  a time limit was reached            130,143  interrupted";

#[cfg(test)]
mod tests {
    use clap::ColorChoice;

    use super::*;

    #[derive(Clone, Copy)]
    enum Length {
        Short,
        Long,
    }

    fn every_command(
        command: &Command,
        path: &str,
        length: Length,
        all: &mut Vec<(String, String)>,
    ) {
        let mut shown = command.clone().color(ColorChoice::Never).term_width(100);
        let text = match length {
            Length::Short => shown.render_help().to_string(),
            Length::Long => shown.render_long_help().to_string(),
        };
        all.push((path.to_owned(), text));
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            every_command(sub, &format!("{path} {}", sub.get_name()), length, all);
        }
    }

    fn all_help(length: Length) -> Vec<(String, String)> {
        let mut command = crate::cli::command();
        command.build();
        let mut all = Vec::new();
        every_command(&command, "harness", length, &mut all);
        all
    }

    #[test]
    fn every_help_has_examples_before_its_options_and_fits_a_hundred_columns() {
        for (path, help) in all_help(Length::Long) {
            let examples = help.find("Examples:");
            let options = help.find("Options:");
            assert!(examples.is_some(), "{path} has no examples");
            assert!(examples < options, "{path}: {help}");
            let long: Vec<_> = help
                .lines()
                .filter(|line| line.chars().count() > 100)
                .collect();
            assert!(long.is_empty(), "{path}: {long:?}");
        }
    }

    #[test]
    fn the_short_help_of_every_verb_fits_a_screen() {
        for (path, help) in all_help(Length::Short) {
            let most = if path == "harness" { 68 } else { 40 };
            assert!(help.lines().count() <= most, "{path}:\n{help}");
            assert!(!help.contains("--no-input"), "{path}:\n{help}");
        }
    }

    #[test]
    fn every_verb_has_its_line_in_the_overview() {
        let help = &all_help(Length::Short)[0].1;
        for verb in shown(&crate::cli::command()) {
            let line = format!("\n  {:<WIDTH$}", verb.get_name());
            assert!(help.contains(&line), "{}: {help}", verb.get_name());
        }
    }

    #[test]
    fn help_says() {
        for (path, help) in all_help(Length::Long) {
            // The global options are the same everywhere: shown once, with the program's own help.
            let own = match path.as_str() {
                "harness" => help.as_str(),
                _ => help.split("Global options:").next().unwrap_or_default(),
            };
            insta::assert_snapshot!(format!("help_{}", path.replace(' ', "_")), own.trim_end());
        }
    }
}
