//! Records of the state: whatever a record says, it is refused, or a world goes on from it.
//!
//! One record a line: `s` and a stack, `u` and a unit, `e` and an event.

use std::collections::BTreeMap;
use std::time::Duration;

use service_orchestration::model::{
    Attempt, Command, Edge, Effect, Index, Input, Policy, Report, Restored, World,
};
use service_orchestration::report::Event;
use service_orchestration::spec::{OnUnhealthy, ServiceSpec, UnitName};
use service_orchestration::store::{StackRecord, UnitRecord};

pub(crate) fn run(data: &[u8]) {
    let mut stacks: Vec<StackRecord> = Vec::new();
    let mut units: Vec<UnitRecord> = Vec::new();
    for line in data.split(|byte| *byte == b'\n').take(MAX_RECORDS) {
        match line.split_first() {
            Some((b's', record)) => stacks.extend(read(record)),
            Some((b'u', record)) => units.extend(read(record)),
            Some((b'e', record)) => drop(read::<Event>(record)),
            Some(_) | None => {}
        }
    }
    for stack in &stacks {
        go_on(stack, &units);
    }
}

/// A record, which must be the same when it is kept and read again.
fn read<T>(record: &[u8]) -> Option<T>
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let value: T = serde_json::from_slice(record).ok()?;
    let kept = serde_json::to_vec(&value).expect("what was read can be kept");
    let again: T = serde_json::from_slice(&kept).expect("what was kept can be read");
    assert_eq!(again, value);
    Some(value)
}

/// A world of the stack's units, each where its record says it was, and then what comes over every world.
fn go_on(stack: &StackRecord, records: &[UnitRecord]) {
    let mut world = World::new(0);
    let specs: Vec<&ServiceSpec> = stack.spec.units.values().take(MAX_UNITS).collect();
    let known: BTreeMap<&UnitName, Index> = specs
        .iter()
        .map(|spec| (&spec.name, world.reserve()))
        .collect();
    let policies = specs
        .iter()
        .map(|spec| (known[&spec.name], policy(spec, &specs, &known)))
        .collect();
    if world.define_all(policies).is_err() {
        return;
    }
    for record in records {
        if let Some(unit) = known.get(&record.id.name) {
            world.restore(*unit, restored(record));
        }
    }
    let (mut now, mut effects) = (Duration::from_secs(1), Vec::new());
    world.resume(now, &mut effects);
    let units: Vec<Index> = known.into_values().collect();
    for command in [Command::Stop, Command::Restart] {
        for unit in &units {
            let unit = *unit;
            let attempt = world.unit(unit).attempt;
            let report =
                Report::LaunchFailed(service_orchestration::model::LaunchFailure::Transient);
            let input = Input::Report {
                unit,
                attempt,
                report,
            };
            world.step(input, now, &mut effects);
        }
        let units = units.clone();
        world.step(Input::Command { units, command }, now, &mut effects);
        now += Duration::from_secs(3600);
        for effect in std::mem::take(&mut effects) {
            if let Effect::Arm { unit, token, .. } = effect {
                world.step(Input::Timer { unit, token }, now, &mut effects);
            }
        }
    }
}

fn policy(
    spec: &ServiceSpec,
    specs: &[&ServiceSpec],
    known: &BTreeMap<&UnitName, Index>,
) -> Policy {
    let edges = spec.dependencies.iter().filter_map(|dependency| {
        let on = *known.get(&dependency.unit)?;
        let other = specs.iter().find(|other| other.name == dependency.unit)?;
        Some(Edge {
            on,
            gate: dependency.gate.unwrap_or_else(|| other.default_gate()),
            required: dependency.required,
            restart: dependency.restart,
        })
    });
    Policy {
        kind: spec.kind,
        edges: edges.collect(),
        probed: spec.readiness.is_some() || spec.startup.is_some(),
        setup: false,
        attached: spec.target.kind().is_attached(),
        restart: spec.restart.clone(),
        restart_on_unhealthy: spec.on_unhealthy == OnUnhealthy::Restart,
        startup_timeout: spec.startup_timeout,
        run_timeout: spec.timeout,
        grace: spec.stop.grace,
    }
}

fn restored(record: &UnitRecord) -> Restored {
    Restored {
        state: record.state.into(),
        attempt: Attempt(record.attempt),
        wanted: record.wanted,
        held: record.held,
        gateless: record.gateless,
        restarts: record.restarts,
        failures: record.failures,
        launched: record.launched,
        unhealthy: record.unhealthy,
        renew: record.renew,
        forced: record.forced,
        ..Restored::default()
    }
}

const MAX_RECORDS: usize = 64;
const MAX_UNITS: usize = 64;
