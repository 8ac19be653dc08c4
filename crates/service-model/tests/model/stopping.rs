//! Down: reverse order, force, what does not die, what is held.

use service_model::{Command, Effect, End, Goal, Obstacle, State, Verdict, Waiting};

use super::sim::{Sim, ms, secs};

#[test]
fn dependents_stop_before_what_they_need() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    sim.down_all();
    assert_eq!(sim.stopped(), ["api"]);
    let api = sim.index("api");
    assert_eq!(
        sim.world.waiting_for(sim.index("db")),
        [Waiting::StopsAfter(vec![api])]
    );
    sim.settle();
    assert_eq!(sim.stopped(), ["api", "db"]);
    assert!(sim.alive.is_empty());
}

#[test]
fn branches_stop_in_parallel_and_a_deaf_one_does_not_hold_up_the_others() {
    let mut sim = Sim::parse("a; a2 needs a; b; b2 needs b");
    sim.up_all().settle();
    sim.behave("a2").deaf = true;
    sim.down_all();
    assert_eq!(sim.stopped(), ["a2", "b2"]);
    sim.run_for(secs(1));
    assert_eq!(
        (sim.state("b"), sim.state("a")),
        (State::Idle, State::Ready)
    );
    sim.settle();
    assert_eq!(sim.state("a"), State::Idle);
}

#[test]
fn dependents_that_shall_go_on_do_not_hold_back_a_stop() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    sim.stop(&["db"]).settle();
    assert_eq!(
        (sim.state("db"), sim.state("api")),
        (State::Idle, State::Ready)
    );
}

#[test]
fn a_unit_that_is_being_launched_can_be_stopped_at_once() {
    let mut sim = Sim::parse("api");
    sim.up("api");
    assert_eq!(sim.state("api"), State::Starting);
    sim.down_all();
    assert_eq!(sim.state("api"), State::Stopping);
    sim.settle();
    assert_eq!(sim.state("api"), State::Idle);
}

#[test]
fn what_ignores_being_asked_is_killed_after_its_grace_and_what_survives_that_is_lost() {
    let mut sim = Sim::parse("api grace=6");
    sim.up("api").settle();
    *sim.behave("api") = super::sim::Behaviour {
        deaf: true,
        immortal: true,
        ..Default::default()
    };
    sim.down_all().run_for(ms(7900));
    assert_eq!(
        sim.count(|effect| matches!(effect, Effect::Kill(..))),
        0,
        "its runner insists first"
    );
    sim.run_for(ms(200));
    assert_eq!(sim.count(|effect| matches!(effect, Effect::Kill(..))), 1);
    sim.run_for(secs(7));
    assert_eq!(sim.state("api"), State::Lost);
    let lost = Verdict::Never {
        unit: sim.index("api"),
        obstacle: Obstacle::Lost,
    };
    assert_eq!(sim.verdict("api", Goal::Stopped), lost);
}

#[test]
fn nothing_is_started_over_a_death_that_was_not_confirmed() {
    let mut sim = Sim::parse("api");
    sim.up("api").settle();
    *sim.behave("api") = super::sim::Behaviour {
        deaf: true,
        immortal: true,
        ..Default::default()
    };
    sim.restart(&["api"]).settle();
    sim.up("api").settle();
    assert_eq!((sim.state("api"), sim.launched().len()), (State::Lost, 1));
    sim.behave("api").immortal = false;
    sim.ends("api", End::Failure).settle();
    assert_eq!(
        (sim.state("api"), sim.launched().len()),
        (State::Ready, 2),
        "it is still wanted"
    );
}

#[test]
fn a_lost_unit_does_not_hold_up_what_it_needs_and_can_be_killed_again() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    *sim.behave("api") = super::sim::Behaviour {
        deaf: true,
        immortal: true,
        ..Default::default()
    };
    sim.down_all().settle();
    assert_eq!(
        (sim.state("api"), sim.state("db")),
        (State::Lost, State::Idle)
    );
    sim.behave("api").immortal = false;
    sim.command(&["api"], Command::Kill).settle();
    assert_eq!(sim.state("api"), State::Idle);
}

#[test]
fn a_lost_unit_is_asked_once_more_by_the_next_order() {
    for order in [Command::Stop, Command::Restart] {
        let mut sim = Sim::parse("api");
        sim.up("api").settle();
        *sim.behave("api") = super::sim::Behaviour {
            deaf: true,
            immortal: true,
            ..Default::default()
        };
        sim.down_all().settle();
        assert_eq!(sim.state("api"), State::Lost);
        *sim.behave("api") = super::sim::Behaviour::default();
        sim.forget_history().command(&["api"], order);
        assert_eq!(sim.stopped(), ["api"], "asked, not killed");
        sim.settle();
        let goal = match order {
            Command::Restart => State::Ready,
            _ => State::Idle,
        };
        assert_eq!(sim.state("api"), goal);
    }
}

#[test]
fn force_waits_for_nobody_and_overtakes_a_stop_under_way() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    sim.behave("api").deaf = true;
    sim.down_all();
    assert_eq!(sim.state("api"), State::Stopping);
    sim.command(&["api", "db"], Command::Kill).run_for(ms(10));
    assert_eq!(
        (sim.state("api"), sim.state("db")),
        (State::Idle, State::Idle)
    );
}

#[test]
fn a_start_during_a_stop_starts_after_the_confirmed_death() {
    let mut sim = Sim::parse("api");
    sim.up("api").settle();
    sim.down_all().run_for(ms(10));
    sim.up("api");
    assert_eq!(sim.launched().len(), 1);
    sim.settle();
    assert_eq!((sim.state("api"), sim.launched().len()), (State::Ready, 2));
    assert_eq!(sim.view("api").restarts, 0, "nobody's fault");
}

#[test]
fn a_start_takes_back_a_stop_whose_turn_has_not_come() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    sim.down_all();
    sim.up("api").settle();
    assert_eq!(
        sim.launched(),
        ["db", "api", "api"],
        "only the api had been asked to end"
    );
}

#[test]
fn an_attached_unit_is_let_go_of_and_never_signalled() {
    let mut sim = Sim::parse("pg attached; api needs pg");
    sim.up("api").settle();
    sim.down_all().settle();
    sim.up("api").settle();
    sim.command(&["pg"], Command::Kill).settle();
    assert_eq!(sim.state("pg"), State::Idle);
    let pg = sim.index("pg");
    assert_eq!(
        sim.count(|effect| matches!(effect, Effect::Detach(unit, _) if *unit == pg)),
        2
    );
    let signals = |effect: &Effect| matches!(effect, Effect::Terminate(unit, _) | Effect::Kill(unit, _) if *unit == pg);
    assert_eq!(sim.count(signals), 0);
}

#[test]
fn what_is_held_goes_down_and_stays_down_whatever_asks_for_it_until_released() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    sim.command(&["db"], Command::Hold).settle();
    assert_eq!(
        (sim.state("db"), sim.state("api")),
        (State::Held, State::Ready)
    );
    sim.up("db").restart(&["db"]).settle();
    assert_eq!(sim.state("db"), State::Held);
    let held = Verdict::Never {
        unit: sim.index("db"),
        obstacle: Obstacle::Held,
    };
    assert_eq!(sim.verdict("db", Goal::Ready), held);
    sim.command(&["db"], Command::Release).settle();
    assert_eq!(sim.state("db"), State::Ready);
}

#[test]
fn what_is_released_without_being_wanted_stays_down() {
    let mut sim = Sim::parse("db");
    sim.command(&["db"], Command::Hold).settle();
    assert_eq!(sim.state("db"), State::Held);
    sim.command(&["db"], Command::Release).settle();
    assert_eq!((sim.state("db"), sim.launched().len()), (State::Idle, 0));
}

#[test]
fn an_end_while_its_stop_waits_for_its_turn_is_no_failure() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    sim.behave("api").deaf = true;
    sim.down_all().run_for(ms(10));
    sim.ends("db", End::Failure).settle();
    assert_eq!((sim.state("db"), sim.launched().len()), (State::Idle, 2));
}
