//! Health: what readiness, liveness and timeouts do, and what they do not.

use service_model::Gate;
use service_model::{Cause, End, Goal, Report, State, Verdict, Waiting};

use super::sim::{Sim, ms, secs};

#[test]
fn readiness_lost_shuts_the_gate_and_withdraws_but_stops_nobody() {
    let mut sim = Sim::parse("db probed; early needs db; late needs db");
    sim.start(&["db", "early"]).settle();
    sim.tell("db", Report::Unhealthy);
    assert!(!sim.is_published("db") && sim.view("db").unhealthy);
    sim.start(&["late"]).settle();
    assert_eq!(
        (sim.state("db"), sim.state("early"), sim.state("late")),
        (State::Ready, State::Ready, State::Idle)
    );
    let (on, gate, state) = (sim.index("db"), Gate::Ready, State::Ready);
    let waiting = sim.world.waiting_for(sim.index("late"));
    assert_eq!(
        waiting,
        [Waiting::Gate {
            on,
            gate,
            state,
            unhealthy: true
        }]
    );
    assert_eq!(sim.verdict("db", Goal::Ready), Verdict::Pending);
    sim.tell("db", Report::Healthy).settle();
    assert!(sim.is_published("db"));
    assert_eq!(sim.state("late"), State::Ready);
}

#[test]
fn what_could_not_prove_itself_may_still_become_healthy() {
    let mut sim = Sim::parse("db probed");
    sim.behave("db").healthy = Some(false);
    sim.up("db").settle();
    assert_eq!(
        (sim.state("db"), sim.view("db").unhealthy),
        (State::Settling, true)
    );
    sim.tell("db", Report::Healthy);
    assert_eq!(
        (sim.state("db"), sim.view("db").unhealthy),
        (State::Ready, false)
    );
}

#[test]
fn readiness_lost_restarts_where_the_policy_says_so_up_to_its_limit() {
    let mut sim = Sim::parse("db probed restart-unhealthy retries=2");
    sim.up("db").settle();
    sim.behave("db").healthy = Some(false);
    sim.tell("db", Report::Unhealthy).settle();
    assert_eq!((sim.state("db"), sim.launched().len()), (State::Failed, 3));
    assert_eq!(sim.view("db").cause, Some(Cause::Unhealthy));
}

#[test]
fn a_paused_service_closes_its_gates_and_is_not_restarted_for_it() {
    let mut sim = Sim::parse("db probed restart-unhealthy; plain; api needs db, plain");
    sim.up("db").up("plain").settle();
    for name in ["db", "plain"] {
        sim.tell(name, Report::Paused).settle();
        assert_eq!(sim.state(name), State::Ready);
        assert!(!sim.is_published(name) && sim.view(name).unhealthy);
    }
    sim.up("api").settle();
    assert_eq!(sim.state("api"), State::Idle);
    sim.tell("db", Report::Healthy)
        .tell("plain", Report::Healthy);
    sim.settle();
    assert!(sim.is_published("db") && sim.is_published("plain"));
    assert_eq!(sim.state("api"), State::Ready);
    assert_eq!(sim.launched().len(), 3);
}

#[test]
fn a_launch_that_is_postponed_takes_no_time_and_counts_for_nothing() {
    let mut sim = Sim::parse("db probed startup=5");
    sim.behave("db").unanswered = true;
    sim.behave("db").healthy = None;
    sim.up("db");
    sim.run_for(secs(4)).tell("db", Report::Postponed);
    sim.run_for(secs(3600)).tell("db", Report::Postponed);
    assert_eq!(
        (sim.state("db"), sim.view("db").restarts),
        (State::Starting, 0)
    );
    sim.tell("db", Report::Launched).run_for(secs(4));
    assert_eq!(sim.state("db"), State::Settling);
    sim.run_for(secs(2));
    assert_eq!(sim.view("db").cause, Some(Cause::StartupTimeout));
}

#[test]
fn a_dead_service_is_stopped_and_restarted_by_policy() {
    let mut sim = Sim::parse("db; once never");
    sim.up_all().settle();
    sim.tell("db", Report::Dead)
        .tell("once", Report::Dead)
        .settle();
    assert_eq!(
        (sim.state("db"), sim.view("db").restarts),
        (State::Ready, 1)
    );
    assert_eq!(
        (sim.state("once"), sim.view("once").cause),
        (State::Failed, Some(Cause::Dead))
    );
}

#[test]
fn not_ready_in_time_is_a_failure_whatever_it_was_busy_with() {
    let mut sim = Sim::parse("db probed never startup=5; node probed setup never startup=5");
    sim.behave("db").healthy = None;
    sim.behave("node").setup.0 = Report::Launched;
    sim.up_all().run_for(ms(4990));
    assert_eq!(
        (sim.state("db"), sim.state("node")),
        (State::Settling, State::Settling)
    );
    sim.settle();
    for name in ["db", "node"] {
        assert_eq!(
            (sim.state(name), sim.view(name).cause),
            (State::Failed, Some(Cause::StartupTimeout))
        );
    }
}

#[test]
fn once_ready_the_startup_timeout_is_over() {
    let mut sim = Sim::parse("db probed startup=5");
    sim.up("db").run_for(secs(60));
    assert_eq!((sim.state("db"), sim.launched().len()), (State::Ready, 1));
}

#[test]
fn a_task_that_runs_too_long_is_stopped_and_has_failed() {
    let mut sim = Sim::parse("job task run=5");
    sim.behave("job").ends = Some((secs(100), service_model::End::Success));
    sim.up("job").settle();
    assert_eq!(
        (sim.state("job"), sim.view("job").cause),
        (State::Failed, Some(Cause::RunTimeout))
    );
    assert!(sim.alive.is_empty());
}

#[test]
fn reports_about_an_earlier_attempt_change_nothing() {
    // process-compose 488: a probe that goes on for an attempt that is gone.
    let mut sim = Sim::parse("db probed");
    sim.up("db").settle();
    let (unit, attempt) = (sim.index("db"), sim.view("db").attempt);
    sim.restart(&["db"]).settle();
    sim.forget_history();
    for report in [
        Report::Unhealthy,
        Report::Dead,
        Report::Exited(service_model::End::Failure),
    ] {
        sim.step(service_model::Input::Report {
            unit,
            attempt,
            report,
        });
    }
    assert!(sim.history.is_empty());
    assert_eq!(sim.state("db"), State::Ready);
}

#[test]
fn what_turns_out_to_be_asked_by_nobody_is_ready_because_it_runs() {
    let mut sim = Sim::parse("db probed; api needs db:ready");
    sim.behave("db").healthy = None;
    sim.up("api").settle();
    assert_eq!(
        (sim.state("db"), sim.state("api")),
        (State::Settling, State::Idle)
    );
    sim.tell("db", Report::Unprobed).settle();
    assert_eq!(
        (sim.state("db"), sim.state("api")),
        (State::Ready, State::Ready)
    );
    sim.tell("db", Report::Paused).settle();
    assert!(!sim.is_published("db"));
    sim.tell("db", Report::Unprobed).settle();
    assert!(sim.is_published("db"));
}

#[test]
fn what_ends_again_and_again_is_not_waited_out_in_one_of_the_moments_in_which_it_runs() {
    for (stack, healthy) in [("api", Some(true)), ("api probed", None)] {
        let mut sim = Sim::parse(stack);
        sim.behave("api").healthy = healthy;
        let is_told = healthy.is_none();
        let begin = |sim: &mut Sim| {
            sim.run_for(secs(1));
            if is_told {
                sim.tell("api", Report::Unprobed);
            }
            assert_eq!(sim.state("api"), State::Ready);
        };
        sim.up("api");
        begin(&mut sim);
        assert_eq!(sim.verdict("api", Goal::Ready), Verdict::Reached);
        sim.ends("api", End::Failure);
        begin(&mut sim);
        assert_eq!(sim.verdict("api", Goal::Ready), Verdict::Reached);
        sim.ends("api", End::Failure);
        begin(&mut sim);
        assert!(sim.is_published("api"), "others may use it");
        assert_eq!(sim.verdict("api", Goal::Running), Verdict::Reached);
        assert_eq!(sim.verdict("api", Goal::Ready), Verdict::Pending);
        sim.run_for(secs(10));
        assert_eq!(sim.verdict("api", Goal::Ready), Verdict::Reached);
    }
}

#[test]
fn a_probe_that_says_so_is_believed_after_any_number_of_ends() {
    let mut sim = Sim::parse("db probed");
    sim.up("db").run_for(secs(1));
    for _ in 0..3 {
        sim.ends("db", End::Failure).run_for(secs(2));
    }
    assert_eq!(sim.view("db").failures, 3);
    assert_eq!(sim.verdict("db", Goal::Ready), Verdict::Reached);
}

#[test]
fn a_loop_is_told_as_one_to_whoever_waits_for_it() {
    let mut sim = Sim::parse("api");
    sim.behave("api").ends = Some((ms(1500), End::Failure));
    sim.up("api");
    let mut verdicts = Vec::new();
    for _ in 0..200 {
        sim.run_for(ms(100));
        verdicts.push(sim.verdict("api", Goal::Ready));
    }
    let last = verdicts
        .iter()
        .rposition(|verdict| *verdict == Verdict::Reached);
    assert!(last < Some(40), "only while it had ended once at most");
    assert!(matches!(verdicts[199], Verdict::Never { .. }));
}
