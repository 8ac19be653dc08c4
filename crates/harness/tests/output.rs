//! What reaches the terminal, the pipe and the program behind it.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use support::Home;

const TALKERS: &str = "\
services:
  good: {type: process, binary: FIXTURE, args: [lines, \"3\"]}
  evil:
    type: process
    binary: /bin/sh
    args: [-c, 'printf \"caf\\351 \\033[2J\\007\\n\"; echo oops >&2; exec FIXTURE hold']
";

fn talking() -> Home {
    let home = Home::new(TALKERS);
    home.ok(&["start", "--wait"]);
    testkit::eventually_blocking(support::DEADLINE, "all is written", || {
        let text = home.ok(&["logs"]).stdout;
        text.contains("oops") && text.contains("pid") && text.contains("000000002")
    });
    home
}

#[test]
fn logs_are_prefixed_and_harmless() {
    let home = talking();
    let run = home
        .ok(&["logs"])
        .shows("evil | caf\\xe9 \\x1b[2J\\x07\n")
        .shows("good | 000000002");
    assert!(!run.stdout.contains('\x1b'));
    home.ok(&["logs", "evil", "--stream", "stderr"])
        .shows("evil | oops");
    let counted = home.ok(&["logs", "good", "-n", "2"]);
    assert_eq!(counted.stdout.lines().count(), 2);
    let matching = home.ok(&["logs", "-g", "^0000", "-n", "1"]);
    assert_eq!(matching.stdout.lines().count(), 1);
    assert!(matching.stdout.contains("000000002"), "{}", matching.stdout);
    assert_eq!(
        home.ok(&["logs", "--until", "2020-01-01T00:00:00Z"]).stdout,
        ""
    );
    home.ok(&["logs", "--since", "1h", "-t"]).shows("Z good | ");
}

#[test]
fn without_prefix_the_bytes_are_exact() {
    let home = talking();
    let run = home.ok(&[
        "logs",
        "evil",
        "--no-prefix",
        "--stream",
        "stdout",
        "-n",
        "2",
    ]);
    let first = run.raw.split(|byte| *byte == b'\n').next().expect("a line");
    assert_eq!(first, b"caf\xe9 \x1b[2J\x07");
    let forced = home
        .command(&["logs", "evil", "--no-prefix"])
        .env("HARNESS_FORCE_TTY", "80")
        .output()
        .expect("runs");
    assert!(
        !forced.stdout.contains(&0x07),
        "on a terminal nothing is raw"
    );
}

#[test]
fn json_is_all_there_is_on_standard_output() {
    let home = talking();
    for line in home.ok(&["logs", "-o", "json"]).stdout.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a document per line");
        assert_eq!(line["schema_version"], 1);
        assert!(
            line["text"].is_string() || line["base64"].is_string(),
            "{line}"
        );
    }
    for line in home.ok(&["events", "-o", "json"]).stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("a document per line");
        assert!(
            event["event_type"].is_string() && event["seq"].is_u64(),
            "{event}"
        );
    }
    home.ok(&["status", "-o", "json"]).json();
    let daemon = home.ok(&["daemon", "status", "-o", "json"]).json();
    for key in ["pid", "listen", "version", "stacks"] {
        assert!(daemon.get(key).is_some(), "{key} in {daemon}");
    }
    home.ok(&["validate", "-o", "json"]).json();
    home.ok(&["config", "schema"]).json();
}

#[test]
fn the_run_before_the_last_can_be_read() {
    let home = Home::new(
        "tasks:\n  t: {target: {type: process, binary: /bin/sh, args: [-c, 'echo run $$']}}\n",
    );
    home.ok(&["start", "--wait"]);
    let first = home.ok(&["logs", "--no-prefix"]).stdout;
    home.ok(&["restart", "t"]);
    home.ok(&["wait", "t", "--for", "completed", "--timeout", "20s"]);
    testkit::eventually_blocking(support::DEADLINE, "both runs are there", || {
        home.ok(&["logs"]).stdout.lines().count() == 2
    });
    assert_eq!(
        home.ok(&["logs", "--no-prefix", "--previous"]).stdout,
        first
    );
}

#[test]
fn a_reader_who_leaves_ends_it_quietly() {
    let home = talking();
    for arguments in [
        &["logs", "-f"][..],
        &["status", "--watch", "-o", "json"],
        &["events", "-f"],
    ] {
        let mut child = home.spawn(arguments);
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        assert!(!line.is_empty());
        drop(stdout);
        let mut said = String::new();
        child
            .stderr
            .take()
            .expect("piped")
            .read_to_string(&mut said)
            .expect("text");
        assert_eq!(
            child.wait().expect("it ends").code(),
            Some(0),
            "{arguments:?}: {said}"
        );
        assert_eq!(said, "", "{arguments:?}");
    }
    let mut closed = home.command(&["completions", "bash"]);
    let mut child = closed
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let run = support::Run::of(child.wait_with_output().expect("it ends"));
    run.expect(0);
}

#[test]
fn followed_logs_go_on() {
    let home = Home::new(
        "services:\n  s: {type: process, binary: FIXTURE, args: [signals], readiness: {log: ready}}\n",
    );
    home.ok(&["start", "--wait"]);
    let mut child = home.spawn(&["logs", "-f"]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(
        lines
            .next()
            .expect("a line")
            .expect("text")
            .contains("ready")
    );
    home.ok(&["stop"]);
    assert!(
        lines
            .next()
            .expect("a line")
            .expect("text")
            .contains("signal TERM")
    );
    drop(lines);
    child.wait().expect("it ends when nobody reads");
}

#[test]
fn colour_follows_its_rules() {
    let home = talking();
    let escapes = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = home
            .command(arguments)
            .envs(variables.iter().copied())
            .output()
            .expect("runs");
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    let tty = ("HARNESS_FORCE_TTY", "100");
    assert!(!escapes(&["status"], &[]), "a pipe");
    assert!(escapes(&["status"], &[tty]), "a terminal");
    assert!(!escapes(&["status"], &[tty, ("NO_COLOR", "1")]));
    assert!(
        escapes(&["status"], &[tty, ("NO_COLOR", "")]),
        "empty means unset"
    );
    assert!(!escapes(&["status"], &[tty, ("TERM", "dumb")]));
    assert!(!escapes(&["status", "--color=never"], &[tty]));
    assert!(escapes(&["status"], &[("CLICOLOR_FORCE", "1")]));
    assert!(escapes(&["status", "--color=always"], &[("NO_COLOR", "1")]));
    assert!(escapes(&["status"], &[("HARNESS_COLOR", "always")]));
    assert!(!escapes(&["status", "--help"], &[("NO_COLOR", "1")]));
}

#[test]
fn a_locale_without_utf8_gets_ascii() {
    let home = talking();
    for arguments in [
        &["status", "good"][..],
        &["daemon", "status"],
        &["why", "good"],
        &["validate"],
        &["restart", "evil"],
    ] {
        let output = home
            .command(arguments)
            .env("LC_ALL", "C")
            .output()
            .expect("runs");
        assert!(
            output.stdout.is_ascii() && output.stderr.is_ascii(),
            "{arguments:?}: {output:?}"
        );
    }
}

#[test]
fn no_line_of_the_live_view_is_wider_than_the_terminal() {
    let home = Home::new(TALKERS);
    let mut command = home.command(&["start", "--wait", "--progress", "tty", "--color", "never"]);
    let output = command
        .env("HARNESS_FORCE_TTY", "40")
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("Starting"), "{text:?}");
    assert!(
        text.contains("\x1b[?25l") && text.contains("\x1b[?25h"),
        "the cursor comes back: {text:?}"
    );
    for line in text.split(['\n', '\r']) {
        let shown = line.rsplit(['J', 'l', 'h']).next().unwrap_or_default();
        assert!(shown.chars().count() <= 40, "{line:?}");
    }
}
