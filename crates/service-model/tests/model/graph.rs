//! Definitions: rings, order, what a changed one means.

use service_model::Gate;
use service_model::{DefineError, Edge, Index, State, StillActive, World};

use super::sim::{Sim, secs};
use super::text::plain_policy;

fn needs(on: &[Index]) -> service_model::Policy {
    let edge = |&on| Edge {
        on,
        gate: Gate::Ready,
        required: true,
        restart: false,
    };
    service_model::Policy {
        edges: on.iter().map(edge).collect(),
        ..plain_policy()
    }
}

#[test]
fn a_ring_is_refused_with_its_units_in_order_and_changes_nothing() {
    let mut world = World::new(1);
    let [a, b, c, d] = [(); 4].map(|()| world.reserve());
    world.define(Some(d), needs(&[a])).expect("no ring");
    let ring = vec![(a, needs(&[b])), (b, needs(&[c])), (c, needs(&[a]))];
    assert_eq!(
        world.define_all(ring),
        Err(DefineError::Cycle(vec![a, b, c]))
    );
    assert_eq!(
        world.define(Some(a), needs(&[a])),
        Err(DefineError::Cycle(vec![a]))
    );
    assert_eq!(world.dependencies(d), [a]);
    assert_eq!(world.dependents(b), []);
    let stranger = Index(77);
    assert_eq!(
        world.define(None, needs(&[stranger])),
        Err(DefineError::Unknown(stranger))
    );
}

#[test]
fn an_edge_can_be_turned_round_in_one_batch() {
    let mut world = World::new(1);
    let a = world.define(None, needs(&[])).expect("no ring");
    let b = world.define(None, needs(&[a])).expect("no ring");
    assert_eq!(
        world.define(Some(a), needs(&[b])),
        Err(DefineError::Cycle(vec![a, b]))
    );
    world
        .define_all(vec![(a, needs(&[b])), (b, needs(&[]))])
        .expect("no ring is left");
    assert_eq!(world.dependencies(a), [b]);
    world.resume(secs(0), &mut Vec::new());
    world.check();
}

#[test]
fn what_is_reached_is_listed_with_what_is_needed_first() {
    let sim = Sim::parse("a; b needs a; c needs a; d needs b, c; e needs d; other");
    let names = |units: Vec<Index>| {
        units
            .into_iter()
            .map(|unit| sim.name(unit).to_owned())
            .collect::<Vec<_>>()
    };
    let up = names(sim.world.dependencies(sim.index("e")));
    assert_eq!((up[0].as_str(), up[3].as_str(), up.len()), ("a", "d", 4));
    let down = names(sim.world.dependents(sim.index("a")));
    assert_eq!(
        (down[2].as_str(), down[3].as_str(), down.len()),
        ("d", "e", 4)
    );
}

#[test]
fn a_changed_definition_does_not_touch_what_runs() {
    // process-compose 494: an update bounces unchanged services.
    let mut sim = Sim::parse("db; api needs db; other");
    sim.up_all().settle();
    sim.forget_history();
    let (api, other) = (sim.index("api"), sim.index("other"));
    sim.world
        .define(Some(api), needs(&[other]))
        .expect("no ring");
    let mut effects = Vec::new();
    sim.world.resume(sim.now, &mut effects);
    sim.take(effects);
    sim.settle();
    assert!(sim.history.is_empty());
    sim.down_all();
    assert_eq!(
        sim.stopped(),
        ["db", "api"],
        "the new edges count for what comes next"
    );
}

#[test]
fn what_is_active_is_not_forgotten_and_what_needs_a_forgotten_unit_waits() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    let db = sim.index("db");
    assert_eq!(sim.world.remove(db), Err(StillActive));
    sim.down_all().settle();
    assert_eq!(sim.world.remove(db), Ok(()));
    sim.up("api").settle();
    assert_eq!(sim.state("api"), State::Idle);
    let mut effects = Vec::new();
    sim.world.define(Some(db), needs(&[])).expect("no ring");
    sim.world.resume(sim.now, &mut effects);
    sim.take(effects);
    sim.up("api").settle();
    assert_eq!(sim.state("api"), State::Ready);
}
