//! Services on hosts that their own shells keep: the real program and hosts of `docker-test-env/hosts`.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod support;

use std::time::Duration;

use support::Home;
use support::hosts::add;
use support::hosts::fingerprint;
use testkit::lines::check_lines;
use testkit::{Hosts, eventually_blocking};

/// Longer than a connection is given up after, and a way is found again.
const LONG: Duration = Duration::from_secs(90);

#[track_caller]
fn kept_by_sh(home: &Home, hosts: &Hosts, name: &str) {
    let known = fingerprint(hosts, name);
    let words = ["--fingerprint", &known, "--runner", "sh"];
    add(home, hosts, name, &words).expect(0);
}

#[test]
fn a_service_that_a_shell_keeps_is_started_asked_restarted_and_stopped() {
    let hosts = Hosts::shared();
    let home = Home::new(
        "name: kept\nservices:\n  \
         web:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
         args: [-c, 'echo at $HOST; echo secret is $SECRET; exec FIXTURE serve 8190']\n    \
         env: {HOST: '${web.ip}', SECRET: \"it's $$HOME\"}\n    ports: [8190]\n    \
         healthcheck: {test: [\"CMD\", \"test\", \"-d\", \"/proc/1\"], interval: 1s}\n  \
         crash:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
         args: [-c, 'echo once >> count; [ $(wc -l <count) -ge 3 ] && exec sleep 1000; exit 3']\n    \
         restart: on-failure\n  \
         once: {type: remote, host: host1, binary: /bin/sh, args: [-c, 'echo bye; exit 9'], restart: 'no'}\n",
    );
    kept_by_sh(&home, &hosts, "host1");
    home.ok(&["host", "list"]).shows("RUNNER").shows("sh");
    home.ok(&["host", "check"]).shows("runner sh (asked for)");
    home.run(&["start"]).expect(0);
    home.until("web", "ready");
    let web = home.unit("web");
    assert_eq!(web["host"], "host1");
    home.ok(&["status"]).shows("kept by sh");
    assert!(
        web["reason"]
            .as_str()
            .is_some_and(|text| text.contains("no cgroup")),
        "{web}"
    );
    home.ok(&["logs", "web"])
        .shows(&format!("at {}", hosts.address("host1")))
        .shows("secret is it's $HOME");
    home.ok(&["exec", "web", "--", "hostname"]).shows("host1");
    home.run(&["exec", "web", "--", "sh", "-c", "exit 7"])
        .expect(7);
    eventually_blocking(LONG, "the third stays", || {
        home.unit("crash")["restarts"] == 2 && home.unit("crash")["pid"].is_u64()
    });
    eventually_blocking(LONG, "its code is known", || {
        home.unit("once")["exit_code"] == 9
    });
    home.ok(&["logs", "once"]).shows("bye");
    home.ok(&["stop"]);
    assert_eq!(home.unit("web")["state"], "idle");
    home.ok(&["down", "--volumes", "--yes"]);
}

#[test]
fn a_shell_that_keeps_services_starts_nothing_twice_and_loses_no_line() {
    let hosts = Hosts::own(1, 0);
    let home = Home::new(
        "name: far\nservices:\n  \
         lines:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
         args: [-c, 'echo once >> /root/lines; exec FIXTURE lines 3500 --rate 100']\n    restart: \"no\"\n  \
         always:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
         args: [-c, 'echo once >> /root/always; exec sleep 10000']\n    restart: always\n",
    );
    kept_by_sh(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    let pid = |unit: &str| home.unit(unit)["pid"].clone();
    let before = [pid("lines"), pid("always")];

    kill_daemon(&home);
    home.until("lines", "ready");
    assert_eq!([pid("lines"), pid("always")], before, "nothing was started");

    hosts.act("cut", "host1", &[]);
    let is_away = |unit: &str| {
        let reason = home.unit(unit)["reason"].clone();
        reason
            .as_str()
            .is_some_and(|text| text.contains("host1 cannot be reached"))
    };
    eventually_blocking(LONG, "the host is missed", || is_away("lines"));
    assert_eq!(home.unit("lines")["state"], "ready");
    hosts.act("heal", "host1", &[]);
    eventually_blocking(LONG, "the host is back", || !is_away("lines"));
    assert_eq!([pid("lines"), pid("always")], before, "nothing was started");

    let done = |unit: &str| home.unit(unit)["stopped_at"].is_string();
    eventually_blocking(LONG, "all lines are written", || done("lines"));
    assert_eq!(home.unit("lines")["exit_code"], 0);
    let written = home.ok(&["logs", "lines", "--no-prefix", "--stream", "stdout"]);
    check_lines(&written.raw, "stdout", 3500).expect("every line, once");

    hosts.act("kill", "host1", &[]);
    eventually_blocking(LONG, "the host is missed", || is_away("always"));
    hosts.act("boot", "host1", &[]);
    let is_new = || pid("always").is_u64() && pid("always") != before[1] && !is_away("always");
    eventually_blocking(LONG, "it is started anew", is_new);
    let count = |unit: &str| {
        let file = format!("/root/{unit}");
        home.ok(&["exec", "always", "--", "cat", &file]).stdout
    };
    assert_eq!(
        (count("lines"), count("always")),
        ("once\n".into(), "once\nonce\n".into())
    );
    home.ok(&["stop"]);
}

/// As the kernel does when memory runs out.
fn kill_daemon(home: &Home) {
    let info = home.ok(&["daemon", "status", "-o", "json"]).json();
    let pid = info["pid"].as_i64().expect("it runs");
    let killed = std::process::Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.expect("it runs").success());
}
