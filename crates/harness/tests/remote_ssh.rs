//! Services on other hosts: the real program and hosts of `docker-test-env/hosts`.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod support;

use std::time::Duration;

use support::Home;
use support::hosts::{kill_daemon, trusted};
use testkit::lines::check_lines;
use testkit::{Hosts, eventually_blocking};

/// Longer than a connection is given up after, and a way is found again.
const LONG: Duration = Duration::from_secs(90);

#[test]
fn a_service_on_a_host_is_started_shown_asked_and_stopped() {
    let hosts = Hosts::shared();
    let home = Home::new(
        "name: lan\nservices:\n  \
         web:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
         args: [-c, 'echo at $HOST; pwd; exec FIXTURE serve 8090']\n    \
         env: {HOST: '${web.ip}'}\n    ports: [8090]\n    \
         healthcheck: {test: [\"CMD\", \"test\", \"-d\", \"/proc/1\"], interval: 1s}\n  \
         beside:\n    type: remote\n    host: host2\n    user: dash\n    binary: /bin/sh\n    \
         args: [-c, 'echo web is at $WEB_ADDR; exec sleep 1000']\n    depends_on: [web]\n  \
         here: {type: process, binary: /bin/sh, args: [-c, 'echo web is at $WEB_ADDR; exec sleep 1000'], depends_on: [web], ports: [8091]}\n",
    );
    home.run(&["start"])
        .expect(69)
        .says("there is no host `host1`: `harness host add host1 --address ADDRESS` adds it");
    home.run(&["validate"])
        .expect(0)
        .shows("harness host add host2");
    trusted(&home, &hosts, "host1");
    trusted(&home, &hosts, "host2");
    home.ok(&["start", "--wait"]);

    let (address, at) = (
        hosts.address("host1"),
        format!("{}:8090", hosts.address("host1")),
    );
    let web = home.unit("web");
    assert_eq!(
        (&web["host"], &web["address"]),
        (&"host1".into(), &at.as_str().into())
    );
    home.ok(&["status"]).shows("remote host1");
    let logs = home.ok(&["logs", "web"]);
    logs.shows(&format!("at {address}")).shows("/work/lan/web");
    // As others are told: from this machine, and from another host of its network.
    for unit in ["here", "beside"] {
        home.ok(&["logs", unit]).shows(&format!("web is at {at}"));
    }
    home.ok(&["net", "why", "beside", "web"]).shows(&address);
    home.run(&["net", "why", "beside", "here"])
        .shows("loopback");

    home.ok(&["exec", "web", "--", "hostname"]).shows("host1");
    // As the file says, and not the list.
    home.ok(&["exec", "beside", "--", "printenv", "USER"])
        .shows("dash");
    home.run(&["exec", "web", "--", "sh", "-c", "exit 7"])
        .expect(7);
    home.ok(&["why", "web"]).shows("it is up");
    home.ok(&["stop"]);
    assert_eq!(home.unit("web")["state"], "idle");
    home.ok(&["exec", "web", "--", "hostname"]);
}

#[test]
fn a_killed_daemon_a_cut_cable_and_a_power_loss_start_nothing_twice_and_lose_no_line() {
    let hosts = Hosts::own(1, 0);
    let home = Home::new(
        "name: far\nservices:\n  \
         lines:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
         args: [-c, 'echo once >> /root/lines; exec FIXTURE lines 6000 --rate 100']\n    restart: \"no\"\n  \
         always:\n    type: remote\n    host: host1\n    binary: /bin/sh\n    \
         args: [-c, 'echo once >> /root/always; exec sleep 10000']\n    restart: always\n",
    );
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    let pid = |unit: &str| home.unit(unit)["pid"].clone();
    let before = [pid("lines"), pid("always")];

    kill_daemon(&home);
    home.until("lines", "ready");
    assert_eq!([pid("lines"), pid("always")], before, "nothing was started");

    hosts.act("cut", "host1", &[]);
    let reason = |unit: &str| home.unit(unit)["reason"].as_str().map(str::to_owned);
    let is_away = || reason("lines").is_some_and(|text| text.contains("host1 cannot be reached"));
    eventually_blocking(LONG, "the host is missed", is_away);
    home.ok(&["why", "lines"])
        .shows("it was up when it could be asked last");
    // Longer than it takes to be missed, and than anybody may think it over.
    assert_eq!(home.unit("lines")["state"], "ready");
    hosts.act("heal", "host1", &[]);
    eventually_blocking(LONG, "the host is back", || reason("lines").is_none());
    assert_eq!([pid("lines"), pid("always")], before, "nothing was started");

    let done = |unit: &str| home.unit(unit)["stopped_at"].is_string();
    eventually_blocking(LONG, "all lines are written", || done("lines"));
    assert_eq!(home.unit("lines")["exit_code"], 0);
    let written = home.ok(&["logs", "lines", "--no-prefix", "--stream", "stdout"]);
    check_lines(&written.raw, "stdout", 6000).expect("every line, once");

    hosts.act("kill", "host1", &[]);
    let is_away = || reason("always").is_some_and(|text| text.contains("host1 cannot be reached"));
    eventually_blocking(LONG, "the host is missed", is_away);
    hosts.act("boot", "host1", &[]);
    let is_new =
        || pid("always").is_u64() && pid("always") != before[1] && reason("always").is_none();
    eventually_blocking(LONG, "it is started anew", is_new);
    let count = |unit: &str| {
        let file = format!("/root/{unit}");
        home.ok(&["exec", "always", "--", "cat", &file]).stdout
    };
    assert_eq!(
        (count("lines"), count("always")),
        ("once\n".into(), "once\nonce\n".into())
    );
    assert_eq!(home.unit("lines")["restarts"], 0);
    home.ok(&["stop"]);
}

#[test]
fn what_a_killed_daemon_has_left_open_is_closed_by_the_next_which_has_no_use_for_it() {
    let hosts = Hosts::shared();
    let home = Home::new(
        "name: left\nservices:\n  web: {type: remote, host: host1, binary: /bin/sleep, args: ['1000']}\n",
    );
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    home.ok(&["stop"]);
    let opened = masters(&home);
    assert_eq!(opened.len(), 1, "{opened:?}");
    kill_daemon(&home);
    assert_eq!(
        masters(&home),
        opened,
        "it outlives a daemon that is killed"
    );
    home.ok(&["daemon", "start"]);
    home.ok(&["exec", "web", "--", "true"]);
    home.ok(&["daemon", "stop"]);
    eventually_blocking(LONG, "nothing is open", || masters(&home).is_empty());
}

/// The processes of the client that hold connections of this home open.
fn masters(home: &Home) -> Vec<String> {
    let title = format!("ssh: {}", home.home().display());
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    let titles = entries.flatten().filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        (line.starts_with(&title) && line.contains("[mux]"))
            .then(|| entry.path().display().to_string())
    });
    titles.collect()
}

#[test]
fn what_could_not_be_stopped_while_its_host_was_away_is_ended_once_it_is_found() {
    let hosts = Hosts::own(1, 0);
    let home = Home::new(
        "name: late\nservices:\n  a: {type: remote, host: host1, binary: /bin/sleep, args: ['1000'], stop: {grace: 1s}}\n",
    );
    trusted(&home, &hosts, "host1");
    home.ok(&["start", "--wait"]);
    let first = home.unit("a")["pid"].clone();
    hosts.act("cut", "host1", &[]);
    eventually_blocking(LONG, "it is missed", || {
        home.unit("a")["reason"].is_string()
    });
    home.run(&["stop"]).expect(1);
    assert_eq!(home.unit("a")["state"], "lost");
    kill_daemon(&home);
    hosts.act("heal", "host1", &[]);
    // Nobody wants it: the next daemon finds it, and does what could not be done.
    eventually_blocking(LONG, "it has ended", || home.unit("a")["state"] == "idle");
    home.ok(&["start", "--wait"]);
    assert_ne!(home.unit("a")["pid"], first);

    // The same within one daemon: the next order asks once more.
    hosts.act("cut", "host1", &[]);
    eventually_blocking(LONG, "it is missed", || {
        home.unit("a")["reason"].is_string()
    });
    home.run(&["stop"]).expect(1);
    hosts.act("heal", "host1", &[]);
    eventually_blocking(
        LONG,
        "it is stopped by another order, if not by the first",
        || home.run(&["stop"]).code == 0 && home.unit("a")["state"] == "idle",
    );
}
