//! What the next owner of the state goes on from, and what is said of a unit whose definition has changed meanwhile.

mod common;

use std::time::Duration;

use async_trait::async_trait;
use common::world::{PATIENCE, START, STOP, World, begin, comes_to, manager, status, wait};
use common::{Stage, stack, stack_name, unit};
use service_orchestration::ServiceManager;
use service_orchestration::model::Goal;
use service_orchestration::setup::{ServiceSetup, SetupError, SetupHook};
use service_orchestration::spec::{PortNumber, PortSpec, StackSpec};
use service_orchestration::store::{StoredCause, StoredState, UnitRecord};
use service_orchestration::supervisor::{ApplyMode, Order, Waited};

fn looping(text: &str, limit: u32) -> StackSpec {
    let mut spec = stack(text);
    for unit in spec.units.values_mut() {
        unit.restart.crash_loop.limit = limit;
        unit.restart.backoff.initial = Duration::from_millis(1);
    }
    spec
}

/// The program ends, and what comes next is waited for.
async fn ends(world: &World, manager: &ServiceManager, name: &str, attempt: u64) {
    testkit::eventually(PATIENCE, "it runs", || {
        world
            .stage
            .actor(name)
            .is_some_and(|actor| actor.attempt == attempt)
    })
    .await;
    comes_to(manager, name, "ready").await;
    world.stage.exits(name, 3);
}

async fn says(manager: &ServiceManager, name: &str) -> String {
    let why = manager
        .why(&stack_name(), &unit(name))
        .await
        .expect("a known unit");
    why.reasons[0].reason.clone()
}

#[test]
fn a_crash_loop_is_counted_on_by_the_next_owner() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        begin(&first, looping("db", 2)).await;
        ends(&world, &first, "db", 1).await;
        ends(&world, &first, "db", 2).await;
        testkit::eventually(PATIENCE, "it runs", || world.stage.actor("db").is_some()).await;
        comes_to(&first, "db", "ready").await;
        first.shutdown(true).await;
        let next = world.manager().await;
        ends(&world, &next, "db", 3).await;
        comes_to(&next, "db", "crash-loop").await;
        assert_eq!(status(&next, "db").await.restarts, 2);
        next.shutdown(true).await;
        let third = world.manager().await;
        assert_eq!(status(&third, "db").await.state, "crash-loop");
        let said = says(&third, "db").await;
        assert!(
            said.contains("exit code 3") && said.contains("tried again in"),
            "{said}"
        );
        let blocked = wait(&third, &["db"], Goal::Stopped).await;
        let Waited::Never(blocked) = blocked else {
            panic!("it is tried again and again: {blocked:?}");
        };
        assert_eq!(blocked[0].reason, "it ends again and again: exit code 3");
        third.order(&stack_name(), &[], STOP).await.expect("known");
        assert_eq!(wait(&third, &["db"], Goal::Stopped).await, Waited::Reached);
    });
}

#[test]
fn the_grace_that_a_stop_was_given_is_what_the_next_owner_gives() {
    smol::block_on(async {
        let world = World::new();
        world.stage.scene().deaf.insert("db".into());
        let first = world.manager().await;
        begin(&first, stack("db")).await;
        wait(&first, &[], Goal::Ready).await;
        let order = Order::Stop {
            with_dependents: false,
            force: false,
            grace: Some(Duration::from_secs(100)),
        };
        first.order(&stack_name(), &[], order).await.expect("known");
        comes_to(&first, "db", "stopping").await;
        testkit::eventually(PATIENCE, "it is asked", || {
            world.stage.scene().graces.len() == 1
        })
        .await;
        first.shutdown(true).await;
        let next = world.manager().await;
        testkit::eventually(PATIENCE, "it is asked", || {
            world.stage.scene().graces.len() == 2
        })
        .await;
        let graces = world.stage.scene().graces.clone();
        assert_eq!(graces[0].1, Duration::from_secs(100));
        let left = graces[1].1;
        assert!(
            left > Duration::from_secs(50) && left < graces[0].1,
            "{left:?}"
        );
        world.stage.exits("db", 0);
        assert_eq!(wait(&next, &[], Goal::Stopped).await, Waited::Reached);
    });
}

#[test]
fn why_it_failed_is_still_known() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        let mut spec = common::world::once("db");
        let db = spec.units.get_mut("db").expect("it was just defined");
        db.readiness = Some(service_orchestration::spec::Probe::new(
            service_orchestration::spec::ProbeAction::Notify,
        ));
        db.startup_timeout = Some(Duration::from_millis(20));
        begin(&first, spec).await;
        comes_to(&first, "db", "failed").await;
        assert_eq!(
            says(&first, "db").await,
            "it failed: it was not ready in time"
        );
        first.shutdown(true).await;
        let record = world.shelf.goods().units.values().next().cloned();
        assert_eq!(
            record.expect("it was kept").cause,
            Some(StoredCause::StartupTimeout)
        );
        let next = world.manager().await;
        assert_eq!(
            says(&next, "db").await,
            "it failed: it was not ready in time"
        );
    });
}

#[test]
fn a_loop_that_is_not_tried_again_is_named() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let mut spec = looping("db", 0);
        let db = spec.units.get_mut("db").expect("it was just defined");
        db.restart.crash_loop.retry_every = None;
        begin(&manager, spec).await;
        comes_to(&manager, "db", "ready").await;
        stage.exits("db", 3);
        comes_to(&manager, "db", "failed").await;
        let named = "it failed: crash loop, and it is not tried again: exit code 3";
        assert_eq!(says(&manager, "db").await, named);
        let Waited::Never(blocked) = wait(&manager, &["db"], Goal::Ready).await else {
            panic!("it has failed");
        };
        assert_eq!(blocked[0].reason, named);
    });
}

struct Broken;

#[async_trait]
impl ServiceSetup for Broken {
    async fn is_setup_complete(&self) -> Result<bool, SetupError> {
        Ok(false)
    }

    async fn perform_setup(&self) -> Result<(), SetupError> {
        Err(SetupError::new("no schema"))
    }

    async fn validate_setup(&self) -> Result<(), SetupError> {
        Ok(())
    }
}

#[test]
fn a_setup_that_failed_is_said_to_be_the_setup() {
    smol::block_on(async {
        let stage = Stage::default();
        let manager = manager(&stage).await;
        let mut spec = common::world::once("db");
        let db = spec.units.get_mut("db").expect("it was just defined");
        db.setup = Some(SetupHook::new(Broken));
        begin(&manager, spec).await;
        comes_to(&manager, "db", "failed").await;
        assert_eq!(
            says(&manager, "db").await,
            "it failed: its setup failed: no schema"
        );
    });
}

fn listening(port: PortNumber) -> StackSpec {
    let mut spec = stack("db; api needs db");
    let db = spec.units.get_mut("db").expect("it was just defined");
    db.ports = vec![PortSpec::new(port)];
    spec
}

#[test]
fn what_runs_is_described_by_the_definition_it_was_started_with() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        begin(&first, listening(PortNumber::Fixed(4001))).await;
        wait(&first, &[], Goal::Ready).await;
        let address = |port: u16| Some(format!("127.0.0.1:{port}"));
        let changed = listening(PortNumber::Fixed(4002));
        first
            .apply(changed.clone(), ApplyMode::Replace)
            .await
            .expect("a good stack");
        assert_eq!(status(&first, "db").await.address, address(4001));
        // Whoever is started now finds what runs.
        first
            .order(
                &stack_name(),
                &[unit("api")],
                Order::Restart { grace: None },
            )
            .await
            .expect("known units");
        testkit::eventually(PATIENCE, "a new attempt", || {
            world.stage.actor("api").is_some_and(|api| api.attempt == 2)
        })
        .await;
        let told = world.stage.actor("api").expect("it runs").env;
        assert_eq!(told["DB_PORT"], "4001");
        first.shutdown(true).await;
        let next = world.manager().await;
        wait(&next, &[], Goal::Ready).await;
        assert_eq!(status(&next, "db").await.address, address(4001));
        next.order(&stack_name(), &[], START).await.expect("known");
        testkit::eventually(PATIENCE, "a new attempt", || {
            world.stage.actor("db").is_some_and(|db| db.attempt == 2)
        })
        .await;
        wait(&next, &[], Goal::Ready).await;
        assert_eq!(status(&next, "db").await.address, address(4002));
        let kept = world.shelf.goods().units.clone();
        assert!(kept.values().all(|unit| unit.launched_spec.is_none()));
    });
}

#[test]
fn what_runs_and_is_in_no_active_profile_is_no_orphan() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        begin(&first, stack("db; tracer needs helper; helper")).await;
        wait(&first, &[], Goal::Ready).await;
        let mut plain = stack("db; tracer needs helper; helper");
        for name in ["tracer", "helper"] {
            let left_out = plain.units.remove(name).expect("it was just defined");
            plain.inactive.insert(unit(name), left_out);
        }
        let applied = first
            .apply(plain.clone(), ApplyMode::Replace)
            .await
            .expect("a good stack");
        assert!(applied.orphans.is_empty() && applied.changed.is_empty());
        let started = first.order(&stack_name(), &[], START).await.expect("known");
        assert_eq!((started.units.len(), started.moved.len()), (1, 0));
        first.shutdown(true).await;
        let next = world.manager().await;
        wait(&next, &["tracer"], Goal::Ready).await;
        next.order(&stack_name(), &[unit("tracer"), unit("helper")], STOP)
            .await
            .expect("nobody else needs them");
        wait(&next, &["tracer", "helper"], Goal::Stopped).await;
        let applied = next
            .apply(plain, ApplyMode::Replace)
            .await
            .expect("a good stack");
        assert_eq!(applied.removed, [unit("helper"), unit("tracer")]);
    });
}

#[test]
fn replicas_that_are_no_longer_defined_are_found_by_the_next_owner_and_can_be_stopped() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        let replicated = |count| {
            let mut spec = stack("db; api needs db");
            let db = spec.units.get_mut("db").expect("it was just defined");
            db.replicas = count;
            spec
        };
        begin(&first, replicated(3)).await;
        wait(&first, &[], Goal::Ready).await;
        let applied = first
            .apply(replicated(2), ApplyMode::Replace)
            .await
            .expect("a good stack");
        assert_eq!(applied.orphans, [unit("db")]);
        first.shutdown(true).await;
        let next = world.manager().await;
        wait(&next, &[], Goal::Ready).await;
        assert_eq!(status(&next, "db/3").await.state, "ready");
        let stop = Order::Stop {
            with_dependents: true,
            force: false,
            grace: None,
        };
        next.order(&stack_name(), &[unit("db")], stop)
            .await
            .expect("with those that need it");
        wait(&next, &[], Goal::Stopped).await;
        assert!(world.stage.acts().contains(&"stop db/3".to_owned()));
    });
}

#[test]
fn a_launch_that_its_daemon_died_over_is_carried_out_by_the_next_whatever_the_restart_policy() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        begin(&first, common::world::once("db; task seed")).await;
        wait(&first, &["db"], Goal::Ready).await;
        world.stage.exits("seed", 0);
        wait(&first, &["seed"], Goal::Ready).await;
        // The next attempt of each is decided and kept, and comes no further.
        let (_never, door) = async_channel::unbounded();
        for name in ["db", "seed"] {
            world.stage.scene().doors.insert(name.into(), door.clone());
            first
                .order(&stack_name(), &[unit(name)], Order::Restart { grace: None })
                .await
                .expect("known units");
            comes_to(&first, name, "starting").await;
        }
        testkit::eventually(PATIENCE, "both are being launched", || {
            world.stage.scene().doors.is_empty()
        })
        .await;
        first.shutdown(true).await;
        world.stage.scene().unbegun = ["db", "seed"].map(str::to_owned).into();
        let next = world.manager().await;
        wait(&next, &["db"], Goal::Ready).await;
        let db = status(&next, "db").await;
        assert_eq!((db.restarts, db.reason), (0, None));
        assert_eq!(world.stage.actor("db").expect("it runs").attempt, 3);
        testkit::eventually(PATIENCE, "the task runs", || {
            world.stage.actor("seed").is_some()
        })
        .await;
        let tickets = world.stage.scene().tickets.clone();
        assert!(
            tickets.len() == 2 && tickets.iter().all(|ticket| ticket.details.is_none()),
            "what was known of the attempt before is not of this one: {tickets:?}"
        );
    });
}

/// What the version before this one wrote. It is never edited: a new form of record gets a sample of its own.
#[test]
fn records_of_earlier_versions_load() {
    let text = include_str!("samples/unit-record-1.json");
    let record: UnitRecord = serde_json::from_str(text).expect("it still loads");
    assert_eq!(record.state, StoredState::Backoff);
    assert_eq!((record.restarts, record.failures), (3, 4));
    assert!(record.times.is_none() && record.cause.is_none() && record.bases.is_empty());
}
