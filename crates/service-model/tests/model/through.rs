//! Order holds through what has completed, and through what does not run.

use service_model::Gate;
use service_model::{Because, Command, Goal, Input, Obstacle, Report, State, Verdict, Waiting};

use super::sim::{Sim, secs};

/// An application behind a migration of its database.
const STACK: &str = "db probed; migrate task needs db; app needs migrate";

#[test]
fn a_start_waits_for_what_the_completed_task_needed() {
    let mut sim = Sim::parse(STACK);
    sim.up("app").settle();
    assert_eq!(sim.launched(), ["db", "migrate", "app"]);
    sim.down_all().settle();
    assert_eq!(sim.state("migrate"), State::Done);
    sim.behave("db").healthy = None;
    sim.forget_history().up("app").run_for(secs(5));
    assert_eq!(sim.launched(), ["db"], "its database is not ready");
    let (app, db) = (sim.index("app"), sim.index("db"));
    let gate = Waiting::Gate {
        on: db,
        gate: Gate::Ready,
        state: State::Settling,
        unhealthy: false,
    };
    assert_eq!(sim.world.waiting_for(app), [gate]);
    assert_eq!(sim.verdict("app", Goal::Ready), Verdict::Pending);
    sim.tell("db", Report::Healthy).settle();
    assert_eq!(sim.launched(), ["db", "app"], "the task stays completed");
    assert_eq!(sim.state("app"), State::Ready);
}

#[test]
fn a_stop_waits_for_those_behind_the_completed_task() {
    let mut sim = Sim::parse(STACK);
    sim.up("app").settle();
    sim.behave("app").deaf = true;
    sim.down_all().run_for(secs(5));
    assert_eq!(
        (sim.stopped(), sim.state("db")),
        (vec!["app"], State::Ready)
    );
    let (app, db) = (sim.index("app"), sim.index("db"));
    assert_eq!(sim.world.waiting_for(db), [Waiting::StopsAfter(vec![app])]);
    sim.settle();
    assert_eq!(sim.stopped(), ["app", "db"]);
    assert!(sim.alive.is_empty());
}

#[test]
fn a_chain_of_completed_tasks_and_units_at_rest_is_one_edge() {
    let mut sim = Sim::parse(
        "db probed; schema task needs db; seed task needs schema; api needs seed; web needs api",
    );
    sim.up("web").settle();
    sim.stop(&["api"]).settle();
    assert_eq!(
        (sim.state("api"), sim.state("web")),
        (State::Idle, State::Ready)
    );
    sim.behave("web").deaf = true;
    sim.forget_history().down_all().run_for(secs(5));
    assert_eq!(sim.stopped(), ["web"], "what it needs goes after it");
    sim.settle();
    assert_eq!(sim.stopped(), ["web", "db"]);
    sim.behave("web").deaf = false;
    sim.forget_history().up("web").settle();
    assert_eq!(sim.launched(), ["db", "api", "web"]);
}

#[test]
fn who_is_to_blame_is_found_through_the_completed_task() {
    let mut sim = Sim::parse(STACK);
    sim.up("app").settle();
    sim.down_all().settle();
    sim.start(&["app"]).settle();
    assert_eq!(sim.state("app"), State::Idle);
    let db = sim.index("db");
    let blamed = Verdict::Never {
        unit: db,
        obstacle: Obstacle::NotWanted,
    };
    assert_eq!(sim.verdict("app", Goal::Ready), blamed);
    let why = sim.world.why(sim.index("app"));
    let roots: Vec<_> = why.roots().map(|root| (root.unit, root.because)).collect();
    assert_eq!(roots, [(db, Because::NotWanted)]);
}

#[test]
fn what_runs_goes_on_when_what_its_task_needed_goes() {
    let mut sim = Sim::parse("db; migrate task needs db; app needs migrate; opt needs migrate?");
    sim.up_all().settle();
    sim.stop(&["db"]).settle();
    assert_eq!(
        (sim.state("db"), sim.state("app")),
        (State::Idle, State::Ready)
    );
    sim.forget_history().restart(&["opt"]).settle();
    assert_eq!(sim.launched(), ["opt"], "it may do without");
}

#[test]
fn a_gate_that_the_same_order_shuts_is_not_open_for_anybody_of_it() {
    let mut sim = Sim::parse("db probed; job task needs db; again task needs db");
    sim.up_all().settle();
    assert_eq!(sim.state("job"), State::Done);
    let again = Command::Start {
        again: true,
        gateless: false,
    };
    let [job, other, db] = ["job", "again", "db"].map(|name| sim.index(name));
    sim.forget_history().step(Input::Commands(vec![
        (job, again),
        (db, Command::Restart),
        (other, again),
    ]));
    assert_eq!(
        (sim.state("db"), sim.launched().len()),
        (State::Stopping, 0)
    );
    sim.settle();
    assert_eq!(sim.launched()[0], "db");
    assert_eq!(sim.launched().len(), 3);
}
