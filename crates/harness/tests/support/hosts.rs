//! Hosts of `docker-test-env/hosts`, as users add them.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use testkit::Hosts;

use super::{Home, Run};

/// The fingerprint of a host, as its owner would tell it.
pub(crate) fn fingerprint(hosts: &Hosts, name: &str) -> String {
    let address = hosts.address(name);
    let known = fs::read_to_string(hosts.directory().join("known_hosts")).expect("there");
    let line = known
        .lines()
        .find(|line| line.starts_with(&format!("{address} ")));
    let mut child = Command::new("ssh-keygen")
        .args(["-l", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(line.expect("known").as_bytes())
        .expect("written");
    drop(stdin);
    let told = child.wait_with_output().expect("it ends").stdout;
    let told = String::from_utf8(told).expect("text");
    told.split_whitespace()
        .nth(1)
        .expect("a fingerprint")
        .to_owned()
}

fn key(hosts: &Hosts) -> String {
    hosts.directory().join("id_ed25519").display().to_string()
}

/// `host add`, with these words more.
pub(crate) fn add(home: &Home, hosts: &Hosts, name: &str, more: &[&str]) -> Run {
    let (address, key) = (hosts.address(name), key(hosts));
    let words = [
        "host",
        "add",
        name,
        "--address",
        &address,
        "--user",
        "root",
        "--key",
        &key,
    ];
    home.run(&[&words, more].concat())
}

/// A host that is trusted from now on.
#[track_caller]
pub(crate) fn trusted(home: &Home, hosts: &Hosts, name: &str) {
    let fingerprint = fingerprint(hosts, name);
    add(home, hosts, name, &["--fingerprint", &fingerprint]).expect(0);
}

/// Ends the daemon as the kernel does when memory runs out.
pub(crate) fn kill_daemon(home: &Home) {
    let info = home.ok(&["daemon", "status", "-o", "json"]).json();
    let pid = info["pid"].as_i64().expect("it runs");
    let killed = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.expect("it runs").success());
}
