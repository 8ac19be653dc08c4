//! Commands in a real container, of the image `harness-test/busybox` (see docker-test-env).
//!
//! `cargo nextest run -p command-executor --features docker-tests`

#![cfg(feature = "docker-tests")]

mod common;

use std::process::{self, Command as Native};
use std::sync::atomic::{AtomicU32, Ordering};

use command_executor::event::ProcessEventType;
use command_executor::{
    Command, Completed, DockerLayer, ExecutionLayer, Executor, Exit, LayerError, LocalLayer,
    OutputMode, ProcessHandle, Signal, StdinMode, Target, quote,
};
use common::{SOON, bytes, rest};
use futures_lite::future;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use testkit::{Terminal, eventually_blocking, within};

/// Runs until it is dropped.
struct Container(String);

impl Container {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("layer-test-{}-{number}", process::id());
        let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
        docker(&[
            "run",
            "--detach",
            "--rm",
            "--pull=never",
            "--init",
            "--env=KEPT=by the container",
            "--env=GONE=by the command",
            "--name",
            &name,
            "--label",
            &format!("harness-test.run={run}"),
            "harness-test/busybox",
            "sleep",
            "3600",
        ]);
        Self(name)
    }

    fn layer(&self) -> DockerLayer {
        DockerLayer::new(&self.0)
    }

    /// Whether a process with this in its command line runs inside.
    fn runs(&self, text: &str) -> bool {
        docker(&["exec", &self.0, "ps", "-o", "args"]).contains(text)
    }

    #[track_caller]
    fn until_runs(&self, text: &str, runs: bool) {
        let what = format!("`{text}` runs: {runs}");
        eventually_blocking(SOON, &what, || self.runs(text) == runs);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = Native::new("docker");
        let removed = remove.args(["rm", "--force", &self.0]).output();
        assert!(removed.is_ok_and(|output| output.status.success()) || std::thread::panicking());
    }
}

#[track_caller]
fn docker(arguments: &[&str]) -> String {
    let output = Native::new("docker").args(arguments).output();
    let output = output.expect("docker is installed");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn run(layer: DockerLayer, command: Command) -> Completed {
    let executor = Executor::local().with_layer(layer);
    let ran = executor.execute(&Target::Command, command);
    future::block_on(within(SOON, "its end", ran)).expect("it runs")
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    command
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[test]
fn the_exit_code_and_both_outputs_are_the_programs_own() {
    let container = Container::new();
    for code in [0, 1, 42, 255] {
        let ended = run(
            container.layer(),
            shell(&format!("echo out; echo err >&2; exit {code}")),
        );
        assert_eq!(ended.exit, Exit::Code(code));
        assert_eq!(
            (text(&ended.stdout), text(&ended.stderr)),
            ("out\n".into(), "err\n".into())
        );
    }
    let killed = run(container.layer(), shell("kill -9 $$"));
    assert_eq!(killed.exit, Exit::Code(137), "as a shell would say it");
    let missing = run(container.layer(), Command::new("no-such-program"));
    assert!(matches!(missing.exit, Exit::Code(126 | 127)), "{missing:?}");
    let said = text(&[missing.stdout, missing.stderr].concat());
    assert!(said.contains("no-such-program"), "{said}");
    let nowhere = run(DockerLayer::new("layer-test-no-such"), Command::new("true"));
    assert_eq!(nowhere.exit, Exit::Code(1));
    assert!(
        text(&nowhere.stderr).contains("No such container"),
        "{nowhere:?}"
    );
}

#[test]
fn user_directory_and_environment_are_those_of_the_command() {
    let container = Container::new();
    let mut command = shell("id -u; pwd; echo $OWN, $MORE, $KEPT, ${GONE-unset}");
    command
        .current_dir("../etc")
        .env("OWN", "a 'b'\n$c")
        .env_remove("GONE");
    let layer = container
        .layer()
        .with_user("65534")
        .with_working_dir("/tmp");
    let ended = run(
        layer.with_env("MORE", "ä").with_env("OWN", "gives way"),
        command,
    );
    let expected = "65534\n/etc\na 'b' $c, ä, by the container, unset\n";
    assert_eq!(text(&ended.stdout), expected, "{ended:?}");
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

#[test]
fn words_and_values_arrive_as_they_are_through_each_nesting() {
    let container = Container::new();
    let config = ProptestConfig {
        cases: 12,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let words = prop::collection::vec("[^\\x00]{0,12}", 1..5);
    let through = |shell: bool, command: Command| {
        let outer = Executor::local().with_layer(LocalLayer::new().with_env("OWN", "gives way"));
        future::block_on(async {
            let target = Target::Command;
            if shell {
                let all = outer.with_layer(Shell).with_layer(container.layer());
                all.execute(&target, command).await
            } else {
                outer
                    .with_layer(container.layer())
                    .execute(&target, command)
                    .await
            }
        })
    };
    let outcome = TestRunner::new(config).run(&words, |words| {
        let mut command = shell("printf '%s\\0' \"$OWN\" \"$@\"");
        command.arg("sh").args(&words[1..]).env("OWN", &words[0]);
        let expected: Vec<u8> = words
            .iter()
            .flat_map(|word| [word.as_bytes(), b"\0"].concat())
            .collect();
        for shell in [false, true] {
            let ended = through(shell, command.clone()).expect("it runs");
            prop_assert_eq!(&ended.stdout, &expected, "{:?}", ended);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn stdin_arrives_byte_for_byte_and_ends() {
    let container = Container::new();
    let sent: Vec<u8> = (0..300_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let mut command = Command::new("cat");
    command.stdin(StdinMode::Channel);
    let received = future::block_on(within(SOON, "what was sent", async {
        let executor = Executor::local().with_layer(container.layer());
        let (events, handle) = executor
            .launch(&Target::Command, command)
            .await
            .expect("it runs");
        let stdin = handle.take_stdin().expect("it has one");
        let send = async {
            for piece in sent.chunks(10_000) {
                stdin.send(piece.to_vec()).await.expect("it is read");
            }
            drop(stdin);
        };
        let (events, ()) = future::zip(rest(events), send).await;
        assert_eq!(handle.wait().await.expect("it is watched"), Exit::Code(0));
        bytes(&events, ProcessEventType::Stdout)
    }));
    assert!(
        received == sent,
        "{} of {} bytes",
        received.len(),
        sent.len()
    );
}

#[test]
fn without_stdin_there_is_an_end_at_once() {
    let container = Container::new();
    let ended = run(container.layer(), shell("cat; echo over"));
    assert_eq!(text(&ended.stdout), "over\n");
}

/// What engines do, and why there are marks: nothing tells the program that nobody is there any more.
#[test]
fn the_end_of_the_command_line_leaves_the_program() {
    let container = Container::new();
    future::block_on(async {
        let executor = Executor::local().with_layer(container.layer());
        let launched = executor.launch(&Target::Command, shell("echo up; exec sleep 1111"));
        let (mut events, handle) = launched.await.expect("it runs");
        assert_eq!(
            common::next(&mut events).await.event_type,
            ProcessEventType::Started
        );
        assert_eq!(common::next(&mut events).await.data.to_string(), "up");
        handle.terminate().await.expect("it can be signalled");
        within(SOON, "the end of the command line", handle.wait())
            .await
            .expect("it is watched");
    });
    container.until_runs("sleep 1111", true);
}

#[test]
fn what_bears_a_mark_is_signalled_with_all_that_it_started() {
    let container = Container::new();
    let marked = container.layer().with_mark("one").with_user("1000");
    let line =
        "sleep 2222 & trap 'echo asked; exit 7' TERM; echo up; while :; do sleep 3333 & wait; done";
    let other = Command::new("sleep");
    future::block_on(async {
        let executor = Executor::local().with_layer(marked.clone());
        let mut other = other;
        other.arg("4444");
        let bystander = Executor::local().with_layer(container.layer().with_mark("onetwo"));
        let _other = bystander
            .launch(&Target::Command, other)
            .await
            .expect("it runs");
        let (mut events, handle) = executor
            .launch(&Target::Command, shell(line))
            .await
            .expect("it runs");
        common::next(&mut events).await;
        assert_eq!(common::next(&mut events).await.data.to_string(), "up");
        container.until_runs("sleep 4444", true);
        let signal =
            |signal| executor.execute(&Target::Command, DockerLayer::signal_marked("one", signal));
        let sent = signal(Signal::Terminate).await.expect("it runs");
        assert_eq!(sent.exit, Exit::Code(0), "{sent:?}");
        let events = rest(events).await;
        assert_eq!(text(&bytes(&events, ProcessEventType::Stdout)), "asked\n");
        assert_eq!(handle.wait().await.expect("it is watched"), Exit::Code(7));
        let again = signal(Signal::Kill).await.expect("it runs");
        let nothing = signal(Signal::Kill).await.expect("it runs");
        assert!(matches!(again.exit, Exit::Code(0 | 1)), "{again:?}");
        assert_eq!(nothing.exit, Exit::Code(1), "{nothing:?}");
    });
    for gone in ["sleep 2222", "sleep 3333"] {
        assert!(!container.runs(gone), "{gone}");
    }
    assert!(container.runs("sleep 4444"), "another mark");
}

#[test]
fn a_terminal_has_the_callers_size_and_follows_it() {
    let container = Container::new();
    let mut terminal = Terminal::new(33, 121);
    let mut command = shell(
        "tty; for size in '33 121' '44 99'; do until [ \"$(stty size)\" = \"$size\" ]; do usleep 1000; done; echo \"is $size\"; done; exit 5",
    );
    command
        .stdin(StdinMode::Inherit)
        .stdout(OutputMode::Inherit)
        .stderr(OutputMode::Inherit);
    let outer = container.layer().with_tty(true).apply(command);
    let outer = outer.expect("it can be expressed");
    let words: Vec<_> = std::iter::once(outer.get_program())
        .chain(outer.get_args())
        .map(|word| word.to_str().expect("it is UTF-8"))
        .collect();
    let mut child = terminal.command(&words).spawn().expect("it runs");
    terminal.until("is 33 121");
    terminal.resize(44, 99);
    let shown = terminal.until("is 44 99");
    assert!(shown.contains("/dev/pts/"), "{shown}");
    let ended = child.wait().expect("it is ours");
    assert_eq!(ended.code(), Some(5));
}
