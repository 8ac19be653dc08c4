//! Discovery by the real program: two homes, a daemon that is killed, and publishers that are.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::{Home, Run};

const ONE: &str = "name: web\nservices:\n  one: {type: process, binary: FIXTURE, args: [hold], ports: [{name: http, port: auto}]}\n";
const SOON: Duration = Duration::from_secs(20);

/// A daemon with a stack that runs, and another home that may look, and register what it was granted.
fn two_homes() -> (Home, Home) {
    let (home, other) = (Home::new(ONE), Home::empty());
    home.ok(&["start", "--wait"]);
    let invite = [
        "daemon",
        "invite",
        "--name",
        "pi",
        "--register",
        "shop",
        "--register",
        "lab:db",
    ];
    let token = home.ok(&invite).stdout;
    let mut command = other.command(&["daemon", "enroll", "-", "--name", "work"]);
    command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(token.as_bytes()).expect("written");
    drop(input);
    Run::of(child.wait_with_output().expect("ended")).expect(0);
    (home, other)
}

fn there(home: &Home, arguments: &[&str]) -> Run {
    home.run(&[&["--context", "work"], arguments].concat())
}

/// A program in the background, which is killed with the value.
struct Background(Child);

impl Background {
    fn start(home: &Home, arguments: &[&str]) -> Self {
        Self(home.spawn(arguments))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.0.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("no zero");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Its lines, as they come.
    fn lines(&mut self) -> Receiver<String> {
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(self.0.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        lines
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The next event of a watch, in short.
fn next(lines: &Receiver<String>) -> String {
    let line = lines.recv_timeout(SOON).expect("an event in time");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match event["event"].as_str() {
        Some("snapshot") => {
            let entries = event["entries"].as_array().expect("a list").iter();
            let names: Vec<String> = entries.map(|entry| text(&entry["name"])).collect();
            format!("{} [{}]", text(&event["reason"]), names.join(" "))
        }
        Some("service_unregistered") => {
            format!("{} {}", text(&event["reason"]), text(&event["name"]))
        }
        Some(kind) => format!("{kind} {}", text(&event["entry"]["name"])),
        None => panic!("{line}"),
    }
}

fn is_listed(home: &Home, name: &str) -> bool {
    let list = home.ok(&["registry", "list", "-o", "json"]).json();
    let mut items = list["items"].as_array().expect("a list").iter();
    items.any(|item| item["name"] == name)
}

#[test]
fn a_service_is_registered_from_elsewhere_followed_resolved_and_lost_with_its_publisher() {
    let (home, other) = two_homes();
    let mut watch = Background::start(&home, &["registry", "watch", "-o", "json"]);
    let events = watch.lines();
    assert_eq!(next(&events), "first [web:one]");

    let publish = [
        "--context",
        "work",
        "registry",
        "publish",
        "shop:search",
        "--port",
        "http=9200",
        "--ttl",
        "1s",
    ];
    let publisher = Background::start(&other, &publish);
    assert_eq!(next(&events), "service_registered shop:search");
    for arguments in [
        ["resolve", "shop:search"].as_slice(),
        &["resolve", "shop:search:http"],
        &["resolve", "shop:search", "--port", "9200"],
        &["resolve", "shop:search", "--from", "one"],
    ] {
        assert_eq!(
            home.ok(arguments).stdout,
            "127.0.0.1:9200\n",
            "{arguments:?}"
        );
    }
    assert_eq!(
        there(&other, &["resolve", "shop:search"]).expect(0).stdout,
        "127.0.0.1:9200\n"
    );
    let found = home.ok(&["resolve", "shop:search", "-v"]);
    assert_eq!(found.stdout, "127.0.0.1:9200\n");
    found.says("loopback: same host: loopback");
    home.ok(&["resolve", "shop:search", "-o", "env"])
        .shows("SEARCH_PORT_HTTP=9200");
    let document = home.ok(&["resolve", "shop:search", "-o", "json"]).json();
    assert_eq!(document["owner"], "pi");
    home.ok(&["registry", "list"])
        .shows("shop:search")
        .shows("web:one");
    home.run(&["resolve", "shop:nothing"]).expect(4);
    home.run(&["resolve", "shop:search:nothing"]).expect(4);
    // A unit of this daemon, of whatever stack is meant.
    let own = home.ok(&["resolve", "one"]).stdout;
    assert_eq!(home.ok(&["resolve", "web:one"]).stdout, own);
    assert_eq!(
        there(&other, &["resolve", "web:one:http"]).expect(0).stdout,
        own
    );

    // Killed without a word: still there, then lost after its time.
    let killed = Instant::now();
    publisher.signal(rustix::process::Signal::KILL);
    assert!(is_listed(&home, "shop:search"));
    assert_eq!(next(&events), "lost shop:search");
    assert!(
        killed.elapsed() > Duration::from_millis(300),
        "{:?}",
        killed.elapsed()
    );

    // Ended in order: withdrawn at once, although its time is long.
    let publish = [
        "--context",
        "work",
        "registry",
        "publish",
        "shop:search",
        "--port",
        "9200",
        "--ttl",
        "1h",
    ];
    let mut publisher = Background::start(&other, &publish);
    assert_eq!(next(&events), "service_registered shop:search");
    publisher.signal(rustix::process::Signal::TERM);
    assert_eq!(next(&events), "withdrawn shop:search");
    assert!(publisher.0.wait().expect("ended").success());
}

#[test]
fn a_killed_daemon_has_back_what_was_registered_and_everybody_goes_on() {
    let (home, other) = two_homes();
    let publish = |name: &'static str| {
        [
            "--context",
            "work",
            "registry",
            "publish",
            name,
            "--port",
            "9200",
            "--ttl",
            "2s",
        ]
    };
    // The clients of the other home bring up no daemon, so that it is known which one comes.
    let watched = [
        "--context",
        "work",
        "registry",
        "watch",
        "shop",
        "-o",
        "json",
    ];
    let mut watch = Background::start(&other, &watched);
    let events = watch.lines();
    assert_eq!(next(&events), "first []");
    let _publisher = Background::start(&other, &publish("shop:search"));
    assert_eq!(next(&events), "service_registered shop:search");

    let status = home.ok(&["daemon", "status", "-o", "json"]).json();
    let pid = status["pid"]
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok());
    let pid = pid
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    // The next one listens at the same address: the other home knows no other.
    let address = status["listen"].as_str().expect("an address");
    let mut start = home.command(&["daemon", "start"]);
    let started = start.env("HARNESS_LISTEN", address).output();
    Run::of(started.expect("the program runs")).expect(0);
    assert!(is_listed(&home, "shop:search"));
    assert_eq!(next(&events), "gap [shop:search]");

    // One that begins its time now and is killed marks when that of the other would be over, if it had not gone on.
    let marker = Background::start(&other, &publish("shop:marker"));
    assert_eq!(next(&events), "service_registered shop:marker");
    drop(marker);
    assert_eq!(next(&events), "lost shop:marker");
    assert!(is_listed(&home, "shop:search"));
}

#[test]
fn a_grant_is_for_its_names_and_a_command_is_registered_while_it_runs() {
    let (home, other) = two_homes();
    there(
        &other,
        &[
            "registry", "publish", "web:two", "--port", "1", "--", "true",
        ],
    )
    .expect(6)
    .says("was granted shop, lab:db");
    there(&other, &["registry", "withdraw", "lab:cache"]).expect(6);
    home.run(&[
        "registry", "publish", "web:one", "--port", "1", "--", "true",
    ])
    .expect(1)
    .says("is defined here");
    let clients = home.ok(&["daemon", "clients"]);
    clients.shows("registers shop lab:db");
    home.ok(&["daemon", "grant", "pi", "observer", "--register", "web"]);
    there(
        &other,
        &["registry", "publish", "lab:db", "--port", "1", "--", "true"],
    )
    .expect(6);
    home.ok(&["daemon", "grant", "pi", "observer", "--no-register"]);
    there(
        &other,
        &[
            "registry", "publish", "web:two", "--port", "1", "--", "true",
        ],
    )
    .expect(6);

    let script = "exit 7";
    home.run(&[
        "registry", "publish", "lab:task", "--port", "1", "--", "sh", "-c", script,
    ])
    .expect(7);
    assert!(!is_listed(&home, "lab:task"));
    home.run(&[
        "registry",
        "publish",
        "lab:task",
        "--",
        "/nowhere/to/be/found",
    ])
    .expect(127);
    home.run(&["registry", "publish", "lab", "--port", "1"])
        .expect(2);
    home.run(&["registry", "publish", "lab:x", "--port", "0"])
        .expect(2);
    home.run(&["registry", "watch", "--since", "yesterday"])
        .expect(2);
    home.ok(&["registry", "withdraw", "lab:task"])
        .says("was not registered");
}

#[test]
fn health_is_told_by_whoever_keeps_the_registration() {
    let home = Home::new(ONE);
    home.ok(&["start", "--wait"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener
        .local_addr()
        .expect("an address")
        .port()
        .to_string();
    let mut watch = Background::start(&home, &["registry", "watch", "lab", "-o", "json"]);
    let events = watch.lines();
    assert_eq!(next(&events), "first []");
    let publish = [
        "registry", "publish", "lab:db", "--port", &port, "--health", "tcp",
    ];
    let _publisher = Background::start(&home, &publish);
    assert_eq!(next(&events), "service_registered lab:db");
    assert_eq!(next(&events), "service_health_changed lab:db");
    home.ok(&["registry", "list", "lab"]).shows("ready");
    drop(listener);
    assert_eq!(next(&events), "service_health_changed lab:db");
    home.ok(&["registry", "list", "lab"]).shows("unhealthy");
}
