//! A service that ends: seen at once, restarted by its policy, named when it ends again and again.

mod shown;
mod support;

use chrono::{DateTime, Utc};
use serde_json::Value;
use shown::Sandbox;

fn moment(value: &Value) -> DateTime<Utc> {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no time"));
    text.parse().expect("RFC 3339")
}

#[test]
fn an_exit_is_seen_as_it_happens_with_its_code_or_signal() {
    let sandbox = Sandbox::new(
        "services:\n  \
         code: {type: process, binary: FIXTURE, args: [exit, \"7\", \"200\"], restart: \"no\"}\n  \
         good: {type: process, binary: FIXTURE, args: [exit, \"0\", \"200\"]}\n  \
         shot: {type: process, binary: FIXTURE, args: [hold], restart: \"no\"}\n",
    );
    sandbox.ok(&["start"]);
    let shot_at = Utc::now();
    shown::kill(sandbox.pid("shot"));
    let shot = sandbox.until_state("shot", "failed");
    assert_eq!(
        (&shot["exit_code"], &shot["signal"]),
        (&Value::Null, &9.into())
    );
    let code = sandbox.until_state("code", "failed");
    assert_eq!(
        (&code["exit_code"], &code["signal"]),
        (&7.into(), &Value::Null)
    );
    assert_eq!(sandbox.until_state("good", "done")["exit_code"], 0);
    // A second is much for a report that travels by itself, and little for one that somebody comes to fetch.
    let shot = &sandbox.events_of("shot", "service_failed")[0];
    let late = moment(&shot["timestamp"]) - shot_at;
    assert!(late.num_milliseconds() < 1_000, "{late} after the kill");
    let code = &sandbox.events_of("code", "service_failed")[0];
    let ran = moment(&code["timestamp"]) - moment(&sandbox.unit("code")["started_at"]);
    assert!(
        (200..1_200).contains(&ran.num_milliseconds()),
        "ended {ran} after its start"
    );
}

#[test]
fn a_crash_loop_is_restarted_with_backoff_then_named_and_a_start_clears_it() {
    let sandbox = Sandbox::new(
        "services:\n  till:\n    type: process\n    binary: /bin/sh\n    \
         args: [-c, \"echo cannot open the till; test -e mended || exit 3; exec FIXTURE hold\"]\n    \
         readiness: {log: pid}\n",
    );
    sandbox
        .run(&["start", "--wait"])
        .expect(1)
        .says("service `till`")
        .says("again and again")
        .says("exit code 3")
        .says("cannot open the till")
        .says("harness.yaml:2:3");
    let till = sandbox.unit("till");
    assert_eq!(
        (&till["state"], &till["phase"]),
        (&"crash-loop".into(), &"failed".into())
    );
    assert_eq!(
        (&till["exit_code"], &till["restarts"]),
        (&3.into(), &5.into())
    );
    let restarts = sandbox.events_of("till", "service_restarting");
    let delays: Vec<u64> = restarts
        .iter()
        .map(|event| event["event_data"]["delay_ms"].as_u64().expect("a time"))
        .collect();
    assert_eq!(delays[0], 0, "the first restart is immediate");
    for (delay, cap) in delays[1..].iter().zip([100, 200, 400, 800]) {
        assert!(*delay <= cap, "{delays:?}");
    }
    assert_eq!(delays.len(), 5, "{delays:?}");
    // Full jitter may choose any delay below the cap, so only what was chosen must have been kept.
    let starts = sandbox.events_of("till", "service_starting");
    for (restart, start) in restarts.iter().zip(&starts[1..]) {
        let waited = moment(&start["timestamp"]) - moment(&restart["timestamp"]);
        let delay = restart["event_data"]["delay_ms"].as_i64().expect("a time");
        assert!(
            waited.num_milliseconds() + 5 >= delay,
            "waited {waited}, not {delay} ms"
        );
    }
    sandbox
        .ok(&["why", "till"])
        .shows("again and again")
        .shows("exit code 3");
    sandbox
        .ok(&["status", "till"])
        .shows("cannot open the till");
    assert_eq!(sandbox.events_of("till", "service_crash_loop").len(), 1);

    sandbox.write("mended", "");
    sandbox.ok(&["start", "--wait"]);
    let till = sandbox.unit("till");
    assert_eq!(
        (&till["state"], &till["restarts"]),
        (&"ready".into(), &0.into())
    );
}

/// What the catalogue of events says of it.
#[test]
fn the_event_of_a_crash_loop_carries_the_last_output() {
    let sandbox = Sandbox::new(
        "services:\n  till:\n    type: process\n    binary: /bin/sh\n    \
         args: [-c, \"echo cannot open the till; exit 3\"]\n    readiness: {log: never}\n",
    );
    sandbox.run(&["start", "--wait"]).expect(1);
    let named = &sandbox.events_of("till", "service_crash_loop")[0]["event_data"];
    assert!(
        named["last_output"]
            .to_string()
            .contains("cannot open the till"),
        "{named}"
    );
}

#[test]
fn a_report_shows_what_the_last_run_said_and_nothing_of_those_before() {
    let sandbox = Sandbox::new(
        "services:\n  till:\n    type: process\n    binary: /bin/sh\n    \
         args: [-c, \"echo said by $$$$; exit 3\"]\n    readiness: {log: never}\n    restart: \"no\"\n",
    );
    for _ in 0..3 {
        let said = sandbox.run(&["start", "--wait"]).expect(1).stderr.clone();
        assert_eq!(said.matches("said by").count(), 1, "{said}");
    }
}
