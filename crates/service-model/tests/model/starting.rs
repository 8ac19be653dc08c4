//! Up: gates, branches in parallel, tasks, setup.

use service_model::{Command, Effect, End, Goal, LaunchFailure, Obstacle, Report, State, Verdict};

use super::sim::{Sim, ms, secs};

#[test]
fn a_unit_starts_as_soon_as_its_own_gates_are_open_without_barriers_between_levels() {
    let mut sim = Sim::parse("slow probed; fast; a needs fast; b needs a; c needs slow");
    sim.behave("slow").healthy = None;
    sim.up_all().run_for(secs(5));
    assert_eq!(sim.launched(), ["slow", "fast", "a", "b"]);
    sim.tell("slow", Report::Healthy).settle();
    assert_eq!(sim.launched().last(), Some(&"c"));
}

#[test]
fn each_gate_opens_at_its_own_moment() {
    let mut sim = Sim::parse(
        "db probed; eager needs db:started; patient needs db:ready; job task; after needs job",
    );
    sim.behave("db").healthy = None;
    sim.up_all().run_for(ms(20));
    assert_eq!(sim.launched(), ["db", "job", "eager"]);
    sim.tell("db", Report::Healthy).run_for(ms(50));
    assert_eq!(sim.launched().last(), Some(&"patient"));
    sim.settle();
    assert_eq!(sim.state("job"), State::Done);
    assert_eq!(sim.launched().last(), Some(&"after"));
}

#[test]
fn only_what_is_named_is_wanted_and_a_second_start_changes_nothing() {
    let mut sim = Sim::parse("db probed; api needs db; other");
    sim.up("api").settle();
    assert_eq!(sim.launched(), ["db", "api"]);
    assert_eq!(sim.state("other"), State::Idle);
    sim.forget_history().up("api").settle();
    assert!(sim.history.is_empty(), "{:?}", sim.history);
}

#[test]
fn a_start_without_its_dependencies_waits_for_them_unless_gateless() {
    let mut sim = Sim::parse("db; api needs db");
    sim.start(&["api"]).settle();
    assert_eq!(sim.state("api"), State::Idle);
    let db = sim.index("db");
    let blamed = Verdict::Never {
        unit: db,
        obstacle: Obstacle::NotWanted,
    };
    assert_eq!(sim.verdict("api", Goal::Launched), blamed);
    sim.command(
        &["api"],
        Command::Start {
            again: false,
            gateless: true,
        },
    )
    .settle();
    assert_eq!(sim.state("api"), State::Ready);
    assert_eq!(sim.state("db"), State::Idle);
}

#[test]
fn an_optional_edge_opens_when_the_other_is_not_wanted_or_cannot_come_that_far() {
    let mut sim = Sim::parse(
        "cache probed; broken task; a needs cache?; b needs broken?; far needs broken; c needs far?",
    );
    sim.behave("broken").ends = Some((ms(10), End::Failure));
    sim.start(&["a"]).settle();
    assert_eq!(sim.launched(), ["a"], "the cache is not wanted");
    sim.start(&["broken", "far", "b", "c"]).run_for(ms(5));
    assert_eq!(
        sim.launched(),
        ["a", "broken"],
        "the others may still come that far"
    );
    sim.settle();
    assert_eq!(
        sim.launched(),
        ["a", "broken", "b", "c"],
        "now they cannot, directly or not"
    );
}

#[test]
fn an_optional_edge_waits_while_the_other_may_still_come() {
    let mut sim = Sim::parse("cache probed; api needs cache?");
    sim.up("api").run_for(ms(15));
    assert_eq!(sim.launched(), ["cache"]);
    sim.settle();
    assert_eq!(sim.launched(), ["cache", "api"]);
}

#[test]
fn a_completed_task_is_not_run_again_unless_asked_to() {
    let mut sim = Sim::parse("migrate task; api needs migrate");
    sim.up("api").settle();
    sim.down_all().settle();
    assert_eq!(sim.state("migrate"), State::Done);
    sim.up("api").settle();
    assert_eq!(sim.launched(), ["migrate", "api", "api"]);
    sim.command(
        &["migrate"],
        Command::Start {
            again: true,
            gateless: false,
        },
    )
    .settle();
    assert_eq!(sim.launched().last(), Some(&"migrate"));
}

#[test]
fn a_service_that_is_allowed_to_end_is_done_and_satisfies_waiting_for_it() {
    // docker/compose 10596: waiting for one-shots must not fail.
    let mut sim = Sim::parse("shot; after needs shot:completed; early needs shot:started");
    sim.behave("shot").ends = Some((ms(200), End::Success));
    sim.up_all().settle();
    assert_eq!(sim.state("shot"), State::Done);
    assert_eq!(sim.verdict("shot", Goal::Ready), Verdict::Reached);
    assert_eq!(sim.launched(), ["shot", "early", "after"]);
}

#[test]
fn setup_is_checked_once_healthy_and_performed_only_when_required() {
    let mut sim = Sim::parse("node probed setup; api needs node:ready");
    sim.behave("node").setup.0 = Report::SetupRequired;
    sim.up("api").settle();
    let path = [
        "starting",
        "settling",
        "setup-required",
        "setting-up",
        "ready",
    ];
    assert_eq!(sim.path("node"), path);
    assert_eq!(sim.launched(), ["node", "api"]);
    sim.behave("node").setup.0 = Report::SetupComplete;
    sim.restart(&["node"]).settle();
    assert_eq!(
        sim.path("node")[5..],
        ["stopping", "idle", "starting", "settling", "ready"]
    );
}

#[test]
fn a_failed_setup_stops_the_unit_and_counts_as_a_failure() {
    let mut sim = Sim::parse("node setup retries=1");
    sim.behave("node").setup.0 = Report::SetupFailed;
    sim.up("node").settle();
    assert_eq!(sim.launched(), ["node", "node"]);
    assert_eq!(sim.state("node"), State::Failed);
    assert!(sim.alive.is_empty());
}

#[test]
fn what_cannot_ever_be_launched_fails_without_retry_and_what_ran_before_is_tried_again() {
    let mut sim = Sim::parse("api");
    sim.behave("api").launch_fails = Some(LaunchFailure::Permanent);
    sim.up("api").settle();
    assert_eq!(sim.launched(), ["api"]);
    assert_eq!(sim.state("api"), State::Failed);
    sim.behave("api").launch_fails = None;
    sim.up("api").run_for(secs(1));
    assert_eq!(
        sim.state("api"),
        State::Ready,
        "a start on a failed unit begins anew"
    );
    sim.behave("api").launch_fails = Some(LaunchFailure::Permanent);
    sim.ends("api", End::Failure).run_for(secs(1));
    assert!(
        sim.launched().len() > 4,
        "a rebuilt binary may be back in a moment"
    );
}

#[test]
fn publish_comes_with_ready_and_withdraw_with_its_end() {
    let mut sim = Sim::parse("api probed");
    sim.up("api").settle();
    assert!(sim.is_published("api"));
    sim.down_all();
    assert!(
        !sim.is_published("api"),
        "withdrawn before the process is asked to end"
    );
    let order: Vec<bool> = sim
        .history
        .iter()
        .rev()
        .filter_map(|(_, effect)| match effect {
            Effect::Withdraw(..) => Some(true),
            Effect::Terminate(..) => Some(false),
            _ => None,
        })
        .collect();
    assert_eq!(order, [false, true]);
}

#[test]
fn a_service_that_has_ended_is_started_again_unless_its_end_is_waited_for() {
    let mut sim = Sim::parse("web never; shot never; after needs shot:completed");
    for name in ["web", "shot"] {
        sim.behave(name).ends = Some((ms(200), End::Success));
    }
    sim.up_all().settle();
    assert_eq!(
        (sim.state("web"), sim.state("shot")),
        (State::Done, State::Done)
    );
    sim.behave("web").ends = None;
    sim.forget_history().up_all().settle();
    assert_eq!(sim.launched(), ["web"]);
    assert_eq!(sim.state("web"), State::Ready);
}

#[test]
fn what_cannot_be_launched_when_its_turn_comes_fails_at_once_and_bars_what_needs_it() {
    let mut sim = Sim::parse("db probed; web needs db; front needs web");
    sim.behave("db").healthy = None;
    sim.up_all().run_for(ms(20));
    assert_eq!(sim.launched(), ["db"]);
    sim.tell("web", Report::Unlaunchable);
    assert_eq!(sim.state("web"), State::Failed);
    let web = sim.index("web");
    assert!(matches!(
        sim.verdict("front", Goal::Ready),
        Verdict::Never { unit, obstacle: Obstacle::Failed(_) } if unit == web
    ));
    sim.tell("db", Report::Healthy).settle();
    assert_eq!(
        sim.launched(),
        ["db"],
        "its turn has come, and it has failed"
    );
    // Asked for once more, it is tried, and what needs it goes on.
    sim.up("web").settle();
    assert_eq!(sim.launched(), ["db", "web", "front"]);
}

#[test]
fn that_it_cannot_be_launched_means_nothing_to_what_runs_or_is_not_wanted() {
    let mut sim = Sim::parse("db; web");
    sim.up("db").settle();
    sim.tell("db", Report::Unlaunchable);
    sim.tell("web", Report::Unlaunchable).settle();
    assert_eq!(
        (sim.state("db"), sim.state("web")),
        (State::Ready, State::Idle)
    );
}
