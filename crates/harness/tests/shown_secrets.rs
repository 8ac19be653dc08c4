//! A secret is where it is needed, and in clear nowhere else: not in what any process is called with, not in what any
//! command shows, not in any file of the daemon.

mod shown;
mod support;

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use shown::{DEADLINE, Sandbox};
use support::Run;
use testkit::eventually_blocking;

const FILE: &str = "canary-of-a-file-92c1";
const VARIABLE: &str = "canary-of-a-variable-5d70";
const PROGRAM: &str = "canary-of-a-program-e83b";
const ROTATED: &str = "canary-of-another-file-11ff";

const STACK: &str = "\
secrets:
  file: {file: secret.txt}
  variable: {env: CANARY_VARIABLE}
services:
  keeper:
    type: process
    binary: /bin/sh
    args: [-c, 'printf %s\\\\n $A $B $C $D > got-$HARNESS_INSTANCE_ID; exec FIXTURE lines 1000000 --rate 20']
    env:
      A: {secret: file}
      B: {secret: variable}
      C: {secret: {command: [cat, printed.txt]}}
      D: 'x:${secret.file}'
    health_check:
      command: ['test', '-n', 'yes']
      interval: 1
";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(STACK);
    sandbox.write("printed.txt", &format!("{PROGRAM}\n"));
    secret_file(&sandbox, FILE);
    sandbox
}

fn secret_file(sandbox: &Sandbox, value: &str) {
    sandbox.write("secret.txt", &format!("{value}\n"));
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(sandbox.path().join("secret.txt"), private).expect("ours");
}

/// Runs the program as someone who has the variable, and traces everything.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(arguments);
    command.env("CANARY_VARIABLE", VARIABLE);
    command.env("HARNESS_LOG", "trace");
    Run::of(command.output().expect("the program runs"))
}

/// That the run of the service has these values.
#[track_caller]
fn assert_told(sandbox: &Sandbox, file: &str) {
    let unit = sandbox.until("keeper", "runs", |unit| unit["pid"].is_u64());
    let id = unit["instance_id"].as_str().expect("it runs");
    let got = sandbox.path().join(format!("got-{id}"));
    let expected = format!("{file}\n{VARIABLE}\n{PROGRAM}\nx:{file}\n");
    eventually_blocking(DEADLINE, "the service has the values", || {
        fs::read_to_string(&got).is_ok_and(|got| got == expected)
    });
}

#[track_caller]
fn assert_clean(bytes: &[u8], what: &str) {
    for canary in [FILE, VARIABLE, PROGRAM, ROTATED] {
        let at = bytes
            .windows(canary.len())
            .position(|window| window == canary.as_bytes());
        if let Some(at) = at {
            let from = at.saturating_sub(80);
            let around = String::from_utf8_lossy(&bytes[from..at + canary.len()]);
            panic!("`{canary}` is in {what}: …{around}");
        }
    }
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&path)),
            Ok(_) => found.push(path),
            Err(_) => {}
        }
    }
    found
}

/// That no canary is in clear anywhere but in the environment of the service.
fn assert_nowhere(sandbox: &Sandbox) {
    for arguments in [
        &["status"][..],
        &["status", "-o", "json"],
        &["why", "keeper"],
        &["events", "-o", "json"],
        &["events"],
        &["logs", "keeper"],
        &["validate"],
        &["config", "render"],
        &["config", "render", "--show-secrets"],
        &["daemon", "status", "-o", "json"],
        &["daemon", "logs"],
        &["audit"],
    ] {
        let run = run(sandbox, arguments);
        assert_clean(format!("{run:?}").as_bytes(), &arguments.join(" "));
    }
    for entry in fs::read_dir("/proc").expect("Linux").flatten() {
        // One that ends meanwhile has nothing to show.
        if let Ok(line) = fs::read(entry.path().join("cmdline")) {
            assert_clean(&line, "the arguments of a process");
        }
    }
    for process in [sandbox.daemon(), sandbox.shim("keeper")] {
        let environment = fs::read(format!("/proc/{process}/environ")).expect("it is ours");
        assert_clean(&environment, "the environment of the daemon or of a shim");
    }
    let mut seen = 0;
    for file in files(&sandbox.home()) {
        let kind = fs::symlink_metadata(&file).map(|metadata| metadata.file_type());
        if kind.is_ok_and(|kind| kind.is_file()) {
            let bytes = fs::read(&file).unwrap_or_default();
            assert_clean(&bytes, &file.display().to_string());
            seen += 1;
        }
    }
    assert!(seen > 5, "there was something to look at");
}

#[test]
fn a_secret_is_in_the_service_and_nowhere_else_whatever_happens_to_the_daemon() {
    let sandbox = sandbox();
    let started = run(&sandbox, &["start", "--wait"]);
    assert_clean(format!("{started:?}").as_bytes(), "what `start` says");
    started.expect(0);
    assert_told(&sandbox, FILE);
    assert_nowhere(&sandbox);

    // Another daemon knows the values though nobody sends them again.
    let before = sandbox.daemon();
    shown::kill(before);
    run(&sandbox, &["restart", "keeper"]).expect(0);
    assert_ne!(sandbox.daemon(), before);
    assert_told(&sandbox, FILE);
    assert_nowhere(&sandbox);

    // So it does when it was asked to leave the services alone, and restarts one that is killed.
    sandbox.ok(&["daemon", "stop", "--keep"]);
    let run_before = sandbox.unit("keeper")["instance_id"].clone();
    shown::kill(sandbox.pid("keeper"));
    sandbox.until("keeper", "was restarted", |unit| {
        unit["instance_id"] != run_before && unit["pid"].is_u64()
    });
    assert_told(&sandbox, FILE);

    // Another value is another definition: `start` brings it up to date.
    let first = sandbox.pid("keeper");
    run(&sandbox, &["start", "--wait"]).expect(0);
    assert_eq!(sandbox.pid("keeper"), first, "nothing changed");
    secret_file(&sandbox, ROTATED);
    run(&sandbox, &["start", "--wait"]).expect(0);
    assert_told(&sandbox, ROTATED);
    assert_nowhere(&sandbox);
}

#[test]
fn no_file_of_the_daemon_can_be_read_by_others() {
    let sandbox = sandbox();
    run(&sandbox, &["start", "--wait"]).expect(0);
    let mut open = Vec::new();
    let mut directories = vec![sandbox.home()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("ours").flatten() {
            let Ok(metadata) = fs::symlink_metadata(entry.path()) else {
                continue;
            };
            let kind = metadata.file_type();
            if kind.is_dir() {
                directories.push(entry.path());
            }
            if metadata.mode() & 0o077 != 0 && !kind.is_symlink() {
                let socket = if kind.is_socket() { " (socket)" } else { "" };
                let path = entry.path();
                open.push(format!(
                    "{:o} {}{socket}",
                    metadata.mode() & 0o7777,
                    path.display()
                ));
            }
        }
    }
    assert!(
        open.is_empty(),
        "others may use these:\n{}",
        open.join("\n")
    );
}

#[test]
fn a_start_without_a_secret_that_is_needed_starts_nothing() {
    let sandbox = sandbox();
    let refused = sandbox.run(&["start"]).expect(78);
    let said = format!("{refused:?}");
    assert!(
        said.contains("H0604") && said.contains("CANARY_VARIABLE"),
        "{said}"
    );
    assert!(!sandbox.home().join("run").exists() || files(&sandbox.home().join("run")).is_empty());
    // Whoever only looks at it needs none of them.
    sandbox.ok(&["validate"]);
    sandbox.ok(&["config", "render"]);
}
