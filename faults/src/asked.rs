//! What the programs say about units, events and logs, as rows ask for it.

use std::time::Duration;

use serde_json::Value;

use crate::fault::Fault;
use crate::place::{Place, number};
use crate::proc;
use crate::wait::{Look, PATIENCE, until};

/// A unit as `status -o json` shows it.
#[derive(Clone, Debug)]
pub(crate) struct Unit(pub(crate) Value);

impl Unit {
    pub(crate) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn state(&self) -> &str {
        self.0["state"].as_str().unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        number(&self.0["pid"])
    }

    pub(crate) fn instance(&self) -> Option<&str> {
        self.0["instance_id"].as_str()
    }

    /// Whether it will stay as it is until something happens to it.
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(
            self.state(),
            "starting" | "settling" | "stopping" | "backoff"
        )
    }

    /// Whether a process of it is said to run.
    pub(crate) fn is_up(&self) -> bool {
        self.pid().is_some()
    }
}

/// The document of `status -o json`.
#[derive(Clone, Debug)]
pub(crate) struct Status(pub(crate) Value);

impl Status {
    pub(crate) fn units(&self) -> Vec<Unit> {
        let items = self.0["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().map(Unit).collect()
    }

    /// What is wrong with the store, if anything.
    pub(crate) fn storage(&self) -> Option<&str> {
        self.0["storage"].as_str()
    }

    fn in_short(&self) -> String {
        let units = self.units();
        let states = units
            .iter()
            .map(|unit| format!("{} {}", unit.name(), unit.state()));
        states.collect::<Vec<_>>().join(", ")
    }
}

impl Place {
    /// `status -o json`, which brings up a daemon if there is something to look after.
    pub(crate) fn status(&self) -> Result<Status, Fault> {
        Ok(Status(self.ok(&["status", "-o", "json"])?.json()?))
    }

    /// One unit.
    pub(crate) fn unit(&self, name: &str) -> Result<Unit, Fault> {
        let status = self.status()?;
        let found = status.units().into_iter().find(|unit| unit.name() == name);
        found.ok_or_else(|| Fault::broken(format!("{name} is known"), status.in_short()))
    }

    /// Waits until this can be said of a unit, and returns it.
    pub(crate) fn until_unit(
        &self,
        name: &str,
        what: &str,
        is: impl Fn(&Unit) -> bool,
    ) -> Result<Unit, Fault> {
        self.until_unit_within(PATIENCE, name, what, is)
    }

    /// The same with another patience.
    pub(crate) fn until_unit_within(
        &self,
        limit: Duration,
        name: &str,
        what: &str,
        is: impl Fn(&Unit) -> bool,
    ) -> Result<Unit, Fault> {
        until(limit, &format!("{name} is {what}"), || {
            let unit = self.unit(name)?;
            let look = if is(&unit) {
                Look::Holds(unit)
            } else {
                Look::NotYet(unit.0.to_string())
            };
            Ok(look)
        })
    }

    /// Waits until a unit is in this state.
    pub(crate) fn until_state(&self, name: &str, state: &str) -> Result<Unit, Fault> {
        self.until_unit(name, state, |unit| unit.state() == state)
    }

    /// Waits until no unit is on its way from one state to another.
    pub(crate) fn until_settled(&self) -> Result<Status, Fault> {
        until(PATIENCE, "every unit has settled", || {
            let status = self.status()?;
            let is_settled = status.units().iter().all(Unit::is_settled);
            let in_short = status.in_short();
            Ok(if is_settled {
                Look::Holds(status)
            } else {
                Look::NotYet(in_short)
            })
        })
    }

    /// The process of a unit, which must run.
    pub(crate) fn pid(&self, unit: &str) -> Result<u32, Fault> {
        let unit = self.unit(unit)?;
        unit.pid()
            .ok_or_else(|| Fault::broken(format!("{} runs", unit.name()), unit.0.to_string()))
    }

    /// The shim that serves a unit, its first or a successor.
    pub(crate) fn shim(&self, unit: &str) -> Result<u32, Fault> {
        let unit = self.unit(unit)?;
        let program = self.program("harness-shim").display().to_string();
        let directory = format!("/run/{}", unit.instance().unwrap_or("none"));
        let is_it = |process: &proc::Process| {
            process.command.starts_with(&program) && process.command.ends_with(&directory)
        };
        let shim = proc::all().into_iter().find(is_it);
        let shim = shim.filter(|process| !process.is_zombie());
        shim.map(|process| process.pid)
            .ok_or_else(|| Fault::broken("it has a shim", unit.0.to_string()))
    }

    /// Everything that has happened, oldest first.
    pub(crate) fn events(&self) -> Result<Vec<Value>, Fault> {
        let run = self.ok(&["events", "-o", "json"])?;
        let text = String::from_utf8_lossy(&run.stdout).into_owned();
        let read = |line: &str| {
            serde_json::from_str(line).map_err(|_| Fault::Unreadable {
                what: "an event",
                text: line.to_owned(),
            })
        };
        text.lines().map(read).collect()
    }

    /// How often this has happened to a unit.
    pub(crate) fn count_events(&self, unit: &str, kind: &str) -> Result<usize, Fault> {
        let is_meant = |event: &&Value| {
            event["event_type"] == kind && event["event_data"]["service_name"] == unit
        };
        Ok(self.events()?.iter().filter(is_meant).count())
    }
}
