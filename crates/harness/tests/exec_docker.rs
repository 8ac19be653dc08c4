//! `exec` in real containers, of the image `harness-test/busybox` (see docker-test-env).
//!
//! `cargo nextest run -p harness --features docker-tests`

#![cfg(feature = "docker-tests")]

mod support;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Stdio};

use support::{DEADLINE, Home, Run};
use testkit::{Terminal, eventually_blocking};

/// A stack with a container that runs, and one that has ended.
struct Stack {
    home: Home,
    name: String,
}

impl Stack {
    fn new(test: &str) -> Self {
        let name = format!("exec-{}-{test}", std::process::id());
        let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
        let service = |command: &str| {
            format!(
                "\n    target: {{type: docker, image: harness-test/busybox, command: {command}}}\n    stop_signal: SIGKILL\n    restart: \"no\"\n    labels: {{harness-test.run: \"{run}\"}}\n"
            )
        };
        let home = Home::new(&format!(
            "name: {name}\nservices:\n  web: {}  off: {}",
            service("[sleep, '3600']"),
            service("['true']")
        ));
        let stack = Self { home, name };
        stack.home.ok(&["start", "web", "--wait"]);
        stack
    }

    fn container(&self) -> String {
        format!("{}-web-1", self.name)
    }

    #[track_caller]
    fn until_runs(&self, words: &str, runs: bool) {
        let what = format!("`{words}` runs: {runs}");
        eventually_blocking(DEADLINE, &what, || {
            let mut list = Command::new("docker");
            list.args(["exec", &self.container(), "ps", "-o", "args"]);
            let seen = list.output().expect("docker is installed");
            let seen = String::from_utf8_lossy(&seen.stdout);
            seen.lines().any(|line| line.trim() == words) == runs
        });
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let gone = self.home.run(&["down", "--yes"]);
        assert!(gone.code == 0 || std::thread::panicking(), "{gone:?}");
    }
}

#[test]
fn the_command_runs_inside_and_its_exit_code_is_ours() {
    let stack = Stack::new("inside");
    let home = &stack.home;
    home.run(&["exec", "web", "sh", "-c", "echo out; echo err >&2; exit 9"])
        .expect(9)
        .shows("out\n")
        .says("err\n");
    let seen = home
        .command(&[
            "exec",
            "-u",
            "1000",
            "-w",
            "/tmp",
            "-e",
            "OPEN=a b",
            "-e",
            "KEPT",
            "web",
            "--",
            "sh",
            "-c",
            "id -u; pwd; echo \"$OPEN, $KEPT, $HARNESS_SERVICE\"; [ -t 1 ] || echo no terminal",
        ])
        .env("KEPT", "geheim")
        .output();
    Run::of(seen.expect("it runs"))
        .expect(0)
        .shows("1000\n/tmp\na b, geheim, web\nno terminal\n");
    home.run(&["exec", "web", "no-such-program"])
        .expect(126)
        .shows("no-such-program");
}

#[test]
fn standard_input_is_passed_on_byte_for_byte() {
    let stack = Stack::new("stdin");
    let sent: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    let mut command = stack.home.command(&["exec", "web", "cat"]);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let received = std::thread::scope(|scope| {
        scope.spawn(|| stdin.write_all(&sent).map(|()| drop(stdin)));
        child.wait_with_output().expect("it ends")
    });
    assert!(received.stdout == sent, "{} bytes", received.stdout.len());
}

#[test]
fn what_cannot_be_run_is_said_with_what_helps() {
    let stack = Stack::new("refused");
    let home = &stack.home;
    home.run(&["exec", "off", "ls"])
        .expect(1)
        .says("`off` does not run")
        .says("harness start off");
    home.ok(&["start", "off"]);
    home.until("off", "done");
    home.run(&["exec", "off", "ls"])
        .expect(1)
        .says("`off` does not run");
    home.run(&["exec", "-e", "PATH=/bin", "web", "ls"])
        .expect(2)
        .says("the variable `PATH`")
        .says("env NAME=VALUE CMD");
    home.run(&["exec", "-e", "NOT_SET", "web", "ls"])
        .expect(2)
        .says("`NOT_SET` is not set here");
    let with = |name, value| {
        let mut command = home.command(&["exec", "web", "ls"]);
        command.env(name, value);
        Run::of(command.output().expect("it runs"))
    };
    with("PATH", "/nowhere")
        .expect(1)
        .says("cannot run `docker`")
        .says("install docker");
    with("DOCKER_HOST", "unix:///nowhere.sock")
        .expect(1)
        .says("unix:///nowhere.sock");
}

#[test]
fn a_container_of_another_engine_is_not_there() {
    let stack = Stack::new("elsewhere");
    let directory = testkit::temp_dir();
    let socket = directory.path().join("other.sock");
    let engine = UnixListener::bind(&socket).expect("it can be bound");
    let mut command = stack.home.command(&["exec", "web", "ls"]);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("it runs");
    // An engine that has no containers.
    let (connection, _) = engine.accept().expect("it asks");
    answer(
        &connection,
        "200 OK",
        r#"{"Version":"1","ApiVersion":"1.41"}"#,
    );
    answer(
        &connection,
        "404 Not Found",
        r#"{"message":"No such container: x"}"#,
    );
    Run::of(child.wait_with_output().expect("it ends"))
        .expect(1)
        .says("is not on the engine at unix://")
        .says("set DOCKER_HOST here");
}

/// Reads a request and answers it.
fn answer(mut connection: &UnixStream, status: &str, body: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).expect("it asks");
        request.extend(byte);
    }
    let length = body.len();
    write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("it listens");
}

fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    let sent = kill.args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.expect("it runs").success());
}

#[test]
fn a_signal_reaches_the_command_inside_whose_end_is_ours() {
    let stack = Stack::new("signals");
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let child = stack.home.spawn(&["exec", "web", "sleep", "1111"]);
        stack.until_runs("sleep 1111", true);
        signal(&child, name);
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(code), "{name}: {ended:?}");
        stack.until_runs("sleep 1111", false);
    }
    let line = "trap 'echo asked; exit 4' TERM; sleep 2222 & while :; do wait; done";
    let child = stack.home.spawn(&["exec", "web", "sh", "-c", line]);
    stack.until_runs("sleep 2222", true);
    signal(&child, "TERM");
    let ended = Run::of(child.wait_with_output().expect("it ends"));
    ended.expect(4).shows("asked\n");
}

#[test]
fn the_second_signal_kills_what_ignores_the_first() {
    let stack = Stack::new("deaf");
    let line = "trap 'echo deaf' TERM; sleep 5555 & while :; do usleep 10000; done";
    let mut child = stack.home.spawn(&["exec", "web", "sh", "-c", line]);
    stack.until_runs("sleep 5555", true);
    signal(&child, "TERM");
    let mut said = [0; 5];
    let stdout = child.stdout.as_mut().expect("it is piped");
    stdout.read_exact(&mut said).expect("it hears the first");
    signal(&child, "TERM");
    assert_eq!(child.wait().expect("it ends").code(), Some(137));
}

#[test]
fn on_a_terminal_the_command_has_it_and_keys_reach_it() {
    let stack = Stack::new("terminal");
    let home = &stack.home;
    let mut terminal = Terminal::new(33, 121);
    let harness = env!("CARGO_BIN_EXE_harness");
    let start = |words: &[&str]| {
        let mut command = terminal.command(&[&[harness, "exec"], words].concat());
        command
            .current_dir(home.path())
            .env("HARNESS_HOME", home.home());
        command.spawn().expect("it runs")
    };
    let mut child = start(&["web", "sh"]);
    terminal.until("/ #");
    terminal
        .type_in("until [ \"$(stty size)\" = '33 121' ]; do usleep 1000; done; echo it' is it'\n");
    terminal.until("it is it");
    terminal.type_in("sleep 3333\n");
    stack.until_runs("sleep 3333", true);
    terminal.type_in("\u{3}");
    stack.until_runs("sleep 3333", false);
    terminal.type_in("exit 5\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
}

#[test]
fn without_its_terminal_ctrl_c_still_ends_it() {
    let stack = Stack::new("no-tty");
    let home = &stack.home;
    let mut terminal = Terminal::new(24, 80);
    let words = [
        env!("CARGO_BIN_EXE_harness"),
        "exec",
        "-T",
        "web",
        "sleep",
        "4444",
    ];
    let mut command = terminal.command(&words);
    command
        .current_dir(home.path())
        .env("HARNESS_HOME", home.home());
    let mut child = command.spawn().expect("it runs");
    stack.until_runs("sleep 4444", true);
    terminal.type_in("\u{3}");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    stack.until_runs("sleep 4444", false);
}
