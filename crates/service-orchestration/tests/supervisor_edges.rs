//! What happens at the edges: odd definitions, odd numbers, and the end of the manager.

mod common;

use std::time::Duration;

use common::world::{PATIENCE, START, begin, comes_to, manager, up, wait};
use common::{Stage, stack, stack_name, unit};
use service_orchestration::ServiceManager;
use service_orchestration::model::Goal;
use service_orchestration::spec::{Probe, ProbeAction};
use service_orchestration::supervisor::{ApplyMode, Order, OrderError, Waited};
use testkit::{eventually, temp_dir, within};

const STOP: Order = Order::Stop {
    with_dependents: false,
    force: true,
    grace: None,
};

fn notify() -> Option<Probe> {
    Some(Probe::new(ProbeAction::Notify))
}

#[test]
fn a_grace_without_end_is_no_end_of_the_manager() {
    smol::block_on(async {
        let stage = Stage::default();
        stage.scene().deaf.insert("db".into());
        let manager = manager(&stage).await;
        begin(&manager, stack("db")).await;
        wait(&manager, &[], Goal::Ready).await;
        let order = Order::Stop {
            with_dependents: false,
            force: false,
            grace: Some(Duration::MAX),
        };
        manager
            .order(&stack_name(), &[], order)
            .await
            .expect("known units");
        comes_to(&manager, "db", "stopping").await;
        stage.exits("db", 0);
        assert_eq!(wait(&manager, &[], Goal::Stopped).await, Waited::Reached);
    });
}

#[test]
fn a_long_chain_comes_up_while_somebody_waits_for_all_of_it() {
    smol::block_on(async {
        let manager = manager(&Stage::default()).await;
        let chain: Vec<String> = (1..1000)
            .map(|number| format!("u{number} needs u{}", number - 1))
            .collect();
        begin(&manager, stack(&format!("u0;{}", chain.join(";")))).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
    });
}

#[test]
fn a_reader_with_room_without_end_is_no_end_of_the_manager() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let subscribed = manager.subscribe(None, usize::MAX).await;
        begin(&manager, stack("db")).await;
        within(PATIENCE, "an event", subscribed.events.recv())
            .await
            .expect("the manager lives");
    });
}

#[test]
fn an_orphan_whose_dependency_was_forgotten_can_be_looked_at() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        begin(&manager, stack("db; api needs db")).await;
        wait(&manager, &[], Goal::Ready).await;
        manager
            .order(&stack_name(), &[unit("db")], STOP)
            .await
            .expect("it is forced");
        wait(&manager, &["db"], Goal::Stopped).await;
        manager
            .apply(stack("web"), ApplyMode::Replace)
            .await
            .expect("a good stack");
        stage.exits("api", 1);
        comes_to(&manager, "api", "idle").await;
        let why = manager
            .why(&stack_name(), &unit("api"))
            .await
            .expect("a known unit");
        assert!(why.reasons[1].reason.contains("not defined"), "{why:?}");
        // Defined again, it finds the new one.
        begin(&manager, stack("db; api needs db")).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
    });
}

#[test]
fn a_unit_waits_for_the_readiness_that_what_it_needs_has_by_now() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let before = stack("db; api needs db");
        manager
            .apply(before, ApplyMode::Replace)
            .await
            .expect("a good stack");
        let mut spec = stack("db; api needs db");
        spec.units.get_mut("db").expect("defined").readiness = notify();
        begin(&manager, spec).await;
        wait(&manager, &["db"], Goal::Running).await;
        let status = manager.status(&stack_name()).await.expect("a known stack");
        assert_eq!(
            status.items[0].waiting_for[0].reason,
            "db is settling (needs ready)"
        );
        assert_eq!(stage.acts(), ["launch db"]);
    });
}

#[test]
fn a_unit_that_was_forgotten_never_gets_ready() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let mut spec = stack("db; api needs db");
        spec.units.get_mut("db").expect("defined").readiness = notify();
        begin(&manager, spec.clone()).await;
        wait(&manager, &["db"], Goal::Running).await;
        let (handle, stack) = (manager.clone(), stack_name());
        let waiting = smol::spawn(async move {
            handle
                .wait(&stack, &[unit("api")], Goal::Ready, false)
                .await
        });
        smol::future::yield_now().await;
        // Asked after the waiting was: there is one inbox.
        manager.stacks().await;
        spec.units.remove("api");
        manager
            .apply(spec, ApplyMode::Replace)
            .await
            .expect("a good stack");
        let waited = within(PATIENCE, "an answer", waiting).await;
        // Whichever of the two was asked first, the answer is never that it is ready.
        assert!(
            matches!(&waited, Ok(Waited::Never(why)) if why[0].name == "api")
                || matches!(waited, Err(OrderError::UnknownUnit { .. })),
            "{waited:?}"
        );
    });
}

#[test]
fn nobody_is_left_waiting_when_the_manager_ends() {
    smol::block_on(async {
        let made = ServiceManager::builder().build().await;
        let (manager, driver) = made.expect("a private directory");
        let stack = stack_name();
        let asking = (0..5000).map(|_| manager.status(&stack));
        let asking = futures::future::join_all(asking);
        // All of them are asked before anything is answered.
        let all = futures::future::join3(manager.shutdown(true), asking, driver.run());
        within(PATIENCE, "every answer", all).await;
    });
}

#[test]
fn a_driver_that_is_dropped_leaves_its_state_to_the_next() {
    smol::block_on(async {
        let (stage, home) = (Stage::default(), temp_dir());
        let make = || {
            ServiceManager::builder()
                .state_dir(home.path())
                .executor(stage.clone())
        };
        let (first, driver) = make().build().await.expect("a fresh state");
        let driving = smol::spawn(driver.run());
        begin(&first, stack("db")).await;
        wait(&first, &[], Goal::Ready).await;
        assert_eq!(driving.cancel().await, None, "it has not ended");
        let gone = within(PATIENCE, "an answer", first.status(&stack_name())).await;
        assert!(matches!(gone, Err(OrderError::Ended)), "{gone:?}");
        let second = make().start().await.expect("the state is free again");
        comes_to(&second, "db", "ready").await;
        assert_eq!(stage.acts(), ["launch db"]);
    });
}

#[test]
fn the_end_waits_for_every_unit_though_one_is_lost() {
    smol::block_on(async {
        let stage = Stage::default();
        stage.scene().deaf.extend(["api".into(), "db".into()]);
        stage.scene().immortal.insert("db".into());
        let manager = manager(&stage).await;
        begin(&manager, stack("db; api")).await;
        wait(&manager, &[], Goal::Ready).await;
        let order = Order::Stop {
            with_dependents: false,
            force: false,
            grace: Some(Duration::ZERO),
        };
        manager
            .order(&stack_name(), &[unit("db")], order)
            .await
            .expect("known units");
        comes_to(&manager, "db", "lost").await;
        let handle = manager.clone();
        let ending = smol::spawn(async move { handle.shutdown(false).await });
        comes_to(&manager, "api", "stopping").await;
        eventually(PATIENCE, "the order", || {
            stage.acts().contains(&"stop api".to_owned())
        })
        .await;
        // Whoever comes too late is told so.
        let late = manager.order(&stack_name(), &[unit("api")], START).await;
        assert!(matches!(late, Err(OrderError::Ended)), "{late:?}");
        comes_to(&manager, "api", "stopping").await;
        stage.exits("api", 0);
        within(PATIENCE, "the end", ending).await;
    });
}

#[test]
fn the_explanation_of_a_long_chain_can_be_read_by_any_client() {
    smol::block_on(async {
        let stage = Stage::default();
        stage.scene().missing.insert("u0".into());
        let manager = manager(&stage).await;
        let chain: Vec<String> = (1..300)
            .map(|number| format!("u{number} needs u{}", number - 1))
            .collect();
        begin(&manager, stack(&format!("u0;{}", chain.join(";")))).await;
        wait(&manager, &["u0"], Goal::Ready).await;
        let why = manager.why(&stack_name(), &unit("u299")).await;
        let sent = serde_json::to_string(&why.expect("a known unit")).expect("plain data");
        let read: Result<service_orchestration::report::Why, _> = serde_json::from_str(&sent);
        let reasons = read.expect("not too deep").reasons;
        let names: Vec<&str> = reasons.iter().map(|reason| reason.name.as_str()).collect();
        assert_eq!((names.len(), names[0], names[299]), (300, "u299", "u0"));
        assert!(
            reasons[299].reason.contains("it is missing"),
            "nothing is cut off"
        );
    });
}

#[test]
fn nobody_waits_for_ever_for_a_launch_that_an_unhealthy_unit_holds_back() {
    smol::block_on(async {
        let manager = manager(&Stage::default()).await;
        let mut spec = stack("db; api needs db");
        let command = vec!["false".into()];
        let mut probe = Probe::new(ProbeAction::Command { command });
        probe.interval = Duration::from_millis(20);
        probe.retries = 1;
        spec.units.get_mut("db").expect("defined").readiness = Some(probe);
        begin(&manager, spec).await;
        let Waited::Never(blocked) = wait(&manager, &["api"], Goal::Launched).await else {
            panic!("`db` never becomes ready")
        };
        assert!(
            blocked[0].unhealthy && blocked[0].culprit == "db",
            "{blocked:?}"
        );
    });
}

#[test]
fn who_waits_for_the_end_of_what_another_order_starts_again_is_told() {
    smol::block_on(async {
        let stage = Stage::default();
        stage.scene().deaf.insert("api".into());
        let manager = manager(&stage).await;
        begin(&manager, stack("api")).await;
        wait(&manager, &[], Goal::Running).await;
        let (name, api) = (stack_name(), [unit("api")]);
        let stopped = manager.order(&name, &api, STOP).await;
        stopped.expect("a known unit");
        let gone = manager.wait_down(&name, &api);
        let started = async {
            manager
                .order(&name, &api, START)
                .await
                .expect("a known unit");
        };
        let (waited, ()) = within(
            PATIENCE,
            "the news",
            futures_lite::future::zip(gone, started),
        )
        .await;
        let Ok(Waited::Never(blocked)) = waited else {
            panic!("it is wanted: {waited:?}")
        };
        assert!(blocked[0].started_again, "{blocked:?}");
        assert_eq!(blocked[0].reason, "it was started again by another order");
    });
}

#[test]
fn a_changed_task_waits_for_what_the_same_order_replaces() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(
            &manager,
            stack("db; task job needs db; db2; task job2 needs db2"),
        )
        .await;
        stage.exits("job", 0);
        stage.exits("job2", 1);
        comes_to(&manager, "job", "done").await;
        comes_to(&manager, "job2", "failed").await;
        let mut changed = stack("db; task job needs db; db2; task job2 needs db2");
        for name in ["db", "job", "db2"] {
            let spec = changed.units.get_mut(name).expect("it was just defined");
            spec.env.insert("LOG".into(), "debug".into());
        }
        let before = stage.acts().len();
        up(&manager, changed).await;
        let acts = stage.acts().split_off(before);
        for (db, job) in [("db", "job"), ("db2", "job2")] {
            let own = |act: &&String| {
                act.ends_with(&format!(" {db}")) || act.ends_with(&format!(" {job}"))
            };
            let own: Vec<&String> = acts.iter().filter(own).collect();
            let expected = [
                format!("stop {db}"),
                format!("launch {db}"),
                format!("launch {job}"),
            ];
            assert_eq!(own, expected.iter().collect::<Vec<_>>());
        }
    });
}

#[test]
fn a_restart_in_a_stopped_stack_starts_what_is_needed() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db; api needs db; web needs api; other")).await;
        manager
            .order(&stack_name(), &[], STOP)
            .await
            .expect("known units");
        wait(&manager, &[], Goal::Stopped).await;
        let before = stage.acts().len();
        let ordered = manager
            .order(
                &stack_name(),
                &[unit("api")],
                Order::Restart { grace: None },
            )
            .await
            .expect("known units");
        assert_eq!((ordered.units.len(), ordered.moved.len()), (1, 2));
        assert_eq!(wait(&manager, &["api"], Goal::Ready).await, Waited::Reached);
        assert_eq!(stage.acts()[before..], ["launch db", "launch api"]);
        manager
            .order(
                &stack_name(),
                &[unit("api")],
                Order::Restart { grace: None },
            )
            .await
            .expect("known units");
        assert_eq!(wait(&manager, &["api"], Goal::Ready).await, Waited::Reached);
        assert_eq!(stage.acts()[before + 2..], ["stop api", "launch api"]);
    });
}

#[test]
fn the_grace_that_a_restart_is_given_is_for_that_one_alone() {
    smol::block_on(async {
        let stage = Stage::default();
        stage.scene().deaf.insert("db".into());
        let manager = manager(&stage).await;
        up(&manager, stack("db")).await;
        let own = stack("db").units[&unit("db")].stop.grace;
        let given = Duration::from_secs(100);
        assert_ne!(own, given);
        for (times, grace) in [(1, Some(given)), (2, None)] {
            wait(&manager, &[], Goal::Ready).await;
            let order = Order::Restart { grace };
            let ordered = manager.order(&stack_name(), &[], order).await;
            ordered.expect("known units");
            eventually(PATIENCE, "it is asked to end", || {
                stage.scene().graces.len() == times
            })
            .await;
            let last = stage.scene().graces.last().map(|(_, grace)| *grace);
            assert_eq!(last, Some(grace.unwrap_or(own)));
            stage.exits("db", 0);
        }
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        // The end of the manager waits for it.
        stage.scene().deaf.clear();
    });
}
