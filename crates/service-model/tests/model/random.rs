//! Random worlds: whatever happens, in whatever order, the invariants of the model hold.

use service_model::UnitKind;
use service_model::{Command, Goal, State, Verdict};

use super::chaos::{Chaos, START};

/// How many worlds; `MODEL_WORLDS` overrides it.
const WORLDS: u64 = 100_000;

#[test]
fn whatever_happens_the_invariants_hold_and_every_world_comes_to_rest() {
    let worlds = std::env::var("MODEL_WORLDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(WORLDS);
    let first = std::env::var("MODEL_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (steps, launches) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    survive((first + thread..first + worlds).step_by(threads as usize))
                })
            })
            .collect();
        let counts = workers
            .into_iter()
            .map(|worker| worker.join().expect("its worlds hold"));
        counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
    });
    println!("{worlds} worlds, {steps} steps, {launches} launches");
    assert!(
        launches > worlds,
        "the worlds are too quiet to prove anything"
    );
}

fn survive(seeds: impl Iterator<Item = u64>) -> (u64, u64) {
    let (mut steps, mut launches) = (0, 0);
    for seed in seeds {
        let mut chaos = Chaos::new(seed);
        // Under attack, with processes that fail for ever, a world need not come to rest.
        chaos.run_for_attacks();
        chaos.heal();
        assert!(chaos.run(), "seed {seed}: no rest: {:?}", chaos.states());
        comes_up(&mut chaos);
        goes_down(&mut chaos);
        steps += chaos.steps;
        launches += chaos.launches;
    }
    (steps, launches)
}

/// Started again from whatever rest it came to, all of it comes up.
fn comes_up(chaos: &mut Chaos) {
    let seed = chaos.seed;
    chaos.ask(Command::Release);
    chaos.ask(Command::Start {
        again: true,
        gateless: false,
    });
    assert!(
        chaos.run(),
        "seed {seed}: no rest when started: {:?}",
        chaos.states()
    );
    for unit in chaos.all() {
        let view = chaos.world.unit(unit);
        let is_up = match chaos.policies[unit.0 as usize].kind {
            UnitKind::Service => view.state == State::Ready && view.published,
            UnitKind::Task => view.state == State::Done,
        };
        assert!(
            is_up,
            "seed {seed}: {unit:?} is not up: {view:?}\n{:#?}",
            chaos.world.why(unit)
        );
        assert_eq!(
            chaos.world.verdict(unit, Goal::Ready),
            Verdict::Reached,
            "seed {seed}: {unit:?}"
        );
    }
    let launches = chaos.launches;
    chaos.ask(START);
    chaos.run();
    assert_eq!(
        chaos.launches, launches,
        "seed {seed}: a second start changes nothing"
    );
}

/// Stopped, nothing of it is left.
fn goes_down(chaos: &mut Chaos) {
    let seed = chaos.seed;
    chaos.ask(Command::Stop);
    assert!(
        chaos.run(),
        "seed {seed}: no rest when stopped: {:?}",
        chaos.states()
    );
    for unit in chaos.all() {
        let state = chaos.world.unit(unit).state;
        assert!(
            !state.is_active(),
            "seed {seed}: {unit:?} is still {state:?}"
        );
        assert_eq!(
            chaos.world.verdict(unit, Goal::Stopped),
            Verdict::Reached,
            "seed {seed}: {unit:?}"
        );
    }
}

/// No shell behaves like this; the model must be total all the same.
#[test]
fn whatever_is_reported_in_whatever_state_nothing_breaks() {
    for seed in 1..=5_000 {
        let mut chaos = Chaos::new(seed);
        for _ in 0..60 {
            chaos.tell_nonsense();
        }
    }
}
