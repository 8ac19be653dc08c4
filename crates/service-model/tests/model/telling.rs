//! What it says about itself: why, waiting, verdicts.

use service_model::Gate;
use service_model::{Because, Goal, Obstacle, Report, State, Verdict, Waiting};

use super::sim::{Sim, secs};

#[test]
fn why_leads_down_to_the_root_cause_and_tells_each_unit_once() {
    let mut sim =
        Sim::parse("db probed; migrate task needs db; api needs db, migrate; web needs api:ready");
    sim.behave("db").healthy = None;
    sim.up("web").run_for(secs(1));
    let why = sim.world.why(sim.index("web"));
    let told: Vec<_> = why
        .reasons
        .iter()
        .map(|reason| (reason.depth, sim.name(reason.unit), reason.repeated))
        .collect();
    let expected = [
        (0, "web", false),
        (1, "api", false),
        (2, "db", false),
        (2, "migrate", false),
        (3, "db", true),
    ];
    assert_eq!(told, expected);
    let roots: Vec<_> = why
        .roots()
        .map(|reason| (sim.name(reason.unit), reason.gate, reason.because))
        .collect();
    assert_eq!(roots, [("db", Some(Gate::Ready), Because::Proving)]);
}

#[test]
fn why_tells_unhealthy_failed_held_and_unwanted_apart() {
    let mut sim = Sim::parse(
        "sick probed; failed task; held; unwanted; api needs sick, failed, held, unwanted",
    );
    sim.behave("sick").healthy = Some(false);
    sim.behave("failed").ends = Some((secs(1), service_model::End::Failure));
    sim.command(&["held"], service_model::Command::Hold);
    sim.start(&["sick", "failed", "held", "api"]).settle();
    let why = sim.world.why(sim.index("api"));
    let roots: Vec<_> = why.roots().map(|reason| reason.because).collect();
    let [sick, failed, held, unwanted] = roots[..] else {
        panic!("{roots:?}")
    };
    assert_eq!(
        (sick, held, unwanted),
        (Because::Unhealthy, Because::Held, Because::NotWanted)
    );
    assert!(matches!(failed, Because::Failed { cause: Some(_) }));
}

#[test]
fn a_verdict_blames_the_unit_at_the_root() {
    let mut sim = Sim::parse("job task; api needs job; web needs api");
    sim.behave("job").ends = Some((secs(1), service_model::End::Failure));
    sim.up("web");
    assert_eq!(sim.verdict("web", Goal::Ready), Verdict::Pending);
    sim.settle();
    let Verdict::Never {
        unit,
        obstacle: Obstacle::Failed(Some(_)),
    } = sim.verdict("web", Goal::Ready)
    else {
        panic!("{:?}", sim.verdict("web", Goal::Ready));
    };
    assert_eq!(sim.name(unit), "job");
}

#[test]
fn a_service_that_ended_never_becomes_what_a_ready_gate_waits_for() {
    let mut sim = Sim::parse("shot probed; api needs shot:ready");
    sim.behave("shot").healthy = None;
    sim.up("api").run_for(secs(1));
    sim.ends("shot", service_model::End::Success).settle();
    let ended = Verdict::Never {
        unit: sim.index("shot"),
        obstacle: Obstacle::Ended,
    };
    assert_eq!(sim.verdict("api", Goal::Ready), ended);
}

#[test]
fn each_goal_is_reached_in_its_own_moment() {
    let mut sim = Sim::parse("db probed");
    let goals = [
        Goal::Launched,
        Goal::Running,
        Goal::Ready,
        Goal::Completed,
        Goal::Stopped,
    ];
    let reached = |sim: &Sim| goals.map(|goal| sim.verdict("db", goal) == Verdict::Reached);
    sim.behave("db").healthy = None;
    assert_eq!(reached(&sim), [false, false, false, false, true]);
    sim.up("db").run_for(secs(1));
    assert_eq!(reached(&sim), [true, true, false, false, false]);
    sim.tell("db", Report::Healthy);
    assert_eq!(reached(&sim), [true, true, true, false, false]);
    sim.ends("db", service_model::End::Success);
    assert_eq!(reached(&sim), [true, false, true, true, true]);
}

#[test]
fn a_wait_says_until_when() {
    let mut sim = Sim::parse("api");
    sim.behave("api").ends = Some((secs(0), service_model::End::Failure));
    sim.up("api").run_for(super::sim::ms(1200));
    assert_eq!(sim.state("api"), State::Backoff);
    let until = sim.view("api").until.expect("a wait has an end");
    assert!(until > sim.now);
    assert_eq!(
        sim.world.waiting_for(sim.index("api")),
        [Waiting::Backoff { until }]
    );
}

#[test]
fn a_story_of_a_wide_ladder_stays_as_long_as_its_edges() {
    let text: Vec<String> = (0..300)
        .map(|n| match n {
            0 => "s0 probed".to_owned(),
            1 => "s1 needs s0".to_owned(),
            _ => format!("s{n} needs s{}, s{}", n - 1, n - 2),
        })
        .collect();
    let mut sim = Sim::parse(&text.join(";"));
    sim.behave("s0").healthy = None;
    sim.up_all().run_for(secs(1));
    let why = sim.world.why(sim.index("s299"));
    assert!(why.reasons.len() < 700, "{}", why.reasons.len());
    assert_eq!(why.roots().count(), 1);
}
