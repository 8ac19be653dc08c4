//! How the engine is reached, and at what cost.

use std::time::Instant;

use container_engine::{Engine, EngineError, EventsQuery};
use futures::StreamExt;
use futures::future::{join_all, try_join_all};

use crate::support::with_engine;

#[test]
fn the_engine_says_what_it_is() {
    with_engine(async |world| {
        let info = world.engine.info().await.unwrap();
        assert_eq!(info.api_version.major, 1);
        assert!(!info.version.is_empty() && !info.id.is_empty(), "{info:?}");
        assert!(matches!(info.cgroup_version, 1 | 2));
        assert_eq!(info.os, "linux");
        assert!(info.cpus > 0 && info.memory_bytes > 0);
    });
}

#[test]
fn twenty_containers_side_by_side_share_a_few_connections() {
    with_engine(async |world| {
        let engine = &world.engine;
        let began = Instant::now();
        let one = async |number: usize| {
            let config = world.shell("sleep 1000");
            let id = world.started(&format!("many-{number}"), &config).await;
            let running = engine.inspect(&id).await.unwrap();
            assert!(running.state.pid.is_some());
            engine.remove(&id, true, true).await.unwrap();
        };
        join_all((0..20).map(one)).await;
        println!(
            "20 containers made, started, seen and removed in {:?}",
            began.elapsed()
        );
        println!("{} connections", engine.connections_opened());
        // Twenty at once and the beginning, then a part of the answers finds the pool full.
        assert!(
            engine.connections_opened() < 60,
            "{}",
            engine.connections_opened()
        );
    });
}

#[test]
fn requests_in_a_row_use_one_connection() {
    with_engine(async |world| {
        let engine = &world.engine;
        let id = world.create("row", &world.shell("exit 0")).await;
        let (before, began) = (engine.connections_opened(), Instant::now());
        for _ in 0..500 {
            engine.inspect(&id).await.unwrap();
        }
        let rate = 500.0 / began.elapsed().as_secs_f64();
        println!("{rate:.0} requests a second over one connection");
        assert_eq!(engine.connections_opened(), before);
    });
}

#[test]
fn the_standard_streams_of_a_program_lead_to_the_same_engine() {
    with_engine(async |world| {
        let cli = world.engine.cli();
        let mut args = cli[1..].to_vec();
        args.extend(["system", "dial-stdio"].map(Into::into));
        let engine = Engine::over_stdio(&cli[0], args);
        assert_eq!(engine.cli(), cli);
        let there = engine.info().await.unwrap();
        assert_eq!(there, world.engine.info().await.unwrap());
        let query = EventsQuery {
            filters: world.mine(),
            ..EventsQuery::default()
        };
        let mut events = engine.events(&query).await.unwrap();
        let name = world.name("dialled");
        let id = engine.create(&name, &world.shell("exit 5")).await.unwrap();
        assert_eq!(events.next().await.unwrap().unwrap().id, id.as_str());
        engine.start(&id).await.unwrap();
        assert_eq!(engine.wait(&id).await.unwrap().exit_code, 5);
        // One for the requests, one for the stream.
        assert_eq!(engine.connections_opened(), 2);
    });
}

#[test]
fn a_program_that_leads_nowhere_tells_why() {
    smol::block_on(async {
        let nowhere = Engine::over_stdio(
            "docker",
            ["-H", "unix:///nowhere.sock", "system", "dial-stdio"]
                .map(Into::into)
                .into(),
        );
        let error = nowhere.info().await.unwrap_err();
        assert!(
            matches!(error, EngineError::Unreachable { .. }),
            "{error:?}"
        );
        assert!(format!("{error:?}").contains("nowhere.sock"), "{error:?}");
    });
}

#[test]
fn it_works_under_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    with_engine(async |world| {
        let (engine, config, name) = (
            world.engine.clone(),
            world.shell("exit 6"),
            world.name("tokio"),
        );
        let task = runtime.spawn(async move {
            let id = engine.create(&name, &config).await?;
            let waits = (0..4).map(|_| engine.inspect(&id));
            try_join_all(waits).await?;
            engine.start(&id).await?;
            engine.wait(&id).await
        });
        assert_eq!(task.await.unwrap().unwrap().exit_code, 6);
    });
}
