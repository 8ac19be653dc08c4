//! What `run TASK` passes on: its standard input, to the task's.

mod support;

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use support::{DEADLINE, Home, Run};
use testkit::{Terminal, eventually_blocking};

const STACK: &str = "name: shop
services:
  db: {type: process, binary: FIXTURE, args: [hold], readiness: {command: ['true']}}
tasks:
  import: {type: process, binary: sh, args: ['-c', 'cat > got; echo imported'], depends_on: [db]}
  deaf: {type: process, binary: 'true'}
";

fn run_with(home: &Home, task: &str, stdin: Stdio) -> Run {
    let mut command = home.command(&["-q", "run", task]);
    Run::of(command.stdin(stdin).output().expect("it runs"))
}

/// Five mebibytes of every byte there is, in no simple order.
fn dump() -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(5 << 20).collect()
}

#[test]
fn a_task_gets_every_byte_of_a_file_and_its_end() {
    let home = Home::new(STACK);
    let dump = dump();
    std::fs::write(home.path().join("dump"), &dump).expect("written");
    let file = File::open(home.path().join("dump")).expect("there");
    let run = run_with(&home, "import", file.into()).expect(0);
    assert_eq!(run.stdout, "imported\n");
    let got = std::fs::read(home.path().join("got")).expect("written");
    assert!(got == dump, "{} bytes of {}", got.len(), dump.len());
    // The next run has none of it.
    run_with(&home, "import", Stdio::null()).expect(0);
    let got = std::fs::read(home.path().join("got")).expect("written");
    assert!(got.is_empty(), "{} bytes", got.len());
}

#[test]
fn a_task_gets_what_comes_through_a_pipe_as_it_comes() {
    let home = Home::new(STACK);
    let mut command = home.command(&["-q", "run", "import"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(b"one\n").expect("read");
    eventually_blocking(DEADLINE, "the first line is there", || {
        std::fs::read(home.path().join("got")).is_ok_and(|got| got == b"one\n")
    });
    pipe.write_all(b"two").expect("read");
    drop(pipe);
    assert!(child.wait().expect("it ends").success());
    let got = std::fs::read(home.path().join("got")).expect("written");
    assert_eq!(got, b"one\ntwo");
}

#[test]
fn a_task_that_reads_nothing_ends_beside_an_input_that_does_not() {
    let home = Home::new(STACK);
    let mut command = home.command(&["-q", "run", "deaf"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it runs");
    let pipe = child.stdin.take().expect("a pipe");
    assert!(child.wait().expect("it ends").success());
    drop(pipe);
    // Nor does it matter when there is more than anybody wants.
    let zeros = File::open("/dev/zero").expect("there");
    run_with(&home, "deaf", zeros.into()).expect(0);
}

#[test]
fn nothing_is_taken_from_a_terminal_unless_asked() {
    let home = Home::new(STACK);
    let mut terminal = Terminal::new(24, 80);
    for (flag, is_read) in [("-q", false), ("-i", true)] {
        let harness = env!("CARGO_BIN_EXE_harness");
        let mut command = terminal.command(&[harness, "run", flag, "import"]);
        command
            .current_dir(home.path())
            .env("HARNESS_HOME", home.home())
            .env("HARNESS_LISTEN", "127.0.0.1:0");
        let mut child = command.spawn().expect("it runs");
        if is_read {
            terminal.type_in("typed\n\x04");
        }
        assert!(child.wait().expect("it ends").success());
        let got = std::fs::read_to_string(home.path().join("got")).expect("written");
        assert_eq!(got, if is_read { "typed\n" } else { "" });
    }
}

#[test]
fn an_input_ends_with_the_daemon_that_carried_it() {
    let home = Home::new(STACK);
    let mut command = home.command(&["-q", "run", "import"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(b"half").expect("read");
    eventually_blocking(DEADLINE, "the first half is there", || {
        std::fs::read(home.path().join("got")).is_ok_and(|got| got == b"half")
    });
    let daemon = home.ok(&["daemon", "status", "-o", "json"]).json()["pid"].to_string();
    let sent = Command::new("kill").args(["-s", "KILL", &daemon]).status();
    assert!(sent.expect("it runs").success());
    assert!(child.wait().expect("it ends").success());
    drop(pipe);
}
