//! What a layer into a container makes of a command, read back by a stand-in for the engine's command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use command_executor::{
    Command, DockerLayer, ExecutionLayer, Executor, LayerError, LocalLayer, OutputMode, StdinMode,
    Target, quote,
};
use proptest::prelude::*;
use testkit::TempDir;

/// Understands `exec` as docker does, and runs the command here.
const STAND_IN: &str = r#"#!/bin/sh
[ "$1" = exec ] || exit 99
shift
while :; do
  case $1 in
    --env=*) name=${1#--env=}; printenv "$name" >/dev/null || unset "$name" ;;
    --workdir=*) cd "${1#--workdir=}" || exit 98 ;;
    --user=*) RAN_AS=${1#--user=}; export RAN_AS ;;
    --interactive) ;;
    *) break ;;
  esac
  shift
done
[ "$1" = "the container" ] || exit 97
shift
exec "$@"
"#;

fn stand_in() -> (TempDir, PathBuf) {
    let directory = testkit::temp_dir();
    let program = directory.path().join("docker");
    std::fs::write(&program, STAND_IN).expect("it can be written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("it can be made executable");
    (directory, program)
}

/// A place reached through a shell.
#[derive(Debug)]
struct Shell;

impl ExecutionLayer for Shell {
    fn apply(&self, command: Command) -> Result<Command, LayerError> {
        let mut outer = Command::wrapping("sh", &command);
        outer.arg("-c").arg(quote::command(&command)?);
        Ok(outer)
    }
}

fn word() -> impl Strategy<Value = String> {
    let special: Vec<char> = " \t\n\r'\"\\$`!#&*()[]{}|;<>?~^=%-:,@+/\u{1}\u{7f}äß€𝄞"
        .chars()
        .collect();
    let char = prop_oneof![
        prop::sample::select(special),
        any::<char>(),
        prop::char::range('a', 'z')
    ];
    let without_nul = |chars: Vec<char>| chars.into_iter().filter(|char| *char != '\0').collect();
    prop::collection::vec(char, 0..16).prop_map(without_nul)
}

fn terminated<'a>(words: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let with_end = |word: &String| [word.as_bytes(), b"\0"].concat();
    words.into_iter().flat_map(with_end).collect()
}

/// Prints two variables and its arguments.
fn printing(words: &[String], value: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "printf '%s\\0' \"$OWN\" \"$GIVEN\" \"$@\"", "sh"])
        .args(words)
        .env("OWN", value);
    command
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_and_values_arrive_as_they_are_through_each_nesting(
        words in prop::collection::vec(word(), 0..5), own in word(), given in word(),
    ) {
        let (_directory, program) = stand_in();
        let layer = || {
            let layer = DockerLayer::new("the container").with_cli([&program]);
            layer.with_env("GIVEN", &given).with_env("OWN", "gives way")
        };
        let expected = terminated([&own, &given].into_iter().chain(&words));
        let local = || Executor::local().with_layer(LocalLayer::new().with_env("OWN", "gives way, too"));
        let command = printing(&words, &own);
        let outputs = smol::block_on(async {
            let target = Target::Command;
            [
                local().with_layer(layer()).execute(&target, command.clone()).await,
                local().with_layer(Shell).with_layer(layer()).execute(&target, command.clone()).await,
                local().with_layer(layer()).with_layer(Shell).execute(&target, command).await,
            ]
        });
        for output in outputs {
            prop_assert_eq!(&output.expect("it runs").stdout, &expected);
        }
    }

    #[test]
    fn no_value_is_among_the_arguments(value in "[a-z]{12}", other in "[a-z]{12}") {
        let layer = DockerLayer::new("the container").with_env("GIVEN", &other);
        let outer = layer.apply(printing(&[], &value)).expect("it can be expressed");
        for argument in outer.get_args() {
            let argument = argument.to_string_lossy();
            prop_assert!(!argument.contains(&value) && !argument.contains(&other), "{}", argument);
        }
        let shown = format!("{layer:?} {outer:?}");
        prop_assert!(!shown.contains(&value) && !shown.contains(&other), "{}", shown);
    }
}

fn words(layer: &DockerLayer, command: Command) -> Vec<String> {
    let outer = layer.apply(command).expect("it can be expressed");
    std::iter::once(outer.get_program())
        .chain(outer.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

#[test]
fn every_option_has_its_word() {
    let layer = DockerLayer::new("db")
        .with_cli(["docker", "-H", "unix:///run/other.sock"])
        .with_user("70:70")
        .with_working_dir("/srv")
        .with_tty(true)
        .with_mark("m1")
        .with_env("A", "1");
    let mut command = Command::new("psql");
    command
        .arg("-c")
        .stdin(StdinMode::Inherit)
        .current_dir("data")
        .env_remove("PGHOST");
    assert_eq!(
        words(&layer, command),
        [
            "docker",
            "-H",
            "unix:///run/other.sock",
            "exec",
            "--interactive",
            "--tty",
            "--user=70:70",
            "--workdir=/srv/data",
            "--env=A",
            "--env=HARNESS_EXEC",
            "--env=PGHOST",
            "db",
            "psql",
            "-c"
        ]
    );
}

#[test]
fn a_removed_variable_is_no_variable_of_the_command_line_either() {
    let mut command = Command::new("env");
    command.env_remove("LANG");
    let layer = DockerLayer::new("db").with_env("LANG", "C");
    let outer = layer.apply(command).expect("it can be expressed");
    let own: Vec<_> = outer.get_envs().collect();
    assert_eq!(own, [(OsStr::new("LANG"), None)]);
}

#[test]
fn stdin_is_passed_on_as_the_command_says() {
    let plain = DockerLayer::new("db");
    let mut reader = Command::new("cat");
    assert_eq!(
        words(&plain, reader.clone()),
        ["docker", "exec", "db", "cat"]
    );
    let kept_open = plain.clone().with_interactive(true);
    let expected = ["docker", "exec", "--interactive", "db", "cat"];
    assert_eq!(words(&kept_open, reader.clone()), expected);
    reader.stdin(StdinMode::Channel);
    assert_eq!(words(&plain, reader.clone()), expected);
    refuses(&plain.with_interactive(false), reader, "shall not pass on");
}

#[track_caller]
fn refuses(layer: &DockerLayer, command: Command, because: &str) {
    let error = layer.apply(command).expect_err("it cannot be expressed");
    assert!(
        matches!(error, LayerError::Inexpressible { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains(because), "{error}");
    assert!(!error.to_string().contains("geheim"), "{error}");
}

#[test]
fn what_cannot_be_carried_is_refused_and_named_without_its_value() {
    let db = DockerLayer::new("db");
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = Command::new("ls");
        change(&mut command);
        command
    };
    let invalid = OsStr::from_bytes(b"geheim\xff");
    let carried = |name: &str| with(&|command| _ = command.env(name, "geheim"));
    for name in ["PATH", "HOME", "DOCKER_HOST", "LD_PRELOAD", "https_proxy"] {
        refuses(&db, carried(name), &format!("`{name}`"));
        refuses(
            &db,
            with(&|command| _ = command.env_remove(name)),
            &format!("`{name}`"),
        );
    }
    for name in ["", "A=B", "A*"] {
        refuses(&db, carried(name), "a variable named");
    }
    refuses(
        &db,
        with(&|command| _ = command.env("A", invalid)),
        "the value of `A`",
    );
    refuses(
        &db,
        with(&|command| _ = command.env("A", "geheim\0")),
        "the value of `A`",
    );
    refuses(
        &db,
        with(&|command| _ = command.arg(invalid)),
        "an argument",
    );
    refuses(
        &db,
        Command::new(OsString::from("a\0b")),
        "a program with a NUL byte",
    );
    refuses(
        &db,
        with(&|command| _ = command.env_clear()),
        "the container's own",
    );
    refuses(
        &db,
        with(&|command| _ = command.current_dir("here")),
        "relative directory `here`",
    );
    refuses(&db.clone().with_user(invalid), Command::new("ls"), "a user");
    let tty = db.clone().with_tty(true);
    refuses(
        &tty,
        with(&|command| _ = command.stdin(StdinMode::Channel)),
        "a channel",
    );
    refuses(
        &tty,
        with(&|command| _ = command.stderr(OutputMode::Null)),
        "elsewhere",
    );
    let podman = db.with_cli(["/usr/bin/podman"]);
    refuses(
        &podman,
        with(&|command| _ = command.env_remove("A")),
        "by podman",
    );
    refuses(
        &podman.with_cli([""; 0]),
        Command::new("ls"),
        "without a command line",
    );
    refuses(
        &DockerLayer::new("--privileged"),
        Command::new("ls"),
        "name can be none",
    );
}
