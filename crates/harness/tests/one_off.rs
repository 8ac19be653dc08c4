//! One-off runs by the definitions of processes: `run UNIT CMD`.

mod support;

use std::process::{Child, Command, Stdio};

use support::{DEADLINE, Home, Run};
use testkit::eventually_blocking;

const STACK: &str = "name: shop
secrets: {pw: {file: pw.txt}}
services:
  db: {type: process, binary: FIXTURE, args: [hold], ports: [{name: sql, port: auto}], readiness: {command: ['true']}}
  api:
    type: process
    binary: sh
    args: ['-c', 'echo itself; exit 3']
    working_dir: sub
    env: {PASSWORD: {secret: pw}, MODE: prod}
    depends_on: [db]
tasks:
  seed: {type: process, binary: echo, args: [seeding]}
";

fn home() -> Home {
    let home = Home::new(STACK);
    home.write("pw.txt", "geheim\n");
    home.write("sub/here", "");
    home
}

/// What is kept of one-off runs.
fn kept(home: &Home) -> usize {
    let files = std::fs::read_dir(home.home().join("run/one-off"));
    files.into_iter().flatten().count()
}

fn kill(pid: &str, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, pid]).status();
    assert!(sent.expect("it runs").success());
}

/// A run that goes on, once the daemon tells of it.
fn holding(home: &Home) -> Child {
    home.ok(&["-q", "start", "db", "--wait"]);
    let child = home.spawn(&["-q", "run", "api", "sleep", "1000"]);
    eventually_blocking(DEADLINE, "status lists the run", || {
        let status = home.status();
        status["one_offs"][0]["unit"] == "api" && status["one_offs"][0]["pid"] == child.id()
    });
    child
}

#[test]
fn another_command_has_what_the_definition_gives_and_is_not_the_unit() {
    let home = home();
    let line = "echo $MODE $PASSWORD ${PWD##*/}; [ -n \"$DB_PORT\" ] && echo told; ls";
    let run = home.ok(&["-q", "run", "api", "sh", "-c", line]);
    assert_eq!(run.stdout, "prod geheim sub\ntold\nhere\n");
    assert_eq!(home.unit("db")["state"], "ready", "what it needs goes on");
    let api = home.unit("api");
    assert_eq!(
        (&api["state"], &api["pid"]),
        (&"idle".into(), &serde_json::Value::Null)
    );
    let mut own = home.command(&[
        "-q",
        "run",
        "-e",
        "MODE=dev",
        "-e",
        "KEPT",
        "api",
        "--",
        "sh",
        "-c",
        "echo $MODE $KEPT",
    ]);
    let run = Run::of(own.env("KEPT", "here").output().expect("it runs"));
    assert_eq!(run.expect(0).stdout, "dev here\n");
    assert_eq!(home.run(&["-q", "run", "api"]).expect(3).stdout, "itself\n");
    eventually_blocking(DEADLINE, "nothing is kept", || kept(&home) == 0);
}

#[test]
fn a_task_that_is_named_alone_is_meant_itself_and_with_a_command_it_is_not() {
    let home = home();
    assert_eq!(
        home.ok(&["-q", "run", "seed", "echo", "other"]).stdout,
        "other\n"
    );
    assert_eq!(home.unit("seed")["state"], "idle");
    assert_eq!(
        home.ok(&["-q", "run", "-T", "--rm", "seed"]).stdout,
        "seeding\n"
    );
    assert_eq!(home.unit("seed")["state"], "done");
}

#[test]
fn input_exit_codes_and_signals_are_those_of_the_command() {
    let home = home();
    let mut command = home.command(&["-q", "run", "--no-deps", "api", "cat"]);
    command.stdin(Stdio::from(
        std::fs::File::open(home.path().join("pw.txt")).expect("there"),
    ));
    assert_eq!(
        Run::of(command.output().expect("it runs")).expect(0).stdout,
        "geheim\n"
    );
    home.run(&["run", "api", "sh", "-c", "exit 9"]).expect(9);
    home.run(&["run", "api", "no-such-program"])
        .expect(125)
        .says("no-such-program");
    home.run(&["run", "-u", "root", "api", "id"])
        .expect(125)
        .says("as whoever asks");
    home.run(&["run", "--entrypoint", "x", "api"])
        .expect(125)
        .says("no entrypoint");
    home.run(&["run", "nobody", "id"]).expect(4);
    let mut child = holding(&home);
    kill(&child.id().to_string(), "TERM");
    let end = child.wait().expect("it ends");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&end),
        Some(15)
    );
    eventually_blocking(DEADLINE, "nothing is kept", || kept(&home) == 0);
}

#[test]
fn a_run_outlives_the_daemon_and_ends_with_its_stack() {
    let home = home();
    let mut child = holding(&home);
    let daemon = home.ok(&["daemon", "status", "-o", "json"]).json()["pid"].to_string();
    kill(&daemon, "KILL");
    eventually_blocking(DEADLINE, "the next daemon knows it", || {
        home.status()["one_offs"][0]["pid"] == child.id()
    });
    assert_eq!(
        home.unit("api")["state"],
        "idle",
        "it is not taken for the service"
    );
    home.ok(&["down", "--yes"]);
    assert!(!child.wait().expect("it has ended").success());
    assert_eq!(kept(&home), 0);
}

#[test]
fn what_a_killed_client_leaves_a_later_daemon_forgets() {
    let home = home();
    let mut child = holding(&home);
    let daemon = home.ok(&["daemon", "status", "-o", "json"]).json()["pid"].to_string();
    kill(&daemon, "KILL");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(kept(&home), 1);
    home.status();
    eventually_blocking(DEADLINE, "nothing is kept", || kept(&home) == 0);
    assert!(home.status()["one_offs"].is_null());
}
