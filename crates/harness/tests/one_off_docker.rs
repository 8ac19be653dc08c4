//! One-off runs by the definitions of containers, of the image `harness-test/busybox` (see docker-test-env).
//!
//! `cargo nextest run -p harness --features docker-tests`

#![cfg(feature = "docker-tests")]

mod support;

use std::io::Write;
use std::process::{Child, Command, Stdio};

use support::{DEADLINE, Home, Run};
use testkit::{Terminal, eventually_blocking};

struct Stack {
    home: Home,
    name: String,
}

impl Stack {
    /// A service that needs another one, has a port, a volume and a name of its own.
    fn new(test: &str) -> Self {
        let name = format!("one-off-{}-{test}", std::process::id());
        let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
        let labels = format!("labels: {{harness-test.run: \"{run}\"}}\n    stop_grace_period: 1s");
        let home = Home::empty();
        home.write("pw.txt", "geheim\n");
        home.write(
            "compose.yaml",
            &format!(
                "name: {name}
services:
  db:
    image: harness-test/busybox
    command: [sh, -c, 'sleep 1; touch /up; exec sleep 3600']
    healthcheck: {{test: [CMD, test, -e, /up], interval: 100ms, retries: 300}}
    {labels}
  web:
    image: harness-test/busybox
    container_name: {name}-own
    entrypoint: [env]
    command: [sleep, '3600']
    working_dir: /tmp
    environment: {{MODE: prod}}
    ports: ['80']
    volumes: ['data:/data', /scratch]
    secrets: [pw]
    depends_on: {{db: {{condition: service_healthy}}}}
    {labels}
secrets: {{pw: {{file: pw.txt}}}}
volumes: {{data: {{labels: {{harness-test.run: \"{run}\"}}}}}}
"
            ),
        );
        Self { home, name }
    }

    /// The containers of the stack that one of these filters lets through, as the engine tells them.
    fn containers(&self, template: &str, more: &[&str]) -> Vec<String> {
        let mut list = Command::new("docker");
        let stack = format!("label=org.harness.stack={}", self.name);
        list.args(["ps", "-a", "--format", template, "--filter", &stack]);
        list.args(more.iter().flat_map(|filter| ["--filter", filter]));
        let seen = list.output().expect("docker is installed");
        let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
        seen.lines().map(str::to_owned).collect()
    }

    fn runs(&self) -> Vec<String> {
        self.containers("{{.Names}}", &[ONE_OFF])
    }

    /// A run that goes on inside.
    fn holding(&self) -> Child {
        let child = self.home.spawn(&["-q", "run", "web", "sleep", "1000"]);
        eventually_blocking(DEADLINE, "it runs", || {
            !self
                .containers("{{.ID}}", &[ONE_OFF, "status=running"])
                .is_empty()
        });
        child
    }

    fn kill_daemon(&self) {
        let daemon = self.home.ok(&["daemon", "status", "-o", "json"]).json();
        signal(&daemon["pid"].to_string(), "KILL");
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let gone = self.home.run(&["down", "-v", "--yes"]);
        assert!(gone.code == 0 || std::thread::panicking(), "{gone:?}");
    }
}

const ONE_OFF: &str = "label=com.docker.compose.oneoff=True";

fn signal(pid: &str, name: &str) {
    let sent = Command::new("kill").args(["-s", name, pid]).status();
    assert!(sent.expect("it runs").success());
}

#[test]
fn a_command_has_what_the_service_has_but_its_ports_and_its_names() {
    let stack = Stack::new("has");
    let home = &stack.home;
    let line = "echo $MODE $EXTRA; pwd; cat /run/secrets/pw; echo kept > /data/x; hostname -i";
    let run = home.ok(&[
        "-q",
        "run",
        "--rm",
        "-T",
        "-e",
        "EXTRA=a b",
        "web",
        "sh",
        "-c",
        line,
    ]);
    assert!(
        run.stdout.starts_with("prod a b\n/tmp\ngeheim\n"),
        "{}",
        run.stdout
    );
    assert_eq!(home.unit("db")["state"], "ready", "its gate was waited for");
    assert_eq!(home.unit("web")["state"], "idle");
    assert!(stack.runs().is_empty(), "nothing of it stays");
    // Beside the service, which has the name, the port and the volume.
    home.ok(&["-q", "start", "web"]);
    let before = stack
        .containers("{{.ID}} {{.Status}}", &["status=running"])
        .len();
    let line =
        "cat /data/x; nslookup web db >/dev/null 2>&1; ping -c1 -w5 db >/dev/null && echo reached";
    let run = home.ok(&["-q", "run", "web", "sh", "-c", line]);
    assert_eq!(run.stdout, "kept\nreached\n");
    let child = stack.holding();
    let template = "{{.Names}} {{.Ports}}";
    let seen = stack.containers(template, &[ONE_OFF]).join("");
    assert!(
        seen.starts_with(&format!("{}-web-run-", stack.name)) && seen.ends_with(' '),
        "{seen}"
    );
    let status = home.status();
    assert_eq!(status["one_offs"][0]["unit"], "web");
    assert_eq!(home.unit("web")["state"], "ready");
    home.ok(&["-q", "restart", "web"]);
    assert_eq!(
        stack.runs().len(),
        1,
        "a restart of the service leaves it alone"
    );
    signal(&child.id().to_string(), "KILL");
    drop(child.wait_with_output());
    eventually_blocking(DEADLINE, "the daemon removes it", || {
        stack.runs().is_empty()
    });
    let after = stack.containers("{{.ID}}", &["status=running"]).len();
    assert_eq!(before, after);
}

#[test]
fn input_exit_codes_and_other_beginnings_are_passed_on() {
    let stack = Stack::new("codes");
    let home = &stack.home;
    let mut command = home.command(&["-q", "run", "--no-deps", "web", "cat"]);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"to it\n").expect("it reads");
    drop(stdin);
    assert_eq!(
        Run::of(child.wait_with_output().expect("it ends"))
            .expect(0)
            .stdout,
        "to it\n"
    );
    let none = ["-q", "run", "--no-deps"];
    let run = |words: &[&str]| home.run(&[&none, words].concat());
    run(&["web", "sh", "-c", "echo err >&2; exit 9"])
        .expect(9)
        .says("err\n");
    let user = run(&["-u", "1000", "-w", "/etc", "web", "sh", "-c", "id -u; pwd"]);
    assert_eq!(user.expect(0).stdout, "1000\n/etc\n");
    let echo = run(&["--entrypoint", "echo", "web", "--", "--rm", "hi"]);
    assert_eq!(echo.expect(0).stdout, "--rm hi\n");
    run(&["--entrypoint", "no-such-program", "web"]).expect(127);
    assert!(stack.runs().is_empty());
}

#[test]
fn it_has_the_terminal_that_there_is() {
    let stack = Stack::new("tty");
    stack.home.ok(&["-q", "start", "db", "--wait"]);
    let mut terminal = Terminal::new(33, 121);
    let harness = env!("CARGO_BIN_EXE_harness");
    let mut command = terminal.command(&[harness, "-q", "run", "web", "sh"]);
    command
        .current_dir(stack.home.path())
        .env("HARNESS_HOME", stack.home.home());
    let mut child = command.spawn().expect("it runs");
    terminal.until("/tmp #");
    terminal
        .type_in("until [ \"$(stty size)\" = '33 121' ]; do usleep 1000; done; echo it' is it'\n");
    terminal.until("it is it");
    terminal.type_in("exit 5\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    assert!(stack.runs().is_empty());
}

#[test]
fn interrupts_reach_the_command_and_the_second_kills_it() {
    let stack = Stack::new("int");
    let line = "trap 'echo asked; exit 4' INT; echo begun; sleep 1000 & wait";
    let mut command = stack
        .home
        .command(&["-q", "run", "--no-deps", "web", "sh", "-c", line]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut output = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let mut said = String::new();
    std::io::BufRead::read_line(&mut output, &mut said).expect("it says so");
    signal(&child.id().to_string(), "INT");
    std::io::Read::read_to_string(&mut output, &mut said).expect("it ends");
    assert_eq!(
        (said.as_str(), child.wait().expect("it ends").code()),
        ("begun\nasked\n", Some(4))
    );
    let mut deaf = stack.holding();
    signal(&deaf.id().to_string(), "INT");
    signal(&deaf.id().to_string(), "TERM");
    assert_eq!(deaf.wait().expect("it ends").code(), Some(137));
    assert!(stack.runs().is_empty());
}

#[test]
fn a_killed_daemon_neither_takes_it_for_the_service_nor_leaves_it() {
    let stack = Stack::new("killed");
    let mut child = stack.holding();
    stack.kill_daemon();
    eventually_blocking(DEADLINE, "the next daemon knows it", || {
        stack.home.status()["one_offs"][0]["pid"] == child.id()
    });
    assert_eq!(stack.home.unit("web")["state"], "idle");
    assert_eq!(stack.runs().len(), 1, "it goes on with its client");
    stack.kill_daemon();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(stack.runs().len(), 1, "nobody is there who could remove it");
    stack.home.status();
    eventually_blocking(DEADLINE, "the next daemon removes it", || {
        stack.runs().is_empty()
    });
}

#[test]
fn it_ends_with_its_stack() {
    let stack = Stack::new("down");
    let mut child = stack.holding();
    stack.home.ok(&["down", "--yes"]);
    assert!(stack.containers("{{.ID}}", &[]).is_empty());
    assert_eq!(child.wait().expect("it ends").code(), Some(137));
}
