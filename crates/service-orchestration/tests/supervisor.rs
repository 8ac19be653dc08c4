//! The supervisor's behaviour, with programs that do what the test says.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::world::{START, STOP, manager, status, up, wait};
use common::{Stage, stack, stack_name, unit};
use service_orchestration::ServiceManager;
use service_orchestration::model::Goal;
use service_orchestration::report::{EventKind, StackStatus};
use service_orchestration::spec::{
    Part, PortNumber, PortSpec, Probe, ProbeAction, Reference, RestartWhen, Template,
};
use service_orchestration::supervisor::{ApplyError, ApplyMode, Order, OrderError, Waited};
use testkit::{run_everywhere, within};

#[test]
fn units_come_up_after_what_they_need_and_go_down_before_it() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db; api needs db; web needs api")).await;
        assert_eq!(stage.acts(), ["launch db", "launch api", "launch web"]);
        manager
            .order(&stack_name(), &[], STOP)
            .await
            .expect("nobody else needs them");
        assert_eq!(wait(&manager, &[], Goal::Stopped).await, Waited::Reached);
        assert_eq!(stage.acts()[3..], ["stop web", "stop api", "stop db"]);
    });
}

#[test]
fn a_second_start_changes_nothing() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db; api needs db")).await;
        let again = manager
            .order(&stack_name(), &[], START)
            .await
            .expect("known units");
        assert!(again.moved.is_empty(), "{again:?}");
        assert_eq!(stage.acts().len(), 2);
    });
}

#[test]
fn a_unit_whose_definition_changed_is_restarted_and_no_other() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db; api needs db; cache")).await;
        let mut changed = stack("db; api needs db; cache");
        let api = changed.units.get_mut("api").expect("it was just defined");
        api.env.insert("LOG".into(), "debug".into());
        let applied = manager
            .apply(changed, ApplyMode::Replace)
            .await
            .expect("a good stack");
        assert_eq!(applied.changed, [unit("api")]);
        assert_eq!(applied.differences[&unit("api")], ["env.LOG"]);
        manager
            .order(&stack_name(), &[], START)
            .await
            .expect("known units");
        wait(&manager, &[], Goal::Running).await;
        assert_eq!(stage.acts()[3..], ["stop api", "launch api"]);
    });
}

#[test]
fn a_status_is_written_once_as_long_as_nothing_happens() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db; api needs db")).await;
        wait(&manager, &[], Goal::Ready).await;
        let text = || async {
            let text = manager.status_text(&stack_name()).await;
            text.expect("a known stack")
        };
        // Asked for anew whenever something was still under way.
        let is_same =
            || async { text().await.as_json().as_ptr() == text().await.as_json().as_ptr() };
        testkit::eventually_async(Duration::from_secs(10), "quiet", is_same).await;
        let read = |text: &str| -> StackStatus { serde_json::from_str(text).expect("a status") };
        let status = manager.status(&stack_name()).await.expect("a known stack");
        assert_eq!(read(text().await.as_json()), status);
        manager
            .order(&stack_name(), &[unit("api")], STOP)
            .await
            .expect("known units");
        wait(&manager, &["api"], Goal::Stopped).await;
        let overview = manager.overview().await.remove(0);
        assert_eq!((overview.units, overview.active, overview.ready), (2, 1, 1));
        let status = manager.status(&stack_name()).await.expect("a known stack");
        assert_eq!(read(text().await.as_json()), status);
    });
}

#[test]
fn what_is_needed_is_not_stopped_without_being_told_so() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db; api needs db")).await;
        let refused = manager.order(&stack_name(), &[unit("db")], STOP).await;
        let Err(OrderError::Needed { dependents, .. }) = refused else {
            panic!("it was not refused: {refused:?}")
        };
        assert_eq!(dependents, ["api"]);
        let order = Order::Stop {
            with_dependents: true,
            force: false,
            grace: None,
        };
        manager
            .order(&stack_name(), &[unit("db")], order)
            .await
            .expect("dependents are taken along");
        wait(&manager, &[], Goal::Stopped).await;
        assert_eq!(stage.acts()[2..], ["stop api", "stop db"]);
    });
}

#[test]
fn an_exit_is_seen_and_the_unit_restarted() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db")).await;
        let events = manager.subscribe(None, 64).await.events;
        stage.exits("db", 3);
        let restarted = async {
            loop {
                let event = events.recv().await.expect("the manager lives");
                if event.event_type == EventKind::ServiceRestarted {
                    return event;
                }
            }
        };
        let event = within(Duration::from_secs(5), "the restart", restarted).await;
        assert_eq!(event.event_data["restarts"], 1);
        let status = manager.status(&stack_name()).await.expect("a known stack");
        assert_eq!(
            (status.items[0].restarts, status.items[0].exit_code),
            (1, Some(3))
        );
    });
}

#[test]
fn a_unit_that_cannot_be_launched_blocks_those_that_need_it() {
    run_everywhere(|| async {
        let stage = Stage::default();
        stage.scene().missing.insert("db".into());
        let manager = manager(&stage).await;
        manager
            .apply(stack("db; api needs db"), ApplyMode::Replace)
            .await
            .expect("a good stack");
        manager
            .order(&stack_name(), &[], START)
            .await
            .expect("known units");
        let Waited::Never(blocked) = wait(&manager, &["api"], Goal::Ready).await else {
            panic!("it cannot become ready")
        };
        assert_eq!(
            (blocked[0].name.as_str(), blocked[0].culprit.as_str()),
            ("api", "db")
        );
        assert!(
            blocked[0].reason.contains("it is missing"),
            "{:?}",
            blocked[0]
        );
        let why = manager
            .why(&stack_name(), &unit("api"))
            .await
            .expect("a known unit");
        assert_eq!(why.reasons[1].name, "db");
        assert!(why.reasons[1].reason.contains("it is missing"), "{why:?}");
    });
}

#[test]
fn a_deaf_unit_is_killed_after_its_grace() {
    run_everywhere(|| async {
        let stage = Stage::default();
        stage.scene().deaf.insert("db".into());
        let manager = manager(&stage).await;
        up(&manager, stack("db")).await;
        let order = Order::Stop {
            with_dependents: false,
            force: false,
            grace: Some(Duration::from_millis(20)),
        };
        manager
            .order(&stack_name(), &[], order)
            .await
            .expect("known units");
        wait(&manager, &[], Goal::Stopped).await;
        assert_eq!(stage.acts()[1..], ["stop db", "kill db"]);
    });
}

#[test]
fn a_task_runs_once_until_its_definition_changes() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let spec = || stack("task seed; api needs seed");
        manager
            .apply(spec(), ApplyMode::Replace)
            .await
            .expect("a good stack");
        manager
            .order(&stack_name(), &[], START)
            .await
            .expect("known units");
        wait(&manager, &["seed"], Goal::Launched).await;
        assert_eq!(stage.acts(), ["launch seed"]);
        stage.exits("seed", 0);
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        manager
            .order(&stack_name(), &[], START)
            .await
            .expect("known units");
        assert_eq!(stage.acts(), ["launch seed", "launch api"]);
        let mut changed = spec();
        changed
            .units
            .get_mut("seed")
            .expect("defined")
            .env
            .insert("A".into(), "b".into());
        manager
            .apply(changed, ApplyMode::Replace)
            .await
            .expect("a good stack");
        manager
            .order(&stack_name(), &[], START)
            .await
            .expect("known units");
        wait(&manager, &["seed"], Goal::Launched).await;
        assert_eq!(stage.acts()[2..], ["launch seed"]);
    });
}

#[test]
fn a_unit_is_told_where_the_others_are() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let mut spec = stack("db; api needs db");
        let port = PortSpec {
            name: Some("sql".into()),
            ..PortSpec::new(PortNumber::Auto)
        };
        spec.units.get_mut("db").expect("defined").ports.push(port);
        let reference = Reference {
            unit: unit("db"),
            attribute: service_orchestration::spec::Attribute::Addr,
        };
        let api = spec.units.get_mut("api").expect("defined");
        api.env.insert(
            "DSN".into(),
            Template::from_parts([Part::Reference(reference)]),
        );
        up(&manager, spec).await;
        let (db, api) = (
            stage.actor("db").expect("it runs"),
            stage.actor("api").expect("it runs"),
        );
        let port = &db.env["PORT"];
        assert_eq!(api.env["DSN"], format!("127.0.0.1:{port}"));
        assert_eq!(api.env["DB_PORT"], *port);
        assert_eq!(api.env["DB_PORT_SQL"], *port);
        assert_eq!(api.env["DB_HOST"], "127.0.0.1");
        assert!(
            !api.env.contains_key("DB_URL"),
            "nobody knows what it speaks"
        );
    });
}

#[test]
fn a_unit_that_asks_for_silence_is_told_nothing_but_its_own_port() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let mut spec = stack("db; api needs db");
        let port = PortSpec::new(PortNumber::Auto);
        let db = spec.units.get_mut("db").expect("defined");
        db.ports.push(port);
        let api = spec.units.get_mut("api").expect("defined");
        api.inject = false;
        api.ports.push(port_named("web"));
        up(&manager, spec).await;
        let api = stage.actor("api").expect("it runs");
        let told = api.env.keys().filter(|name| *name != "PATH");
        let told: Vec<_> = told.map(String::as_str).collect();
        assert_eq!(told, ["PORT", "PORT_WEB"]);
    });
}

#[test]
fn whoever_is_asked_for_its_health_by_http_has_a_url() {
    run_everywhere(|| async {
        for (url, is_known) in [
            ("http://127.0.0.1:8080/health", true),
            ("http://127.0.0.1:8081/", false),
            ("http://127.0.0.1/", false),
        ] {
            let stage = Stage::default();
            let manager = manager(&stage).await;
            let mut spec = stack("web; api needs web");
            let web = spec.units.get_mut("web").expect("defined");
            web.ports.push(PortSpec::new(PortNumber::Fixed(8080)));
            let asked = ProbeAction::Http {
                url: url.into(),
                status: Vec::new(),
                headers: BTreeMap::new(),
            };
            web.liveness = Some(Probe::new(asked));
            up(&manager, spec).await;
            let api = stage.actor("api").expect("it runs");
            let expected = is_known.then_some("http://127.0.0.1:8080");
            assert_eq!(
                api.env.get("WEB_URL").map(String::as_str),
                expected,
                "{url}"
            );
        }
    });
}

fn port_named(name: &str) -> PortSpec {
    PortSpec {
        name: Some(name.into()),
        ..PortSpec::new(PortNumber::Auto)
    }
}

#[test]
fn what_runs_is_taken_over_by_the_next_owner_of_the_state() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let home = testkit::temp_dir();
        let make = || {
            ServiceManager::builder()
                .state_dir(home.path())
                .executor(stage.clone())
                .start()
        };
        let first = make().await.expect("a fresh state");
        let mut spec = stack("db; api needs db; job");
        spec.units.get_mut("job").expect("defined").restart.when = RestartWhen::Never;
        up(&first, spec).await;
        first.shutdown(true).await;
        drop(first);
        stage.exits("job", 7);
        let second = make().await.expect("the state is free again");
        assert_eq!(status(&second, "db").await.state, "ready");
        assert_eq!(status(&second, "api").await.state, "ready");
        assert_eq!(status(&second, "job").await.state, "failed");
        let status = second.status(&stack_name()).await.expect("a known stack");
        let job = status
            .items
            .iter()
            .find(|item| item.name == "job")
            .expect("a known unit");
        assert_eq!(job.exit_code, Some(7));
        assert_eq!(
            stage.acts().len(),
            3,
            "nothing was started twice: {:?}",
            stage.acts()
        );
        second
            .order(&stack_name(), &[], STOP)
            .await
            .expect("known units");
        wait(&second, &[], Goal::Stopped).await;
        second.shutdown(false).await;
    });
}

#[test]
fn a_second_owner_of_the_state_is_refused_by_name() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let home = testkit::temp_dir();
        let make = || {
            ServiceManager::builder()
                .state_dir(home.path())
                .executor(stage.clone())
                .start()
        };
        let _first = make().await.expect("a fresh state");
        let refused = make().await.expect_err("it has an owner");
        assert!(
            refused
                .to_string()
                .contains(&std::process::id().to_string()),
            "{refused}"
        );
    });
}

#[test]
fn a_circle_and_an_unknown_dependency_are_refused() {
    run_everywhere(|| async {
        let manager = manager(&Stage::default()).await;
        let circle = manager
            .apply(stack("a needs b; b needs c; c needs a"), ApplyMode::Replace)
            .await;
        let Err(ApplyError::Cycle { units }) = circle else {
            panic!("{circle:?}")
        };
        assert_eq!(units, ["a", "b", "c", "a"]);
        let unknown = manager.apply(stack("a needs b"), ApplyMode::Replace).await;
        assert!(
            matches!(unknown, Err(ApplyError::UnknownDependency { .. })),
            "{unknown:?}"
        );
        let mistyped = manager.order(&stack_name(), &[], START).await;
        assert!(
            matches!(mistyped, Err(OrderError::UnknownStack { .. })),
            "{mistyped:?}"
        );
    });
}

#[test]
fn a_manager_without_state_stops_its_services_when_it_goes() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        up(&manager, stack("db; api needs db")).await;
        drop(manager);
        assert_eq!(stage.acts()[2..], ["stop api", "stop db"]);
    });
}

#[test]
fn a_unit_that_failed_since_is_not_ready() {
    run_everywhere(|| async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let mut spec = stack("hasty; task slow");
        spec.units.get_mut("hasty").expect("defined").restart.when = RestartWhen::Never;
        up(&manager, spec).await;
        stage.exits("hasty", 3);
        let Waited::Never(blocked) = wait(&manager, &[], Goal::Ready).await else {
            panic!("`hasty` has failed")
        };
        assert_eq!(blocked[0].culprit, "hasty");
        assert!(blocked[0].reason.contains("exit code 3"), "{blocked:?}");
    });
}
