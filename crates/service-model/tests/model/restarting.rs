//! Again: by policy, by request, because what is needed came back.

use service_model::{Command, End, Goal, Obstacle, Report, State, Verdict, Waiting};

use super::sim::{Sim, ms, secs};

#[test]
fn the_first_restart_is_immediate_and_then_the_waits_double() {
    let mut sim = Sim::parse("api limit=100");
    sim.behave("api").ends = Some((ms(90), End::Failure));
    sim.up("api").run_for(secs(4));
    assert_eq!(sim.launch_gaps("api"), [100, 200, 300, 500, 900, 1700]);
}

#[test]
fn five_restarts_within_a_minute_are_a_crash_loop_that_is_retried_slowly() {
    let mut sim = Sim::parse("api probed; web needs api");
    sim.behave("api").ends = Some((ms(5), End::Failure));
    sim.up("web").run_for(secs(30));
    assert_eq!(sim.state("api"), State::CrashLoop);
    assert_eq!(sim.view("api").restarts, 5);
    let Verdict::Never {
        unit,
        obstacle: Obstacle::CrashLoop(Some(_)),
    } = sim.verdict("web", Goal::Running)
    else {
        panic!("{:?}", sim.verdict("web", Goal::Running));
    };
    assert_eq!(unit, sim.index("api"));
    sim.run_for(secs(60));
    assert_eq!(
        (sim.state("api"), sim.view("api").restarts),
        (State::CrashLoop, 6)
    );
    sim.behave("api").ends = None;
    sim.run_for(secs(80));
    assert_eq!(
        sim.state("api"),
        State::Ready,
        "whatever it missed is there now"
    );
    assert_eq!(sim.view("api").failures, 0);
}

#[test]
fn a_loop_that_is_given_up_has_failed_and_a_start_begins_anew() {
    let mut sim = Sim::parse("api limit=2 give-up");
    sim.behave("api").ends = Some((ms(5), End::Failure));
    sim.up("api").settle();
    assert_eq!((sim.state("api"), sim.launched().len()), (State::Failed, 3));
    sim.behave("api").ends = None;
    sim.up("api").settle();
    assert_eq!(
        (sim.state("api"), sim.view("api").restarts),
        (State::Ready, 0)
    );
}

#[test]
fn so_many_restarts_in_a_row_and_no_more() {
    let mut sim = Sim::parse("api retries=2; job task retries=1");
    sim.behave("api").ends = Some((ms(5), End::Failure));
    sim.behave("job").ends = Some((ms(5), End::Failure));
    sim.up_all().settle();
    assert_eq!(
        (sim.state("api"), sim.view("api").restarts),
        (State::Failed, 2)
    );
    assert_eq!(
        (sim.state("job"), sim.view("job").restarts),
        (State::Failed, 1)
    );
}

#[test]
fn ready_for_long_enough_it_counts_anew() {
    // supervisor 487: backoff under control, both ways.
    let mut sim = Sim::parse("api retries=1");
    sim.up("api").settle();
    sim.ends("api", End::Failure).run_for(secs(9));
    assert_eq!(sim.view("api").failures, 1);
    sim.run_for(secs(2));
    assert_eq!(sim.view("api").failures, 0);
    sim.ends("api", End::Failure).run_for(secs(9));
    assert_eq!(sim.state("api"), State::Ready);
    sim.ends("api", End::Failure).settle();
    assert_eq!(sim.state("api"), State::Failed);
}

#[test]
fn always_restarts_after_success_too_and_never_does_not_after_failure() {
    let mut sim = Sim::parse("a always; b never; c never");
    sim.up_all().settle();
    sim.ends("a", End::Success)
        .ends("b", End::Failure)
        .ends("c", End::Success)
        .settle();
    assert_eq!(
        (sim.state("a"), sim.state("b"), sim.state("c")),
        (State::Ready, State::Failed, State::Done)
    );
}

#[test]
fn a_stop_ends_the_waits_and_a_start_cuts_them_short() {
    let mut sim = Sim::parse("api");
    sim.behave("api").ends = Some((ms(5), End::Failure));
    sim.up("api").run_for(ms(1200));
    assert_eq!(sim.state("api"), State::Backoff);
    sim.down_all();
    assert_eq!(sim.state("api"), State::Idle);
    sim.up("api").run_for(ms(1200));
    assert_eq!(sim.state("api"), State::Backoff);
    sim.behave("api").ends = None;
    sim.up("api").run_for(ms(20));
    assert_eq!(
        (sim.state("api"), sim.view("api").failures),
        (State::Ready, 0)
    );
}

#[test]
fn a_storm_of_crashes_is_spread_by_the_budget_and_says_so() {
    // supervisor 1189: many crashing services must not starve the machine.
    let text: Vec<String> = (0..100).map(|n| format!("s{n} limit=1000")).collect();
    let mut sim = Sim::parse(&text.join(";"));
    for n in 0..100 {
        sim.behave(&format!("s{n}")).ends = Some((ms(1), End::Failure));
    }
    sim.up_all().run_for(secs(1));
    let waiting = sim
        .all()
        .into_iter()
        .flat_map(|unit| sim.world.waiting_for(unit));
    assert!(
        waiting
            .filter(|waiting| matches!(waiting, Waiting::Budget { .. }))
            .count()
            > 50
    );
    sim.run_for(secs(9));
    let launches = sim.launched().len();
    assert!(
        (300..=325).contains(&launches),
        "200 at once, 20 of a burst, ten a second: {launches}"
    );
    sim.forget_history().restart(&["s99"]);
    assert_eq!(
        sim.launched(),
        ["s99"],
        "what somebody asks for does not wait"
    );
}

#[test]
fn several_restarted_together_stop_in_reverse_and_start_in_order() {
    let mut sim = Sim::parse("db probed; api probed needs db; web needs api");
    sim.up("web").settle();
    sim.forget_history().restart(&["db", "web", "api"]).settle();
    assert_eq!(sim.stopped(), ["web", "api", "db"]);
    assert_eq!(sim.launched(), ["db", "api", "web"]);
    assert_eq!(sim.view("db").restarts, 0);
}

#[test]
fn a_restart_while_waiting_for_a_dependency_neither_wedges_nor_doubles() {
    // process-compose 530.
    let mut sim = Sim::parse("db probed; api needs db");
    sim.behave("db").healthy = None;
    sim.up("api").run_for(secs(1));
    sim.restart(&["api"]).restart(&["api"]).run_for(secs(1));
    assert_eq!(sim.state("api"), State::Idle);
    sim.tell("db", Report::Healthy).settle();
    assert_eq!(
        (sim.launched(), sim.state("api")),
        (vec!["db", "api"], State::Ready)
    );
}

#[test]
fn a_restart_edge_renews_the_dependents_once_when_the_other_is_back() {
    // docker/compose 12098, aspire 18280.
    let mut sim = Sim::parse("db probed; api needs db!; web needs api!; plain needs db");
    sim.up_all().settle();
    sim.forget_history().ends("db", End::Failure);
    assert!(
        sim.stopped().is_empty(),
        "nothing is stopped because another failed"
    );
    sim.settle();
    assert_eq!(
        sim.launched(),
        ["db", "api", "web"],
        "down the chain, each once"
    );
    assert_eq!(sim.state("plain"), State::Ready);
    sim.settle();
    assert_eq!(sim.launched().len(), 3);
}

#[test]
fn a_restart_edge_leaves_dependents_alone_when_the_other_never_comes_back() {
    let mut sim = Sim::parse("db probed never; api needs db!");
    sim.up_all().settle();
    sim.ends("db", End::Failure).settle();
    assert_eq!(
        (sim.state("db"), sim.state("api")),
        (State::Failed, State::Ready)
    );
}

#[test]
fn a_task_that_was_run_again_renews_what_was_built_on_it() {
    let mut sim = Sim::parse("migrate task; api needs migrate!");
    sim.up("api").settle();
    sim.forget_history().restart(&["migrate"]).settle();
    assert_eq!(sim.launched(), ["migrate", "api"]);
}

#[test]
fn a_dependency_that_comes_up_for_the_first_time_renews_nobody() {
    let mut sim = Sim::parse("cache probed; api needs cache?!");
    sim.start(&["api"]).settle();
    sim.start(&["cache"]).settle();
    assert_eq!(sim.launched(), ["api", "cache"]);
    sim.restart(&["cache"]).settle();
    assert_eq!(sim.launched(), ["api", "cache", "cache", "api"]);
}

#[test]
fn a_restart_of_what_is_stopped_starts_it_and_of_what_is_done_runs_it_again() {
    let mut sim = Sim::parse("api; job task");
    sim.restart(&["api", "job"]).settle();
    sim.restart(&["job"]).settle();
    assert_eq!(sim.launched(), ["api", "job", "job"]);
}

#[test]
fn a_whole_stack_stopped_and_restarted_comes_up_as_it_was() {
    // kurtosis 853, 2509.
    let mut sim =
        Sim::parse("db probed; seed task needs db; api probed needs db, seed; web needs api");
    sim.up("web").settle();
    sim.down_all().settle();
    assert!(sim.alive.is_empty());
    sim.forget_history().up("web").settle();
    assert_eq!(sim.launched(), ["db", "api", "web"]);
    sim.forget_history()
        .command(&["db", "seed", "api", "web"], Command::Restart)
        .settle();
    assert_eq!(sim.launched(), ["db", "seed", "api", "web"]);
}

#[test]
fn what_was_launched_without_the_other_is_not_renewed_when_that_comes_back() {
    let mut sim = Sim::parse("cache probed; api needs cache?!");
    sim.up("api").settle();
    sim.down_all().settle();
    sim.forget_history().start(&["api"]).settle();
    sim.start(&["cache"]).settle();
    assert_eq!(sim.launched(), ["api", "cache"]);
}

#[test]
fn a_stop_during_the_stop_of_a_dead_one_forgives_it() {
    let mut sim = Sim::parse("api never");
    sim.up("api").settle();
    sim.tell("api", Report::Dead)
        .stop(&["api"])
        .start(&["api"])
        .settle();
    assert_eq!((sim.state("api"), sim.launched().len()), (State::Ready, 2));
}

#[test]
fn a_fault_of_what_shall_stop_anyway_is_no_failure() {
    let mut sim = Sim::parse("db never; api needs db");
    sim.up("api").settle();
    sim.behave("api").deaf = true;
    sim.down_all().tell("db", Report::Dead).settle();
    assert_eq!(sim.state("db"), State::Idle);
}
