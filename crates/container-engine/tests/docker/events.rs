//! What happens, as it is told.

use std::time::Duration;

use container_engine::{
    ContainerAction, ContainerConfig, EngineEvent, EventKind, EventsQuery, Filters, HealthCheck,
    HealthStatus, HealthTest, NetworkAction, NetworkAttachment, NetworkConfig, NetworkMode,
};
use futures::StreamExt;

use crate::support::with_engine;

fn action(event: &EngineEvent) -> Option<&ContainerAction> {
    match &event.kind {
        EventKind::Container(action) => Some(action),
        EventKind::Network(_) | EventKind::Other { .. } => None,
    }
}

#[test]
fn the_life_of_a_container_is_told_in_order() {
    with_engine(async |world| {
        let engine = &world.engine;
        let query = EventsQuery {
            filters: world.mine().by("type", "container"),
            ..EventsQuery::default()
        };
        let mut events = engine.events(&query).await.unwrap();
        let id = world.create("life", &world.shell("sleep 1000")).await;
        engine.start(&id).await.unwrap();
        engine.pause(&id).await.unwrap();
        engine.unpause(&id).await.unwrap();
        engine.rename(&id, &world.name("other")).await.unwrap();
        engine.kill(&id, "SIGKILL").await.unwrap();
        engine.wait(&id).await.unwrap();
        engine.remove(&id, false, true).await.unwrap();
        let mut seen = Vec::new();
        loop {
            let event = events.next().await.unwrap().unwrap();
            assert_eq!(event.id, id.as_str());
            assert_eq!(event.attributes[crate::support::LABEL], world.run);
            assert!(event.time_ns > 1_600_000_000_000_000_000);
            let action = action(&event).unwrap().clone();
            let is_last = action == ContainerAction::Destroy;
            seen.push(action);
            if is_last {
                break;
            }
        }
        let expected = [
            ContainerAction::Create,
            ContainerAction::Start,
            ContainerAction::Pause,
            ContainerAction::Unpause,
            ContainerAction::Rename {
                old: world.name("life"),
                new: world.name("other"),
            },
            ContainerAction::Kill {
                signal: "9".to_owned(),
            },
            ContainerAction::Die {
                exit_code: Some(137),
            },
            ContainerAction::Destroy,
        ];
        assert_eq!(seen, expected);
        // The engine remembers: a listener that comes late can ask from a time on.
        let late = EventsQuery {
            since_ns: Some(1_000_000_000),
            ..query
        };
        let first = engine.events(&late).await.unwrap().next().await;
        assert_eq!(
            action(&first.unwrap().unwrap()),
            Some(&ContainerAction::Create)
        );
    });
}

#[test]
fn a_check_tells_its_verdict() {
    with_engine(async |world| {
        let query = EventsQuery {
            filters: world.mine(),
            ..EventsQuery::default()
        };
        let mut events = world.engine.events(&query).await.unwrap();
        let config = ContainerConfig {
            healthcheck: Some(HealthCheck {
                test: HealthTest::Shell("echo so it is; test ! -e /bad".to_owned()),
                interval: Some(Duration::from_millis(200)),
                timeout: Some(Duration::from_secs(20)),
                start_period: None,
                retries: Some(1),
            }),
            ..world.shell("sleep 1000")
        };
        let id = world.started("health", &config).await;
        let mut verdicts = Vec::new();
        while let Some(event) = events.next().await {
            if let Some(ContainerAction::Health(verdict)) = action(&event.unwrap()) {
                verdicts.push(*verdict);
                if *verdict == HealthStatus::Unhealthy {
                    break;
                }
                let health = world
                    .engine
                    .inspect(&id)
                    .await
                    .unwrap()
                    .state
                    .health
                    .unwrap();
                assert_eq!(health.status, HealthStatus::Healthy);
                let last = health.last.unwrap();
                assert_eq!((last.exit_code, last.output.as_str()), (0, "so it is\n"));
                let spoil = crate::exec::shell("touch /bad");
                world
                    .engine
                    .exec(&id, &spoil, &Default::default())
                    .await
                    .unwrap();
            }
        }
        assert_eq!(verdicts, [HealthStatus::Healthy, HealthStatus::Unhealthy]);
    });
}

#[test]
fn a_network_tells_who_comes_and_goes() {
    with_engine(async |world| {
        let name = world.name("net");
        let config = NetworkConfig {
            labels: world.labels(),
            ..NetworkConfig::default()
        };
        let network = world.engine.create_network(&name, &config).await.unwrap();
        let query = EventsQuery {
            filters: Filters::all().by("type", "network").by("network", &name),
            ..EventsQuery::default()
        };
        let mut events = world.engine.events(&query).await.unwrap();
        let config = ContainerConfig {
            network: NetworkMode::Networks(vec![NetworkAttachment {
                network: name.clone(),
                ..NetworkAttachment::default()
            }]),
            ..world.shell("exit 0")
        };
        let id = world.started("net", &config).await;
        let container = id.as_str().to_owned();
        for expected in [
            NetworkAction::Connect {
                container: container.clone(),
            },
            NetworkAction::Disconnect { container },
        ] {
            let event = events.next().await.unwrap().unwrap();
            assert_eq!(
                (event.kind, event.id.as_str()),
                (EventKind::Network(expected), network.as_str())
            );
        }
    });
}
