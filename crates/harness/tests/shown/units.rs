//! What the programs say about units, events and logs, as tests ask for it.

use serde_json::Value;
use testkit::eventually_blocking;

use super::sandbox::{DEADLINE, Sandbox, pid};

impl Sandbox {
    /// The units of `status -o json`.
    #[track_caller]
    pub(crate) fn units(&self) -> Vec<Value> {
        let status = self.ok(&["status", "-o", "json"]).json();
        status["items"].as_array().expect("a list").clone()
    }

    /// One of them.
    #[track_caller]
    pub(crate) fn unit(&self, name: &str) -> Value {
        let units = self.units();
        let found = units.iter().find(|unit| unit["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {units:?}"))
            .clone()
    }

    /// Its process, which must run.
    #[track_caller]
    pub(crate) fn pid(&self, unit: &str) -> u32 {
        pid(&self.unit(unit)["pid"])
    }

    /// Waits until this can be said of a unit, and returns it.
    #[track_caller]
    pub(crate) fn until(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut unit = Value::Null;
        eventually_blocking(DEADLINE, &format!("{name}: {what}"), || {
            unit = self.unit(name);
            is(&unit)
        });
        unit
    }

    /// Waits until a unit is in this state.
    #[track_caller]
    pub(crate) fn until_state(&self, name: &str, state: &str) -> Value {
        self.until(name, state, |unit| unit["state"] == state)
    }

    /// Everything that has happened.
    #[track_caller]
    pub(crate) fn events(&self) -> Vec<Value> {
        let run = self.ok(&["events", "-o", "json"]);
        let event = |line: &str| serde_json::from_str(line).expect("a document per line");
        run.stdout.lines().map(event).collect()
    }

    /// What of it happened to a unit in this way.
    #[track_caller]
    pub(crate) fn events_of(&self, unit: &str, kind: &str) -> Vec<Value> {
        let is_meant = |event: &Value| {
            event["event_type"] == kind && event["event_data"]["service_name"] == unit
        };
        self.events().into_iter().filter(is_meant).collect()
    }

    /// Every byte that a unit has written to standard output.
    #[track_caller]
    pub(crate) fn log(&self, unit: &str) -> Vec<u8> {
        self.ok(&["logs", unit, "--no-prefix", "--stream", "stdout"])
            .raw
    }

    /// The shim beside a service.
    #[track_caller]
    pub(crate) fn shim(&self, unit: &str) -> u32 {
        let service = self.pid(unit);
        let status = std::fs::read_to_string(format!("/proc/{service}/status")).expect("it runs");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        let parent: u32 = parent
            .and_then(|pid| pid.trim().parse().ok())
            .expect("it has a parent");
        let program = std::fs::read_to_string(format!("/proc/{parent}/comm")).expect("it runs");
        assert_eq!(program.trim(), "harness-shim");
        parent
    }

    /// How many processes of the test program run in the sandbox, whoever knows of them.
    pub(crate) fn services_running(&self) -> usize {
        let here = |pid: &u32| {
            let link =
                |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default();
            link("cwd") == self.path() && link("exe") == self.fixture()
        };
        let entries = std::fs::read_dir("/proc")
            .expect("/proc is mounted")
            .flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(here).filter(|pid| testkit::alive(*pid)).count()
    }
}
