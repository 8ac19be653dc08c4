//! A service that does not want to end: deaf, forked twice, in a session of its own.

mod shown;
mod support;

use std::time::{Duration, Instant};

use shown::{DEADLINE, Sandbox};
use testkit::{alive, eventually_blocking};

const DEAF: &str = "\
services:
  deaf:
    type: process
    binary: /bin/sh
    args: [-c, \"trap '' TERM INT HUP; exec FIXTURE daemonize --stay --quiet\"]
    stop: {grace: 1s}
  polite:
    type: process
    binary: FIXTURE
    args: [hold]
    depends_on: [deaf]
";

#[test]
fn it_is_gone_within_the_grace_and_two_seconds_and_the_report_says_how() {
    Sandbox::each(DEAF, |sandbox| {
        sandbox.ok(&["start", "--wait"]);
        let main = sandbox.pid("deaf");
        let marker = sandbox.unit("deaf")["instance_id"]
            .as_str()
            .map(str::to_owned)
            .expect("it runs");
        let marker = format!("HARNESS_INSTANCE_ID={marker}");
        let mut tree = Vec::new();
        eventually_blocking(DEADLINE, "the orphan is there, in another session", || {
            tree = testkit::processes_with_env(&marker);
            let orphans = tree
                .iter()
                .filter(|pid| **pid != main && name(**pid) == "fixture");
            orphans.count() == 1
        });
        let begun = Instant::now();
        let report = sandbox.ok(&["stop"]);
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_secs(1),
            "it was given its grace: {took:?}"
        );
        assert!(took < Duration::from_secs(3), "{took:?}");
        let left: Vec<u32> = tree.into_iter().filter(|pid| alive(*pid)).collect();
        assert!(left.is_empty(), "{left:?}");
        report
            .says("deaf ignored its stop signal")
            .says("killed")
            .says("fixture");
        let stop = &sandbox.unit("deaf")["stop"];
        assert_eq!(stop["escalation"], "killed");
        assert!(stop["leftover_count"].as_u64() >= Some(1), "{stop}");
        assert!(stop["leftovers"].to_string().contains("fixture"), "{stop}");
        assert_eq!(sandbox.unit("polite")["stop"]["escalation"], "none");
    });
}

fn name(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}
