//! How long the model takes to plan large stacks: `cargo run --release --example plan_scale [units]`.
//!
//! Time is that of the model alone: definitions, then every step of bringing all units up and down again, with each
//! process answering at once. The target for one plan of 10,000 units is 50 ms.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use service_model::{Command, Edge, Effect, End, Index, Input, Policy, Report, State, World};
use service_model::{Gate, Restart, UnitKind};

fn main() {
    let units = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(10_000);
    measure("three random needs each", units, |at, dice| {
        (0..at.min(3)).map(|_| dice(at)).collect()
    });
    measure("one hub that all need", units, |at, _| {
        (0..at.min(1)).collect()
    });
    measure("a chain", units, |at, _| {
        at.checked_sub(1).into_iter().collect()
    });
    measure("one that needs all", units, |at, _| match at == units - 1 {
        true => (0..at).collect(),
        false => Vec::new(),
    });
    measure("a ladder", units, |at, _| {
        (at.saturating_sub(2)..at).collect()
    });
}

fn measure(name: &str, units: u32, needs: impl Fn(u32, &mut dyn FnMut(u32) -> u32) -> Vec<u32>) {
    let mut state = 42_u64;
    let mut dice = |bound: u32| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % u64::from(bound)) as u32
    };
    let mut policies = Vec::new();
    for at in 0..units {
        let mut on = needs(at, &mut dice);
        on.sort_unstable();
        on.dedup();
        policies.push(policy(&on));
    }
    let mut world = World::new(1);
    let begin = Instant::now();
    let defined = policies
        .into_iter()
        .map(|policy| (world.reserve(), policy))
        .collect();
    world
        .define_all(defined)
        .expect("units need lower ones only");
    let defining = begin.elapsed();

    let all: Vec<Index> = (0..units).map(Index).collect();
    let start = Command::Start {
        again: false,
        gateless: false,
    };
    let (first_up, up) = drive(&mut world, &all, start);
    assert!(
        all.iter()
            .all(|&unit| world.unit(unit).state == State::Ready),
        "all is up"
    );
    let (first_down, down) = drive(&mut world, &all, Command::Stop);
    assert!(
        all.iter()
            .all(|&unit| world.unit(unit).state == State::Idle),
        "all is down"
    );
    println!(
        "{units} units, {name}: define {defining:.1?}, plan up {first_up:.1?} (all steps {up:.1?}), \
         plan down {first_down:.1?} (all steps {down:.1?})"
    );
}

/// Gives one command and answers every order at once; how long the command's own step took, and all steps together.
fn drive(world: &mut World, units: &[Index], command: Command) -> (Duration, Duration) {
    let (units, now) = (units.to_vec(), Duration::from_secs(1));
    let mut effects = Vec::new();
    let begin = Instant::now();
    world.step(Input::Command { units, command }, now, &mut effects);
    let first = begin.elapsed();
    let mut answers = VecDeque::new();
    loop {
        answers.extend(effects.drain(..).filter_map(answer));
        let Some(input) = answers.pop_front() else {
            return (first, begin.elapsed());
        };
        world.step(input, now, &mut effects);
    }
}

fn answer(effect: Effect) -> Option<Input> {
    let (unit, attempt, report) = match effect {
        Effect::Launch(unit, attempt) => (unit, attempt, Report::Launched),
        Effect::Probe(unit, attempt) => (unit, attempt, Report::Healthy),
        Effect::Terminate(unit, attempt) => (unit, attempt, Report::Exited(End::Success)),
        Effect::CheckSetup(..)
        | Effect::PerformSetup(..)
        | Effect::Kill(..)
        | Effect::Detach(..)
        | Effect::Arm { .. }
        | Effect::Publish(..)
        | Effect::Withdraw(..)
        | Effect::Moved(_) => return None,
    };
    Some(Input::Report {
        unit,
        attempt,
        report,
    })
}

fn policy(on: &[u32]) -> Policy {
    let edge = |&on: &u32| Edge {
        on: Index(on),
        gate: Gate::Ready,
        required: true,
        restart: false,
    };
    Policy {
        kind: UnitKind::Service,
        edges: on.iter().map(edge).collect(),
        probed: true,
        setup: false,
        attached: false,
        restart: Restart::default(),
        restart_on_unhealthy: false,
        startup_timeout: None,
        run_timeout: None,
        grace: Duration::from_secs(10),
    }
}
