//! A daemon that is reached by an address of its own, from elsewhere.
//!
//! Owns: a network namespace with two addresses that are no loopback's.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::row::Order;
use crate::tools;
use crate::wait::{PATIENCE, until_true};

/// Invites, enrols and asks by that address.
pub(crate) fn address(_: &Order) -> Result<String, Fault> {
    let network = Network::new()?;
    let mut place = Place::new("name: remote\nservices: {}\n")?;
    let pid = network.0.id().to_string();
    let inside = ["nsenter", "--target", &pid, "--net", "--"];
    for arguments in [
        "link set lo up",
        "address add 10.77.0.1/24 dev lo",
        "address add 10.77.0.2/24 dev lo",
    ] {
        let words: Vec<&str> = inside[1..]
            .iter()
            .copied()
            .chain(["ip"])
            .chain(arguments.split(' '))
            .collect();
        tools::run("nsenter", &words)?;
    }
    place.confine(&inside);
    place.set("HARNESS_LISTEN", "10.77.0.1:9555");
    let refused = place.run(&["daemon", "start"])?;
    promise(
        refused.code != 0,
        "nobody listens where others can reach it without being told to",
        || refused.line.clone(),
    )?;
    place.set("HARNESS_ALLOW_REMOTE", "1");
    place.daemon_up()?;
    let invite = "daemon invite --role observer --name laptop --address 10.77.0.1:9555";
    let invite: Vec<&str> = invite.split(' ').collect();
    let said = place.ok(&invite)?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut words = said.split_whitespace();
    let token = words.rfind(|word| word.starts_with("harness1."));
    let token = token.unwrap_or_default();
    let home = place.home().display().to_string();
    let other = place.path().join("elsewhere").display().to_string();
    place.set("HARNESS_HOME", other);
    let mut enroll = place.command(&["daemon", "enroll", "-"]);
    let mut child = enroll
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(Fault::io("run", "harness"))?;
    if let Some(mut stdin) = child.stdin.take() {
        writeln!(stdin, "{token}").map_err(Fault::io("write to", "harness"))?;
    }
    let status = child.wait().map_err(Fault::io("await", "harness"))?;
    promise(
        status.success(),
        "an invitation to an address serves",
        || status.to_string(),
    )?;
    place.ok(&["--context", "10.77.0.1", "ls"])?;
    let beyond = place.run(&["--context", "10.77.0.1", "daemon", "clients"])?;
    promise(beyond.code == 6, "and gives the role it was for", || {
        format!("{} ended with {}", beyond.line, beyond.code)
    })?;
    place.set("HARNESS_HOME", home);
    place.finish()?;
    Ok("invited, enrolled and answered at 10.77.0.1; more than its role refused".to_owned())
}

/// A namespace, for as long as somebody is in it.
struct Network(Child);

impl Network {
    fn new() -> Result<Self, Fault> {
        let own = std::fs::read_link("/proc/self/ns/net");
        let child = Command::new(tools::find("unshare")?)
            .args(["--net", "--", "sleep", "300"])
            .spawn()
            .map_err(Fault::io("run", "unshare"))?;
        let there = format!("/proc/{}/ns/net", child.id());
        let network = Self(child);
        let own = own.map_err(Fault::io("read", "/proc/self/ns/net"))?;
        until_true(PATIENCE, "there is a network of its own", || {
            std::fs::read_link(&there).is_ok_and(|its| its != own)
        })?;
        Ok(network)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
