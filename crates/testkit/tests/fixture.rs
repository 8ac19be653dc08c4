//! The fixture does what its help says: the other crates' tests rest on it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::lines::{check_lines, flood_byte};
use testkit::{alive, eventually_blocking, fixture_path, process_state, session_of, temp_dir};

const SOON: Duration = Duration::from_secs(10);

fn run(arguments: &[&str]) -> Output {
    Command::new(fixture_path())
        .args(arguments)
        .output()
        .expect("the fixture runs")
}

/// A running fixture, killed at the end of the test.
struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the fixture starts");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, stdout }
    }

    /// The value of the next `name value` line.
    fn told(&mut self, name: &str) -> u32 {
        let mut line = String::new();
        self.stdout
            .read_line(&mut line)
            .expect("the fixture tells something");
        let value = line
            .trim()
            .strip_prefix(name)
            .unwrap_or_else(|| panic!("{name} in {line:?}"));
        value.trim().parse().expect("a number")
    }

    fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("our child can be signalled");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn pid(raw: u32) -> Pid {
    Pid::from_raw(raw as i32).expect("a PID is positive")
}

fn fixture(arguments: &[&str]) -> Command {
    let mut command = Command::new(fixture_path());
    command.args(arguments);
    command
}

#[test]
fn exit_and_crash_end_as_told() {
    assert_eq!(run(&["exit", "7", "1"]).status.code(), Some(7));
    assert_eq!(run(&["crash-after", "1"]).status.signal(), Some(6));
    assert_eq!(run(&["nonsense"]).status.code(), Some(2));
}

#[test]
fn lines_are_checkable_on_both_streams() {
    let output = run(&["lines", "1000", "--both"]);
    assert_eq!(check_lines(&output.stdout, "stdout", 1000), Ok(()));
    assert_eq!(check_lines(&output.stderr, "stderr", 1000), Ok(()));
}

#[test]
fn a_flood_is_exact_to_the_byte() {
    for (options, newlines, invalid) in [
        (&[][..], true, false),
        (&["--no-newline", "--invalid-utf8"][..], false, true),
    ] {
        let output = run(&[&["flood", "200001"], options].concat()).stdout;
        assert_eq!(output.len(), 200_001);
        assert!(
            (0..)
                .zip(&output)
                .all(|(i, byte)| *byte == flood_byte(i, newlines, invalid))
        );
    }
}

#[test]
fn ignore_term_survives_terminate() {
    let mut running = Running::start(&mut fixture(&["ignore-term"]));
    assert_eq!(running.told("pid"), running.child.id());
    running.signal(Signal::TERM);
    running.signal(Signal::HUP);
    assert!(alive(running.child.id()));
}

#[test]
fn signals_are_named_and_the_chosen_one_ends_it() {
    let mut running = Running::start(&mut fixture(&["signals", "--exit-on", "HUP"]));
    running.told("ready");
    let mut heard = String::new();
    for (signal, name) in [
        (Signal::TERM, "signal TERM\n"),
        (Signal::HUP, "signal HUP\n"),
    ] {
        running.signal(signal);
        heard.clear();
        running.stdout.read_line(&mut heard).expect("it answers");
        assert_eq!(heard, name);
    }
    assert_eq!(running.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn daemonize_leaves_a_deaf_orphan_in_another_session() {
    let mut running = Running::start(&mut fixture(&["daemonize", "--stay"]));
    let main = running.told("pid");
    let orphan = running.told("orphan");
    let session = |of: u32| session_of(of).expect("it lives");
    assert_ne!(session(main), session(orphan));
    kill_process(pid(orphan), Signal::TERM).expect("it lives");
    assert!(alive(orphan));
    kill_process(pid(orphan), Signal::KILL).expect("it lives");
    eventually_blocking(SOON, "the orphan dies", || !alive(orphan));
}

#[test]
fn tree_tells_three_processes() {
    let mut running = Running::start(&mut fixture(&["tree"]));
    let pids = ["main", "child", "grandchild"].map(|name| running.told(name));
    assert!(pids.iter().all(|pid| alive(*pid)));
    for descendant in &pids[1..] {
        kill_process(pid(*descendant), Signal::KILL).expect("it lives");
    }
}

#[test]
fn cat_ends_with_its_input() {
    let mut running = Running::start(fixture(&["cat"]).stdin(Stdio::piped()));
    let mut stdin = running.child.stdin.take().expect("stdin is piped");
    stdin.write_all(b"to be echoed").expect("it reads");
    drop(stdin);
    let mut echoed = String::new();
    running
        .stdout
        .read_to_string(&mut echoed)
        .expect("it writes");
    assert_eq!(echoed, "to be echoed");
}

#[test]
fn serve_answers_by_the_unhealthy_file() {
    let directory = temp_dir();
    let file = directory.path().join("unhealthy");
    let path = file.to_str().expect("a UTF-8 path");
    let mut running = Running::start(&mut fixture(&["serve", "0", "--unhealthy-file", path]));
    running.told("pid");
    let port = running.told("listening") as u16;
    let ask = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        connection
            .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers");
        answer.lines().next().expect("a status line").to_owned()
    };
    assert_eq!(ask(), "HTTP/1.1 200 OK");
    std::fs::write(&file, "").expect("the file is written");
    assert_eq!(ask(), "HTTP/1.1 503 Service Unavailable");
}

#[test]
fn notify_reports_ready_to_the_socket() {
    let directory = temp_dir();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let running = Running::start(fixture(&["notify"]).env("NOTIFY_SOCKET", &path));
    let mut message = [0; 64];
    let length = socket.recv(&mut message).expect("a message");
    assert_eq!(&message[..length], b"READY=1");
    assert!(process_state(running.child.id()).is_some());
}

#[test]
fn the_shim_is_found_and_says_when_it_is_called_wrongly() {
    let output = Command::new(testkit::shim_path())
        .output()
        .expect("the shim starts");
    assert_eq!(output.status.code(), Some(64));
}
