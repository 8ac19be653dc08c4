//! The supervisor while its store fails or takes its time, and while attempts cannot be found.

mod common;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use common::world::{PATIENCE, START, STOP, World, begin, comes_to, once, status, wait};
use common::{stack, stack_name, unit};
use service_orchestration::model::Goal;
use service_orchestration::report::EventKind;
use service_orchestration::spec::{PortNumber, PortSpec, Probe, ProbeAction};
use service_orchestration::store::{StoredState, UnitRecord};
use service_orchestration::supervisor::{ApplyMode, Order, Waited};
use testkit::{eventually, eventually_async, within};

#[test]
fn a_launch_of_which_nobody_knows_whether_it_worked_is_not_repeated() {
    smol::block_on(async {
        let world = World::new();
        world.stage.scene().unclear.insert("db".into());
        world.stage.scene().hidden.insert("db".into(), 1);
        let manager = world.manager().await;
        begin(&manager, stack("db")).await;
        assert_eq!(wait(&manager, &["db"], Goal::Ready).await, Waited::Reached);
        assert_eq!(world.stage.acts(), ["launch db"]);
        assert_eq!(
            world.stage.scene().kept.len(),
            1,
            "what is kept of it is needed to find it"
        );
        manager.shutdown(false).await;
        assert_eq!(world.stage.acts(), ["launch db", "stop db"]);
    });
}

#[test]
fn an_attempt_that_cannot_be_found_is_looked_for_again() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        begin(&first, stack("db; api needs db")).await;
        wait(&first, &[], Goal::Ready).await;
        first.shutdown(true).await;
        drop(first);
        world.stage.scene().hidden.insert("db".into(), 1);
        world.shelf.goods().history.clear();
        let second = world.manager().await;
        assert_eq!(wait(&second, &[], Goal::Ready).await, Waited::Reached);
        assert_eq!(world.stage.acts(), ["launch db", "launch api"]);
        // A kill at any moment of this must leave the next one something to look for.
        let is_ready = |record: &UnitRecord| record.state == StoredState::Ready;
        assert!(world.shelf.goods().history.iter().all(is_ready));
        second.shutdown(false).await;
    });
}

#[test]
fn the_end_of_the_manager_does_not_wait_for_what_cannot_be_found() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        begin(&first, stack("db; api")).await;
        wait(&first, &[], Goal::Ready).await;
        first.shutdown(true).await;
        drop(first);
        world.stage.scene().hidden.insert("db".into(), u32::MAX);
        let second = world.manager().await;
        let waited = async {
            second
                .order(&stack_name(), &[], STOP)
                .await
                .expect("known units");
            wait(&second, &["db"], Goal::Stopped).await
        };
        let Waited::Never(blocked) = waited.await else {
            panic!("nobody saw it go")
        };
        assert!(blocked[0].reason.contains("nobody answers"), "{blocked:?}");
        within(PATIENCE, "the end", second.shutdown(false)).await;
        assert_eq!(world.stage.acts()[2..], ["stop api"]);
        assert!(world.stage.actor("db").is_some());
    });
}

#[test]
fn a_stop_that_comes_too_late_does_not_hide_how_the_unit_ended() {
    smol::block_on(async {
        let world = World::new();
        let manager = world.manager().await;
        begin(&manager, once("db")).await;
        wait(&manager, &[], Goal::Ready).await;
        world.shelf.close();
        let (handle, stack) = (manager.clone(), stack_name());
        let stopping = smol::spawn(async move { handle.order(&stack, &[], STOP).await });
        comes_to(&manager, "db", "stopping").await;
        eventually(PATIENCE, "the write to begin", || {
            world.shelf.is_waited_for()
        })
        .await;
        world.stage.exits("db", 7);
        comes_to(&manager, "db", "idle").await;
        world.shelf.open();
        stopping.await.expect("known units");
        manager
            .order(&stack_name(), &[], Order::Hold)
            .await
            .expect("known units");
        assert_eq!(status(&manager, "db").await.exit_code, Some(7));
        manager.shutdown(false).await;
    });
}

fn tcp_probe(port: u16) -> Probe {
    let action = ProbeAction::Tcp {
        host: None,
        port: port.to_string().as_str().into(),
    };
    Probe {
        interval: Duration::from_millis(5),
        ..Probe::new(action)
    }
}

#[test]
fn a_unit_that_ended_meanwhile_is_not_probed() {
    smol::block_on(async {
        let world = World::new();
        let listen = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.set_nonblocking(true).expect("a socket");
            let port = listener.local_addr().expect("it is bound").port();
            (listener, port)
        };
        let ((of_db, db_port), (of_api, api_port)) = (listen(), listen());
        let mut spec = once("db; api");
        spec.units.get_mut("db").expect("defined").liveness = Some(tcp_probe(db_port));
        spec.units.get_mut("api").expect("defined").liveness = Some(tcp_probe(api_port));
        let (open, door) = async_channel::bounded(1);
        world.stage.scene().doors.insert("db".into(), door);
        let manager = world.manager().await;
        manager
            .apply(spec, ApplyMode::Replace)
            .await
            .expect("a good stack");
        manager
            .order(&stack_name(), &[unit("db")], START)
            .await
            .expect("known units");
        world.shelf.close();
        open.send(()).await.expect("it waits at the door");
        comes_to(&manager, "db", "ready").await;
        eventually(PATIENCE, "the write to begin", || {
            world.shelf.is_waited_for()
        })
        .await;
        world.stage.exits("db", 1);
        comes_to(&manager, "db", "failed").await;
        // While it ran it was probed, although that it ran is not kept yet.
        while of_db.accept().is_ok() {}
        world.shelf.open();
        manager
            .order(&stack_name(), &[unit("api")], START)
            .await
            .expect("known units");
        let mut seen = 0;
        eventually(PATIENCE, "the other to be probed", || {
            seen += u32::from(of_api.accept().is_ok());
            seen == 3
        })
        .await;
        assert!(of_db.accept().is_err(), "somebody asks a unit that is gone");
        manager.shutdown(false).await;
    });
}

#[test]
fn chosen_ports_are_kept_before_they_are_used_and_are_no_two_alike() {
    smol::block_on(async {
        let world = World::new();
        let names: Vec<String> = (0..400).map(|number| format!("u{number}")).collect();
        let mut spec = stack(&names.join(";"));
        for unit in spec.units.values_mut() {
            unit.ports.push(PortSpec::new(PortNumber::Auto));
        }
        let manager = world.manager().await;
        begin(&manager, spec).await;
        wait(&manager, &[], Goal::Ready).await;
        let ports: BTreeSet<u16> = {
            let goods = world.shelf.goods();
            let intent = |record: &&UnitRecord| record.state == StoredState::Starting;
            let without = goods
                .history
                .iter()
                .filter(intent)
                .filter(|unit| unit.chosen_ports.is_empty());
            assert_eq!(
                without.count(),
                0,
                "launches were decided without their ports"
            );
            goods
                .units
                .values()
                .flat_map(|unit| unit.chosen_ports.values().copied())
                .collect()
        };
        assert_eq!(ports.len(), 400);
        manager.shutdown(false).await;
    });
}

#[test]
fn what_is_left_of_a_run_stays_until_its_end_is_kept() {
    smol::block_on(async {
        let world = World::new();
        let manager = world.manager().await;
        begin(&manager, once("db; api")).await;
        wait(&manager, &[], Goal::Ready).await;
        world.shelf.set_full(true);
        world.stage.exits("db", 3);
        comes_to(&manager, "db", "failed").await;
        eventually_async(PATIENCE, "the trouble to be told", || async {
            let status = manager.status(&stack_name()).await.expect("a known stack");
            status.storage.as_deref() == Some("storage-full")
        })
        .await;
        // Stopping works without the store.
        manager
            .order(&stack_name(), &[unit("api")], STOP)
            .await
            .expect("known units");
        wait(&manager, &["api"], Goal::Stopped).await;
        assert_eq!(world.stage.scene().kept.len(), 2);
        // Nothing new is launched without it.
        manager
            .order(&stack_name(), &[unit("db")], START)
            .await
            .expect("known units");
        comes_to(&manager, "db", "starting").await;
        assert_eq!(world.stage.acts(), ["launch api", "launch db", "stop api"]);
        world.shelf.set_full(false);
        wait(&manager, &["db"], Goal::Ready).await;
        eventually(PATIENCE, "both to be forgotten", || {
            world.stage.scene().kept.len() == 1
        })
        .await;
        manager.shutdown(false).await;
    });
}

#[test]
fn a_link_of_a_chain_costs_one_write() {
    smol::block_on(async {
        let world = World::new();
        let manager = world.manager().await;
        let links = (1..20).map(|link| format!("; u{link} needs u{}", link - 1));
        begin(&manager, stack(&format!("u0{}", links.collect::<String>()))).await;
        wait(&manager, &[], Goal::Ready).await;
        // One more each for the definition, the order and the end of the wait.
        let writes = world.shelf.goods().writes;
        assert!(writes <= 20 + 3, "{writes} writes");
        manager.shutdown(false).await;
    });
}

#[test]
fn a_stop_goes_on_without_a_store_that_does_not_answer() {
    smol::block_on(async {
        let world = World::new();
        let manager = world.manager().await;
        begin(&manager, common::stack("db; api needs db")).await;
        wait(&manager, &[], Goal::Ready).await;
        let told = manager.subscribe(None, 64).await;
        world.shelf.close();
        let (stack, db) = (stack_name(), [unit("db")]);
        let stopping = manager.order(&stack, &[], STOP);
        within(PATIENCE, "the stop to be taken", stopping)
            .await
            .expect("known units");
        wait(&manager, &[], Goal::Stopped).await;
        let acts = ["launch db", "launch api", "stop api", "stop db"];
        assert_eq!(world.stage.acts(), acts);
        let status = manager.status(&stack_name()).await.expect("a known stack");
        assert_eq!(status.storage.as_deref(), Some("storage-error"));
        // Nothing new is launched meanwhile; listeners are told what happens.
        let starting = manager.order(&stack, &db, START);
        within(PATIENCE, "the start to be taken", starting)
            .await
            .expect("known units");
        comes_to(&manager, "db", "starting").await;
        assert_eq!(world.stage.acts(), acts);
        let mut seen = Vec::new();
        while let Ok(event) = told.events.try_recv() {
            seen.push(event.event_type);
        }
        assert!(seen.contains(&EventKind::StorageFailed), "{seen:?}");
        assert!(seen.contains(&EventKind::ServiceStopped), "{seen:?}");
        world.shelf.open();
        wait(&manager, &["db"], Goal::Ready).await;
        let numbers: Vec<u64> = world.shelf.goods().events.keys().copied().collect();
        let all: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, all, "what was told is kept, each once");
        manager.shutdown(false).await;
    });
}

#[test]
fn what_an_order_changed_is_kept_though_nothing_moved() {
    smol::block_on(async {
        let world = World::new();
        let manager = world.manager().await;
        begin(&manager, stack("db; api needs db")).await;
        wait(&manager, &[], Goal::Ready).await;
        let alone = Order::Start {
            no_dependencies: true,
            again: false,
        };
        manager
            .order(&stack_name(), &[unit("api")], alone)
            .await
            .expect("known units");
        let is_kept = |name: &str| {
            let goods = world.shelf.goods();
            goods
                .units
                .values()
                .any(|record| record.id.name.as_str() == name && record.gateless)
        };
        assert!(is_kept("api") && !is_kept("db"));
        manager.shutdown(false).await;
    });
}

#[test]
fn a_unit_that_is_no_longer_defined_is_not_started_again() {
    smol::block_on(async {
        let world = World::new();
        let first = world.manager().await;
        begin(&first, stack("db; api")).await;
        wait(&first, &[], Goal::Ready).await;
        let applied = first
            .apply(stack("db"), ApplyMode::Replace)
            .await
            .expect("a good stack");
        assert_eq!(applied.orphans, [unit("api")]);
        first.shutdown(true).await;
        drop(first);
        let second = world.manager().await;
        second
            .order(&stack_name(), &[], START)
            .await
            .expect("known units");
        assert_eq!(status(&second, "api").await.state, "ready");
        world.stage.exits("api", 1);
        comes_to(&second, "api", "failed").await;
        assert_eq!(world.stage.acts(), ["launch api", "launch db"]);
        second.shutdown(false).await;
    });
}
