//! What the engine refuses, and how that is told.

use std::net::{IpAddr, Ipv4Addr, TcpListener};

use container_engine::{
    ContainerConfig, ContainerId, ContainerPort, ContainerStatus, EngineError, NetworkAttachment,
    NetworkConfig, NetworkMode, Object, PublishedPort,
};

use crate::support::with_engine;

#[test]
fn names_images_and_networks_that_do_not_do_are_told_apart() {
    with_engine(async |world| {
        let engine = &world.engine;
        let config = world.shell("exit 0");
        let id = world.create("taken", &config).await;
        let error = engine
            .create(&world.name("taken"), &config)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, EngineError::NameTaken { by: Some(by), .. } if by == id.as_str()),
            "{error:?}"
        );
        let missing = ContainerConfig {
            image: "harness-test/nowhere:1".to_owned(),
            ..config.clone()
        };
        let error = engine.create(&world.name("x"), &missing).await.unwrap_err();
        assert!(
            matches!(&error, EngineError::NoSuchImage { image } if image == "harness-test/nowhere:1"),
            "{error:?}"
        );
        let error = engine.image("harness-test/nowhere:1").await.unwrap_err();
        assert!(
            matches!(error, EngineError::NoSuchImage { .. }),
            "{error:?}"
        );
        let attachment = |network: &str| NetworkAttachment {
            network: network.to_owned(),
            ..NetworkAttachment::default()
        };
        let astray = ContainerConfig {
            network: NetworkMode::Networks(vec![attachment("no-such-network")]),
            ..config.clone()
        };
        let astray = world.create("astray", &astray).await;
        let error = engine.start(&astray).await.unwrap_err();
        assert!(
            matches!(&error, EngineError::NotFound { object: Object::Network(name) } if name == "no-such-network"),
            "{error:?}"
        );
        let name = world.name("net");
        let network = NetworkConfig {
            labels: world.labels(),
            ..NetworkConfig::default()
        };
        engine.create_network(&name, &network).await.unwrap();
        let error = engine.create_network(&name, &network).await.unwrap_err();
        assert!(matches!(error, EngineError::NameTaken { .. }), "{error:?}");
        // A second network that has no such address leaves no container behind.
        let half = ContainerConfig {
            network: NetworkMode::Networks(vec![
                attachment(&name),
                NetworkAttachment {
                    ipv4: Some(Ipv4Addr::new(1, 2, 3, 4)),
                    ..attachment(&name)
                },
            ]),
            ..config
        };
        match engine.create(&world.name("half"), &half).await {
            // The engine notices only at the start.
            Ok(id) => drop(engine.start(&id).await.unwrap_err()),
            Err(_) => {
                let half = ContainerId::new(world.name("half"));
                let error = engine.inspect(&half).await.unwrap_err();
                assert!(error.is_not_found(), "{error:?}");
            }
        }
        for error in [
            engine
                .network("no-such-network")
                .await
                .map(drop)
                .unwrap_err(),
            engine.volume("no-such-volume").await.map(drop).unwrap_err(),
        ] {
            assert!(error.is_not_found(), "{error:?}");
        }
    });
}

#[test]
fn a_port_that_is_taken_and_a_command_that_is_missing_fail_the_start() {
    with_engine(async |world| {
        let engine = &world.engine;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let config = ContainerConfig {
            published_ports: vec![PublishedPort {
                container: ContainerPort::tcp(80),
                host_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                host_port: Some(taken),
            }],
            ..world.shell("exit 0")
        };
        let id = world.create("port", &config).await;
        let error = engine.start(&id).await.unwrap_err();
        assert!(
            matches!(error, EngineError::PortTaken { port: Some(port), .. } if port == taken),
            "{error:?}"
        );
        let config = ContainerConfig {
            entrypoint: Some(vec!["/nowhere".to_owned()]),
            ..world.shell("")
        };
        let id = world.create("command", &config).await;
        let error = engine.start(&id).await.unwrap_err();
        assert!(
            matches!(error, EngineError::NotRunnable { .. }),
            "{error:?}"
        );
        let state = engine.inspect(&id).await.unwrap().state;
        assert_eq!(state.status, ContainerStatus::Created);
        assert!(state.error.is_some(), "{state:?}");
    });
}

#[test]
fn a_running_container_is_removed_only_by_force() {
    with_engine(async |world| {
        let engine = &world.engine;
        let id = world.started("runs", &world.shell("sleep 1000")).await;
        let error = engine.remove(&id, false, false).await.unwrap_err();
        assert!(matches!(error, EngineError::Conflict { .. }), "{error:?}");
        engine.remove(&id, true, false).await.unwrap();
        let error = engine.remove(&id, true, false).await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
    });
}

#[test]
fn a_refusal_quotes_no_value_of_a_variable() {
    with_engine(async |world| {
        let config = ContainerConfig {
            // A name that is empty is refused with the whole line.
            environment: [("", "sehr-geheim")].into_iter().collect(),
            ..world.shell("exit 0")
        };
        let error = world
            .engine
            .create(&world.name("env"), &config)
            .await
            .unwrap_err();
        assert!(matches!(error, EngineError::Refused { .. }), "{error:?}");
        assert!(
            !format!("{error:?} {error}").contains("sehr-geheim"),
            "{error:?}"
        );
    });
}
