//! What users of Compose type and this program has no such word for: what to use instead, in one line.
//!
//! Owns: the table. Words that mean something here are aliases where they are defined, beside the verb.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::render::note;

/// A verb, or a verb and an option of it, and what to use instead.
const WORDS: &[(&str, &str)] = &[
    (
        "attach",
        "`harness logs -f SVC` shows what it writes; `harness exec SVC -- CMD` gets inside",
    ),
    (
        "commit",
        "`docker commit`, with the container's name from `harness ps`",
    ),
    ("convert", "`harness config render`"),
    (
        "cp",
        "`harness exec SVC -- cat PATH > FILE`, or `docker cp` with the container's name",
    ),
    (
        "create",
        "`harness pull` and `harness build` bring the images; `harness start` does the rest",
    ),
    ("export", "`docker export`, with the container's name"),
    ("images", "`harness config --images` lists them"),
    (
        "pause",
        "`harness signal SVC STOP` halts its main process, and `CONT` lets it go on",
    ),
    ("unpause", "`harness signal SVC CONT`"),
    ("publish", "Compose's own command line does that"),
    (
        "push",
        "`docker push`, with the names that `harness config --images` lists",
    ),
    (
        "rm",
        "`harness down` removes the containers of the whole stack; after `harness stop SVC`, `docker rm` removes one",
    ),
    (
        "scale",
        "a service has one instance: write a second service",
    ),
    ("stats", "`harness status -o wide --watch`"),
    (
        "top",
        "`harness status -o wide` shows memory and processor time",
    ),
    ("version", "`harness --version`"),
    ("volumes", "`harness config --volumes` lists them"),
    (
        "watch",
        "`harness restart SVC` after a change; mount the sources",
    ),
    ("build --push", "`docker push`, after `harness build`"),
    ("config --format", "`harness config render` prints YAML"),
    (
        "down --rmi",
        "`docker image rm`, with the names that `harness config --images` lists",
    ),
    (
        "exec --detach",
        "`harness exec SVC -- sh -c 'CMD &'`, or make it a task: `harness run TASK`",
    ),
    (
        "exec -d",
        "`harness exec SVC -- sh -c 'CMD &'`, or make it a task: `harness run TASK`",
    ),
    ("exec --index", "a service has one instance"),
    (
        "exec --privileged",
        "`privileged: true` in the service, or `docker exec --privileged`",
    ),
    ("logs --no-color", "`--color never`"),
    ("ps --services", "`harness config --services`"),
    ("ps --format", "`harness ps -o json`"),
    (
        "restart --no-deps",
        "leave it out: what needs it is restarted only where its dependency says so",
    ),
    (
        "run --build",
        "`harness build UNIT` first: an image that is there is not built again",
    ),
    ("run --detach", DETACHED),
    (
        "run --name",
        "leave it out: `harness status` names what runs so",
    ),
    (
        "run --publish",
        "leave it out: a one-off run is reached by nobody; `ports` are those of the service itself",
    ),
    ("run -d", DETACHED),
    (
        "run --service-ports",
        "leave it out: a one-off run publishes nothing; `harness start SVC` does",
    ),
    (
        "run --use-aliases",
        "leave it out: the service itself has its names",
    ),
    ("run -v", "`volumes` in the service or task"),
    ("run --volume", "`volumes` in the service or task"),
    (
        "up --abort-on-container-exit",
        "`up --exit-code-from SVC` ends with SVC, `up --abort-on-failure` with the first that fails",
    ),
    ("up --always-recreate-deps", ANEW),
    ("up --attach", "`harness start`, then `harness logs -f SVC`"),
    ("up --force-recreate", ANEW),
    (
        "up --no-build",
        "leave it out: what is there is not built again",
    ),
    (
        "up --no-log-prefix",
        "`harness start`, then `harness logs -f --no-prefix`",
    ),
    (
        "up --no-recreate",
        "leave it out, and change no definition: what is as before is left alone",
    ),
    ("up --no-start", "`harness pull` and `harness build`"),
    (
        "up --pull",
        "`harness pull`, or `pull: always` in the service",
    ),
    ("up --quiet-pull", "`-q`"),
    ("up --renew-anon-volumes", RENEW),
    ("up -V", RENEW),
    (
        "up --scale",
        "a service has one instance: write a second service",
    ),
    ("up --timeout", "`stop: {grace: 5s}` in the service"),
];

const DETACHED: &str =
    "a one-off run is at a terminal: make it a task, `harness start TASK` runs it by itself";
const ANEW: &str = "a container is kept until its definition or image changes; `harness down`, then `harness up -d` makes each anew";
const RENEW: &str =
    "`harness down` removes volumes without a name, and the next `harness up -d` makes new ones";

const PROFILE: &str = "it stands behind `up`, `start`, `run`, `build` or `pull`: `harness up --profile NAME`; COMPOSE_PROFILES=NAME holds for every verb";

const DIRECTORY: &str = "paths and `.env` are those of the first file's directory: `harness -f DIR/compose.yaml`, or `cd DIR` before; `--env-file FILE` stands in for `.env`";

/// Ends the program as the command line was wrong, with a hint where it is one of Compose's.
pub(crate) fn exit(mut error: clap::Error, words: &[OsString]) -> ! {
    let instead = instead(&error, words);
    if instead.is_some() {
        without_guess(&mut error);
    }
    let _shown = error.print();
    if let Some(instead) = instead {
        note(&format!("\n  hint: as in Compose: {instead}\n"));
    }
    std::process::exit(error.exit_code())
}

/// What merely looks like it would mislead beside what does the same.
fn without_guess(error: &mut clap::Error) {
    for guess in [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
        ContextKind::SuggestedCommand,
        ContextKind::Suggested,
    ] {
        error.remove(guess);
    }
}

/// What to use instead of what is not known.
fn instead(error: &clap::Error, words: &[OsString]) -> Option<&'static str> {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(said)) => Some(said.clone()),
        _ => None,
    };
    let asked = match error.kind() {
        ErrorKind::InvalidSubcommand => said(ContextKind::InvalidSubcommand)?,
        ErrorKind::UnknownArgument => {
            let option = said(ContextKind::InvalidArg)?;
            let option = option.split(['=', ' ']).next()?;
            let verbs = words.iter().skip(1).filter_map(|word| word.to_str());
            let mut verbs = verbs.filter(|word| find(&format!("{word} {option}")).is_some());
            match verbs.next() {
                Some(verb) => format!("{verb} {option}"),
                None => return everywhere(option),
            }
        }
        _ => return None,
    };
    find(&asked)
}

/// What to use instead of an option that Compose has before every verb.
fn everywhere(option: &str) -> Option<&'static str> {
    match option {
        "--profile" => Some(PROFILE),
        "--project-directory" => Some(DIRECTORY),
        _ => None,
    }
}

fn find(asked: &str) -> Option<&'static str> {
    let mut words = WORDS.iter();
    words
        .find(|(word, _)| *word == asked)
        .map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;
    use crate::cli::{Cli, command};

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let words = std::iter::once("harness").chain(line.split(' '));
        let matches = command().try_get_matches_from(words)?;
        Cli::from_arg_matches(&matches)
    }

    #[test]
    fn every_word_of_compose_that_is_not_ours_has_its_hint() {
        for (word, expected) in WORDS {
            // Some take a value, some a service.
            let lines = [word.to_string(), format!("{word} x"), format!("{word} x y")];
            for line in lines {
                let words: Vec<OsString> = std::iter::once("harness")
                    .chain(line.split(' '))
                    .map(OsString::from)
                    .collect();
                let error = parse(&line).expect_err(&line);
                assert_eq!(instead(&error, &words), Some(*expected), "{line}");
            }
        }
    }

    #[test]
    fn no_guess_stands_beside_a_hint() {
        for line in [
            "top",
            "pause",
            "rm web",
            "up --force-recreate",
            "--profile debug up",
            "--project-directory /srv up",
            "ps --services",
        ] {
            let words = std::iter::once("harness").chain(line.split(' '));
            let words: Vec<OsString> = words.map(OsString::from).collect();
            let mut error = parse(line).expect_err(line);
            assert!(instead(&error, &words).is_some(), "{line}");
            without_guess(&mut error);
            let said = error.to_string();
            assert!(said.contains("error:"), "{line}: {said}");
            assert!(!said.contains("tip:"), "{line}: {said}");
        }
        let slip = parse("statsu").expect_err("no verb");
        assert!(slip.to_string().contains("'status'"), "a slip is guessed");
    }

    #[test]
    fn no_hint_promises_a_new_container_where_it_is_kept() {
        for word in ["rm", "up --force-recreate", "up --always-recreate-deps"] {
            let hint = find(word).expect(word);
            assert!(hint.contains("`harness down`"), "{word}: {hint}");
            assert!(!hint.contains("`harness restart`"), "{word}: {hint}");
        }
        for word in ["up -V", "up --renew-anon-volumes"] {
            let hint = find(word).expect(word);
            assert!(!hint.contains("every start"), "{word}: {hint}");
        }
    }

    #[test]
    fn what_means_the_same_here_works() {
        for (typed, ours) in [
            ("down -v", "down --volumes"),
            ("down -t 5", "down --timeout 5s"),
            ("stop -t 5 web", "stop --timeout 5s web"),
            ("up -d", "up --detach"),
            ("logs --no-log-prefix", "logs --no-prefix"),
            ("logs -f --tail 5 web", "logs --follow -n 5 web"),
            ("logs -t", "logs --timestamps"),
            ("ps", "status"),
            ("exec -T web ls", "exec --no-tty web ls"),
            (
                "exec -it web sh -c x",
                "exec --interactive --tty web sh -c x",
            ),
            ("kill -s HUP web", "kill --signal HUP web"),
        ] {
            let parsed = |line| format!("{:?}", parse(line).expect(line));
            assert_eq!(parsed(typed), parsed(ours), "{typed}");
        }
        for typed in [
            "ps -a",
            "ps --all",
            "up --build",
            "start --build web",
            "up --wait --wait-timeout 60",
            "up -d --wait-timeout 60",
            "down --remove-orphans",
            "run --rm migrate",
            "run --rm -T migrate",
            "run migrate --no-deps",
            "run --rm web sh -c x",
            "run -it --rm web sh",
            "run --rm -e A=b -e C -u root -w /srv --entrypoint env web -x",
            "run --no-deps web -- sh --rm",
            "config",
            "config --services",
            "config -q",
            "--env-file prod.env up",
            "up --env-file a.env --env-file b.env",
            "logs --tail all",
            "port web 80",
            "port web 80/tcp",
            "build",
            "build --no-cache --pull --build-arg A=b web",
            "pull web",
        ] {
            parse(typed).expect(typed);
        }
    }
}
