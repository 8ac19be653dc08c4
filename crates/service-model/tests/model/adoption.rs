//! A daemon that goes on where another left off.

use std::time::Duration;

use service_model::{Attempt, Cause, Effect, End, Input, Report, Restored, State, Waiting, World};

use super::sim::{Sim, aged, ms, secs};

/// The same stack in the hands of the next daemon: what was saved is restored, and nothing has been found yet.
fn next_daemon(sim: &mut Sim) {
    next_daemon_after(sim, Duration::ZERO);
}

fn next_daemon_with(sim: &mut Sim, saved: Vec<Restored>) {
    let mut next = Sim::parse("placeholder");
    next.world = World::new(2);
    let defined = sim
        .policies
        .iter()
        .cloned()
        .map(|policy| (next.world.reserve(), policy))
        .collect();
    next.world.define_all(defined).expect("no ring");
    next.names.clone_from(&sim.names);
    next.policies.clone_from(&sim.policies);
    next.behaviours.clone_from(&sim.behaviours);
    next.alive.clone_from(&sim.alive);
    for (unit, saved) in sim.all().into_iter().zip(saved) {
        next.world.restore(unit, saved);
    }
    // Another epoch: a monotonic clock may begin anew with a machine.
    next.now = Duration::from_secs(3);
    let mut effects = Vec::new();
    next.world.resume(next.now, &mut effects);
    next.take(effects);
    *sim = next;
}

fn find(sim: &mut Sim, name: &str) {
    sim.tell(name, Report::Launched);
}

#[test]
fn what_is_found_alive_goes_on_and_is_probed_and_published_again() {
    let mut sim = Sim::parse("db probed; api needs db");
    sim.up("api").settle();
    next_daemon(&mut sim);
    assert!(
        sim.history.is_empty(),
        "nothing is ordered before it is known what lives: {:?}",
        sim.history
    );
    assert_eq!(sim.world.waiting_for(sim.index("db")), [Waiting::Adoption]);
    find(&mut sim, "db");
    find(&mut sim, "api");
    sim.settle();
    assert!(sim.launched().is_empty());
    assert!(sim.is_published("db") && sim.is_published("api"));
    assert_eq!(sim.count(|effect| matches!(effect, Effect::Probe(..))), 2);
}

#[test]
fn what_died_meanwhile_is_restarted_by_policy_as_the_next_attempt() {
    let mut sim = Sim::parse("db probed; once never");
    sim.up_all().settle();
    sim.alive.clear();
    next_daemon(&mut sim);
    sim.tell("db", Report::Exited(End::Failure))
        .tell("once", Report::Exited(End::Failure))
        .settle();
    assert_eq!(
        (sim.state("db"), sim.view("db").attempt),
        (State::Ready, Attempt(2))
    );
    assert_eq!(sim.state("once"), State::Failed);
}

#[test]
fn what_never_began_is_launched_by_the_next_daemon_as_soon_as_its_gates_are_open() {
    let mut sim = Sim::parse("db probed never; api never needs db");
    sim.up("api").settle();
    let mut saved: Vec<Restored> = sim
        .all()
        .into_iter()
        .map(|unit| sim.world.save(unit))
        .collect();
    let at = sim.index("api").0 as usize;
    saved[at].state = State::Starting;
    sim.alive.remove(&sim.index("api"));
    next_daemon_with(&mut sim, saved);
    sim.tell("api", Report::NeverBegan).run_for(secs(1));
    assert!(
        sim.launched().is_empty(),
        "its gate is not known to be open"
    );
    find(&mut sim, "db");
    sim.settle();
    assert_eq!(sim.launched(), ["api"]);
    let api = sim.view("api");
    assert_eq!((api.state, api.attempt), (State::Ready, Attempt(2)));
    assert_eq!((api.restarts, api.failures), (0, 0));
}

#[test]
fn dependents_are_not_started_upon_what_has_not_been_found_yet() {
    let mut sim = Sim::parse("db probed; api needs db");
    sim.start(&["db"]).settle();
    next_daemon(&mut sim);
    sim.start(&["api"]).run_for(secs(1));
    assert!(sim.launched().is_empty());
    find(&mut sim, "db");
    sim.settle();
    assert_eq!(sim.launched(), ["api"]);
}

#[test]
fn a_stop_under_way_is_ordered_again_and_keeps_its_order() {
    let mut sim = Sim::parse("db; api needs db");
    sim.up("api").settle();
    sim.behave("api").deaf = true;
    sim.down_all().run_for(ms(10));
    next_daemon(&mut sim);
    sim.behave("api").deaf = false;
    find(&mut sim, "db");
    assert_eq!(
        sim.state("db"),
        State::Ready,
        "the api goes first, whatever it is by now"
    );
    find(&mut sim, "api");
    sim.settle();
    assert!(sim.alive.is_empty());
}

#[test]
fn a_forced_stop_stays_forced() {
    let mut sim = Sim::parse("api");
    sim.up("api").settle();
    sim.behave("api").immortal = true;
    sim.command(&["api"], service_model::Command::Kill)
        .run_for(ms(10));
    next_daemon(&mut sim);
    sim.behave("api").immortal = false;
    find(&mut sim, "api");
    assert_eq!(sim.count(|effect| matches!(effect, Effect::Kill(..))), 1);
    sim.settle();
    assert_eq!(sim.state("api"), State::Idle);
}

#[test]
fn a_wait_goes_on_with_what_was_left_of_it() {
    let mut sim = Sim::parse("api");
    sim.behave("api").ends = Some((ms(0), End::Failure));
    sim.up("api").run_for(ms(1000));
    assert_eq!(sim.state("api"), State::Backoff);
    let left = sim.world.save(sim.index("api")).left.expect("it waits");
    sim.behave("api").ends = None;
    next_daemon(&mut sim);
    sim.run_for(left - ms(1));
    assert!(sim.launched().is_empty());
    sim.run_for(ms(2));
    assert_eq!(sim.launched(), ["api"]);
}

/// The daemon dies; the next one comes so much later.
fn next_daemon_after(sim: &mut Sim, away: Duration) {
    let saved: Vec<Restored> = sim
        .all()
        .into_iter()
        .map(|unit| aged(sim.world.save(unit), away))
        .collect();
    next_daemon_with(sim, saved);
}

#[test]
fn a_crash_loop_is_told_by_ends_before_and_after_the_daemon_died() {
    let mut sim = Sim::parse("api");
    let mut next_to_die = secs(0);
    for death in 1..=5 {
        // The daemon dies after every end, so that none of them sees two.
        sim.behave("api").ends = Some((ms(0), End::Failure));
        if death == 1 {
            sim.up("api");
        }
        while sim.view("api").attempt.0 < death + 1 {
            sim.run_for(ms(100));
            next_to_die += ms(100);
        }
        next_daemon_after(&mut sim, ms(10));
        if sim.view("api").state.is_active() {
            find(&mut sim, "api");
            let unit = sim.index("api");
            if sim.alive.contains_key(&unit) {
                sim.ends("api", End::Failure);
            }
        }
    }
    sim.run_for(secs(40));
    assert!(next_to_die < secs(60), "all of it within the window");
    assert_eq!(sim.state("api"), State::CrashLoop);
    assert!(sim.view("api").restarts >= 5, "{:?}", sim.view("api"));
}

#[test]
fn a_loop_that_was_named_stays_one_in_the_next_daemon() {
    let mut sim = Sim::parse("api");
    sim.behave("api").ends = Some((ms(0), End::Failure));
    sim.up("api").run_for(secs(50));
    assert_eq!(sim.state("api"), State::CrashLoop);
    let left = sim.world.save(sim.index("api")).left.expect("it waits");
    next_daemon_after(&mut sim, secs(10));
    let after = sim.world.save(sim.index("api"));
    assert_eq!(
        after.left,
        Some(left - secs(10)),
        "time without a daemon counts"
    );
    sim.run_for(left);
    assert_eq!(sim.launched(), ["api"]);
    assert_eq!(
        sim.state("api"),
        State::CrashLoop,
        "it has not been ready since"
    );
}

#[test]
fn the_grace_of_a_stop_goes_on_while_there_is_no_daemon() {
    let mut sim = Sim::parse("api");
    sim.up("api").settle();
    sim.behave("api").deaf = true;
    sim.stop(&["api"]).run_for(secs(4));
    let left = sim.world.save(sim.index("api")).left.expect("it is asked");
    next_daemon_after(&mut sim, secs(3));
    find(&mut sim, "api");
    sim.run_for(left - secs(3) - ms(1));
    assert_eq!(sim.count(|effect| matches!(effect, Effect::Kill(..))), 0);
    sim.run_for(ms(2));
    assert_eq!(sim.count(|effect| matches!(effect, Effect::Kill(..))), 1);
    // One that is over long since is pressed at once, and asked all the same.
    let mut sim = Sim::parse("api");
    sim.up("api").settle();
    sim.behave("api").deaf = true;
    sim.stop(&["api"]).run_for(secs(1));
    next_daemon_after(&mut sim, secs(3600));
    find(&mut sim, "api");
    sim.run_for(ms(10));
    assert_eq!(sim.state("api"), State::Idle);
}

#[test]
fn time_without_a_daemon_counts_towards_timeouts_and_leaves_a_look() {
    let mut sim = Sim::parse("db probed; job task");
    sim.policies[0].startup_timeout = Some(secs(30));
    sim.policies[1].run_timeout = Some(secs(30));
    let defined = sim.all().into_iter().zip(sim.policies.clone()).collect();
    sim.world.define_all(defined).expect("no ring");
    sim.behave("db").healthy = None;
    sim.behave("job").ends = Some((secs(100), End::Success));
    sim.up_all().run_for(secs(10));
    next_daemon_after(&mut sim, secs(60));
    find(&mut sim, "db");
    find(&mut sim, "job");
    sim.run_for(ms(10));
    assert_eq!(sim.state("job"), State::Stopping, "it ran for too long");
    assert_eq!(sim.state("db"), State::Settling, "it may have become ready");
    sim.run_for(secs(5));
    assert!(matches!(sim.view("db").cause, Some(Cause::StartupTimeout)));
}

#[test]
fn a_restart_edge_is_kept_across_daemons() {
    for bases_are_known in [true, false] {
        let mut sim = Sim::parse("db probed; api needs db!");
        sim.up("api").settle();
        sim.behave("db").healthy = None;
        sim.ends("db", End::Failure).run_for(ms(50));
        assert_eq!(sim.state("db"), State::Settling);
        next_daemon(&mut sim);
        if !bases_are_known {
            let (unit, saved) = (sim.index("api"), sim.world.save(sim.index("api")));
            sim.world.restore(
                unit,
                Restored {
                    bases: Vec::new(),
                    ..saved
                },
            );
            let mut effects = Vec::new();
            sim.world.resume(sim.now, &mut effects);
            sim.take(effects);
        }
        find(&mut sim, "api");
        find(&mut sim, "db");
        sim.run_for(secs(1));
        assert!(sim.launched().is_empty());
        sim.tell("db", Report::Healthy).settle();
        assert_eq!(sim.launched(), ["api"], "known: {bases_are_known}");
        assert_eq!(sim.state("api"), State::Ready);
    }
}

#[test]
fn what_was_lost_and_is_found_alive_is_ended_and_begins_anew_where_it_is_wanted() {
    for is_wanted in [false, true] {
        let mut sim = Sim::parse("api");
        sim.up("api").settle();
        *sim.behave("api") = super::sim::Behaviour {
            deaf: true,
            immortal: true,
            ..Default::default()
        };
        sim.stop(&["api"]).settle();
        *sim.behave("api") = super::sim::Behaviour::default();
        next_daemon(&mut sim);
        if is_wanted {
            sim.up("api");
        }
        assert_eq!(sim.state("api"), State::Lost, "nothing over what may live");
        find(&mut sim, "api");
        assert_eq!(sim.state("api"), State::Stopping);
        sim.settle();
        let goal = if is_wanted { State::Ready } else { State::Idle };
        assert_eq!(sim.state("api"), goal);
    }
}

#[test]
fn done_failed_held_and_lost_are_still_what_they_were() {
    let mut sim = Sim::parse("job task; bad task; kept; gone");
    sim.behave("bad").ends = Some((ms(1), End::Failure));
    sim.up_all().settle();
    sim.command(&["kept"], service_model::Command::Hold);
    *sim.behave("gone") = super::sim::Behaviour {
        deaf: true,
        immortal: true,
        ..Default::default()
    };
    sim.stop(&["gone"]).settle();
    let states = |sim: &Sim| ["job", "bad", "kept", "gone"].map(|name| sim.state(name));
    assert_eq!(
        states(&sim),
        [State::Done, State::Failed, State::Held, State::Lost]
    );
    next_daemon(&mut sim);
    assert_eq!(
        states(&sim),
        [State::Done, State::Failed, State::Held, State::Lost]
    );
    let (unit, attempt) = (sim.index("gone"), sim.view("gone").attempt);
    sim.alive.remove(&unit);
    sim.step(Input::Report {
        unit,
        attempt,
        report: Report::Exited(End::Failure),
    });
    assert_eq!(sim.state("gone"), State::Idle);
}

#[test]
fn only_what_changed_has_to_be_kept_again() {
    let mut sim = Sim::parse("db; api needs db; other");
    sim.world.take_changed();
    sim.up("api");
    assert_eq!(
        sim.world.take_changed(),
        [sim.index("db"), sim.index("api")]
    );
    sim.settle();
    sim.world.take_changed();
    sim.tell("db", Report::Healthy);
    assert_eq!(sim.world.take_changed(), [sim.index("db")]);
}
