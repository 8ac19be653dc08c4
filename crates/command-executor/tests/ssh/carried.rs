//! What is carried: arguments, variables, directories, streams, exit codes.

use std::cell::Cell;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Instant;

use command_executor::event::ProcessEventType;
use command_executor::{
    Command, DockerLayer, ExecutionLayer, Executor, Exit, LayerError, LayeredLauncher,
    LocalLauncher, LocalLayer, ProcessHandle, StdinMode, Target,
};
use futures_lite::future::block_on;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use testkit::{run_everywhere, within};

use crate::common::{SOON, bytes, rest};
use crate::place::{Place, sh, through};

/// Words of any bytes but NUL, with those that mean something to a shell made likely.
fn word() -> impl Strategy<Value = OsString> {
    let special = prop::sample::select(
        b" \t\n\r'\"\\$`!#&*()[]{}|;<>?~^=%-:,@+/\x01\x7f\x80\xc3\xff".as_slice(),
    );
    let byte = prop_oneof![special, 1..=255_u8, b'a'..=b'z'];
    prop::collection::vec(byte, 0..24).prop_map(OsString::from_vec)
}

fn terminated(words: &[OsString]) -> Vec<u8> {
    let each = words.iter();
    each.flat_map(|word| [word.as_bytes(), b"\0"].concat())
        .collect()
}

#[test]
fn two_thousand_arguments_and_their_variables_arrive_in_every_shell() {
    let place = Place::shared();
    let begun = Instant::now();
    let carried = Cell::new(0);
    for user in ["root", "dash", "ash"] {
        let host = place.host("host1").with_user(user).expect("a user");
        let open = place.open(host);
        let config = ProptestConfig {
            cases: 35,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let words = prop::collection::vec(word(), 20);
        let tried = TestRunner::new(config).run(&(words, word()), |(words, value)| {
            let mut command = sh("printf '%s\\0' \"$VALUE\" \"$@\"");
            command.arg("sh").args(&words).env("VALUE", &value);
            let completed = open.run(command);
            carried.set(carried.get() + words.len());
            prop_assert_eq!(&completed.stderr, b"");
            prop_assert_eq!(
                completed.stdout,
                terminated(&[vec![value], words].concat()),
                "as {}",
                user
            );
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{user}: {error}"));
    }
    let carried = carried.get();
    assert!(carried >= 2000, "{carried}");
    eprintln!("{carried} arguments in {:?}", begun.elapsed());
}

#[test]
fn exit_codes_are_the_programs_own() {
    let place = Place::shared();
    for user in ["root", "dash", "ash"] {
        let open = place.open(place.host("host1").with_user(user).expect("a user"));
        for (script, code) in [
            ("exit 0", 0),
            ("exit 42", 42),
            ("exit 254", 254),
            ("kill -KILL $$", 137),
            ("kill -TERM $$", 143),
        ] {
            assert_eq!(
                open.run(sh(script)).exit,
                Exit::Code(code),
                "{user}: {script}"
            );
        }
        assert_eq!(
            open.run(Command::new("no-such-program")).exit,
            Exit::Code(127)
        );
        assert_eq!(open.run(Command::new("/etc")).exit, Exit::Code(126));
    }
}

#[test]
fn directories_and_removed_variables_are_that_hosts() {
    let place = Place::shared();
    let open = place.near();
    let mut command = sh("pwd; echo ${HOME-unset} $A $B; hostname");
    command
        .env_remove("HOME")
        .env("A", "own")
        .current_dir("etc");
    let layer = open.layer().with_working_dir("/").with_env("A", "layer");
    let executor = through(layer.with_env("B", "layer"));
    let completed = block_on(executor.execute(&Target::Command, command)).expect("it runs");
    assert_eq!(
        String::from_utf8_lossy(&completed.stdout),
        "/etc\nunset own layer\nhost1\n"
    );
}

#[test]
fn a_host_behind_another_is_reached_through_it_under_any_runtime() {
    run_everywhere(|| async {
        let place = Place::shared();
        let far = place.host("far1").with_jump(place.host("router"));
        let open = place.open(far);
        assert_eq!(open.sh("hostname"), "far1");
        let router = place.to(place.host("router"));
        router.close().await.expect("closed");
    });
}

#[test]
fn commands_share_one_connection_until_it_is_closed() {
    let place = Place::shared();
    let open = place.near();
    let begun = Instant::now();
    let first = open.sh("echo $SSH_CONNECTION");
    eprintln!("over the shared connection: {:?}", begun.elapsed());
    assert_eq!(open.sh("echo $SSH_CONNECTION"), first);
    assert!(block_on(open.0.is_open()).expect("asked"));
    block_on(open.0.open()).expect("it is open");
    assert_eq!(open.sh("echo $SSH_CONNECTION"), first);
    block_on(open.0.close()).expect("closed");
    assert!(!block_on(open.0.is_open()).expect("asked"));
    let begun = Instant::now();
    assert_ne!(open.sh("echo $SSH_CONNECTION"), first);
    eprintln!("with a login: {:?}", begun.elapsed());
    assert!(
        !block_on(open.0.is_open()).expect("asked"),
        "it was the command's own"
    );
}

#[test]
fn stdin_is_carried_byte_for_byte_behind_the_variables() {
    let place = Place::shared();
    let open = place.near();
    let mut command = sh("printf '%s|' \"$SECRET\"; cat");
    command.env("SECRET", "a\nb'\"").stdin(StdinMode::Channel);
    let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let sent = all.clone();
    let events = block_on(async {
        let executor = through(open.layer());
        let (events, handle) = executor
            .launch(&Target::Command, command)
            .await
            .expect("it runs");
        let stdin = handle.take_stdin().expect("a channel");
        let write = async {
            stdin.send(sent).await.expect("it reads");
            stdin.close();
        };
        let (events, ()) = futures::join!(rest(events), write);
        let exit = within(SOON, "the end", handle.wait()).await.expect("told");
        assert_eq!(exit, Exit::Code(0));
        events
    });
    let said = bytes(&events, ProcessEventType::Stdout);
    assert_eq!(said, [b"a\nb'\"|".as_slice(), &all].concat());
}

#[test]
fn no_value_stands_in_an_argument_here_or_there() {
    let place = Place::shared();
    let open = place.near();
    let mut command = sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; echo; env");
    command.env("PASSWORD", "hunter2-value");
    let outer = open.layer().apply(command.clone()).expect("carried");
    assert!(!format!("{outer:?}").contains("hunter2"), "{outer:?}");
    assert!(
        outer
            .get_args()
            .all(|word| !word.to_string_lossy().contains("hunter2"))
    );
    assert_eq!(outer.get_envs().len(), 0);
    let said = String::from_utf8_lossy(&open.run(command).stdout).into_owned();
    let (lines, environment) = said.split_once('\n').expect("two parts");
    assert!(
        lines.contains("harness_env=") && !lines.contains("hunter2"),
        "{lines}"
    );
    assert!(
        environment.contains("PASSWORD=hunter2-value"),
        "{environment}"
    );
    assert!(!environment.contains("harness_env"), "{environment}");
}

#[test]
fn layers_nest_in_reading_order() {
    let place = Place::shared();
    let open = place.near();
    // On the host stands a program in the place of an engine's command line, which tells what it was asked.
    let told = "#!/bin/sh\nprintf '%s;' \"$@\"; echo \"$PGPASSWORD\"\n";
    let mut write = sh("printf %s \"$1\" >/tmp/engine; chmod +x /tmp/engine");
    write.args(["sh", told]);
    open.run(write);
    let launcher = LayeredLauncher::new(LocalLauncher::new())
        .with_layer(LocalLayer::new().with_env("LOCAL", "here"))
        .with_layer(open.layer())
        .with_layer(
            DockerLayer::new("shop-db-1")
                .with_cli(["/tmp/engine"])
                .with_env("PGPASSWORD", "geheim"),
        );
    let mut command = Command::new("psql");
    command.args(["-c", "SELECT 'a b'"]);
    let completed = block_on(Executor::new(launcher).execute(&Target::Command, command));
    assert_eq!(
        String::from_utf8_lossy(&completed.expect("it runs").stdout),
        "exec;--env=PGPASSWORD;shop-db-1;psql;-c;SELECT 'a b';geheim\n"
    );
}

#[test]
fn what_cannot_be_carried_is_refused() {
    let place = Place::shared();
    let connection = place.to(place.host("host1"));
    let layer = || command_executor::SshLayer::new(&connection);
    let refused = |layer: command_executor::SshLayer, command: Command| {
        let error = layer.apply(command).expect_err("refused");
        assert!(
            matches!(
                error,
                LayerError::Inexpressible { .. } | LayerError::Unquotable(_)
            ),
            "{error:?}"
        );
    };
    let with = |change: &dyn Fn(&mut Command)| {
        let mut command = Command::new("true");
        change(&mut command);
        command
    };
    refused(layer(), with(&|command| _ = command.env_clear()));
    refused(layer(), with(&|command| _ = command.env("a.b", "x")));
    refused(layer(), with(&|command| _ = command.env("PPID", "1")));
    refused(layer(), with(&|command| _ = command.env("A", "x\0")));
    refused(layer(), with(&|command| _ = command.arg("x\0")));
    refused(
        layer().with_tty(true),
        with(&|command| _ = command.env("A", "x")),
    );
    refused(
        layer(),
        with(&|command| _ = command.env("A", "x").stdin(StdinMode::Inherit)),
    );
}
