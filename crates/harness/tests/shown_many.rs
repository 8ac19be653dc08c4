//! Two hundred services in one stack.

mod shown;
mod support;

use std::fmt::Write;

use shown::Sandbox;

#[test]
fn two_hundred_services_come_up_are_seen_and_go() {
    let mut stack = String::from("services:\n");
    for number in 0..COUNT {
        // Every tenth is needed by the nine after it.
        let need = match number % 10 {
            0 => String::new(),
            _ => format!(", depends_on: [s{:03}]", number / 10 * 10),
        };
        writeln!(
            stack,
            "  s{number:03}: {{type: process, binary: FIXTURE, args: [hold]{need}}}"
        )
        .expect("memory");
    }
    let sandbox = Sandbox::new(&stack);
    sandbox.ok(&["start", "--wait"]).says("200 ready");
    let units = sandbox.units();
    let ready = units
        .iter()
        .filter(|unit| unit["state"] == "ready" && unit["pid"].is_u64());
    assert_eq!(ready.count(), COUNT);
    let mut pids: Vec<u32> = units
        .iter()
        .filter_map(|unit| unit["pid"].as_u64())
        .map(|pid| pid as u32)
        .collect();
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), COUNT);
    assert!(pids.iter().all(|pid| testkit::alive(*pid)));
    sandbox
        .ok(&["status", "--exit-code"])
        .shows("200 services, 200 ready");
    sandbox.ok(&["stop"]).says(": stopped");
    assert_eq!(
        pids.into_iter().filter(|pid| testkit::alive(*pid)).count(),
        0
    );
    assert!(
        sandbox
            .units()
            .iter()
            .all(|unit| unit["state"] == "idle" && unit["pid"].is_null())
    );
}

const COUNT: usize = 200;
