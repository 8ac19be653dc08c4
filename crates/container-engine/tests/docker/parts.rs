//! What a container is made of: all of it reaches the engine.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use container_engine::{
    ContainerConfig, ContainerPort, LogConfig, LogsQuery, Mount, MountSource, NetworkAttachment,
    NetworkConfig, NetworkMode, PublishedPort, Resources, Ulimit, VolumeConfig,
};

use crate::support::{IMAGE, World, text, with_engine};

/// What a container says that runs this line.
async fn says(world: &World, config: ContainerConfig) -> String {
    let id = world.started("says", &config).await;
    world.engine.wait(&id).await.unwrap();
    text(&world.logs(&id, &LogsQuery::default()).await)
}

#[test]
fn surroundings_and_limits_are_as_they_were_asked_for() {
    with_engine(async |world| {
        let line = "echo $WORD; hostname; pwd; id -u; ulimit -n; cat /proc/1/comm; grep -c far /etc/hosts; grep ' /dev/shm ' /proc/mounts | grep -o size=[0-9]*k; touch /x 2>/dev/null || echo read-only; grep nameserver /etc/resolv.conf";
        let said = says(
            world,
            ContainerConfig {
                environment: [("WORD", "two words = x")].into_iter().collect(),
                hostname: Some("inside".to_owned()),
                working_dir: Some("/tmp".to_owned()),
                user: Some("7".to_owned()),
                init: true,
                read_only: true,
                shm_size_bytes: Some(4 << 20),
                extra_hosts: vec![("far".to_owned(), Some("10.9.8.7".parse().unwrap()))],
                dns: vec!["10.9.8.6".parse().unwrap()],
                resources: Resources {
                    memory_bytes: Some(64 << 20),
                    cpus: Some(0.5),
                    pids: Some(50),
                    ulimits: vec![Ulimit {
                        name: "nofile".to_owned(),
                        soft: 123,
                        hard: 456,
                    }],
                    ..Resources::default()
                },
                cap_drop: vec!["ALL".to_owned()],
                security_opt: vec!["no-new-privileges".to_owned()],
                stop_signal: Some("SIGINT".to_owned()),
                stop_timeout: Some(Duration::from_secs(3)),
                log: Some(LogConfig {
                    driver: "json-file".to_owned(),
                    options: [("max-size".to_owned(), "1m".to_owned())].into(),
                }),
                ..world.shell(line)
            },
        )
        .await;
        assert_eq!(
            said,
            "two words = x\ninside\n/tmp\n7\n123\ndocker-init\n1\nsize=4096k\nread-only\nnameserver 10.9.8.6\n"
        );
    });
}

#[test]
fn mounts_of_every_kind_are_there() {
    with_engine(async |world| {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(path("file"), "from the host\n").unwrap();
        let volume = world.name("data");
        let config = VolumeConfig {
            labels: world.labels(),
            ..VolumeConfig::default()
        };
        let made = world.engine.create_volume(&volume, &config).await.unwrap();
        assert_eq!(
            (made.name.as_str(), made.driver.as_str()),
            (volume.as_str(), "local")
        );
        let mount = |source, target: &str, read_only| Mount {
            source,
            target: target.to_owned(),
            read_only,
        };
        let created = MountSource::Bind {
            path: path("made"),
            create: true,
            relabel: None,
            propagation: None,
        };
        let tmpfs = MountSource::Tmpfs {
            size_bytes: Some(1 << 20),
            mode: Some(0o700),
            options: Vec::new(),
        };
        let line = "cat /file; echo x 2>/dev/null > /file || echo refused; touch /made/here /data/there; grep ' /quick ' /proc/mounts | cut -d' ' -f1; stat -c %a /quick";
        let said = says(
            world,
            ContainerConfig {
                mounts: vec![
                    mount(MountSource::bind(path("file")), "/file", true),
                    mount(created, "/made", false),
                    mount(MountSource::volume(&volume), "/data", false),
                    mount(tmpfs, "/quick", false),
                ],
                ..world.shell(line)
            },
        )
        .await;
        assert_eq!(said, "from the host\nrefused\ntmpfs\n700\n");
        assert!(directory.path().join("made/here").exists());
        let error = world.engine.remove_volume(&volume).await.unwrap_err();
        assert!(
            matches!(error, container_engine::EngineError::InUse { .. }),
            "{error:?}"
        );
        assert_eq!(world.engine.volumes(&world.mine()).await.unwrap().len(), 1);
    });
}

#[test]
fn containers_find_each_other_on_their_network_and_the_host_finds_their_ports() {
    with_engine(async |world| {
        let engine = &world.engine;
        let config = |subnet: Option<&str>| NetworkConfig {
            labels: world.labels(),
            subnet: subnet.map(str::to_owned),
            ..NetworkConfig::default()
        };
        let (front, back) = (world.name("front"), world.name("back"));
        engine
            .create_network(&front, &config(Some("10.213.77.0/24")))
            .await
            .unwrap();
        engine.create_network(&back, &config(None)).await.unwrap();
        let attachment = |network: &str, ipv4| NetworkAttachment {
            network: network.to_owned(),
            aliases: vec!["server".to_owned()],
            ipv4,
            ipv6: None,
        };
        let fixed = Ipv4Addr::new(10, 213, 77, 9);
        let loopback = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let server = ContainerConfig {
            network: NetworkMode::Networks(vec![
                attachment(&front, Some(fixed)),
                attachment(&back, None),
            ]),
            published_ports: vec![PublishedPort {
                container: ContainerPort::tcp(80),
                host_ip: loopback,
                host_port: None,
            }],
            exposed_ports: vec![ContainerPort::tcp(81)],
            ..world.shell("nc -ll -p 80 -e echo served")
        };
        let id = world.started("server", &server).await;
        let network = engine.network(&front).await.unwrap();
        assert_eq!(network.containers, std::slice::from_ref(&id));
        assert_eq!(network.subnet.as_deref(), Some("10.213.77.0/24"));
        let seen = engine.inspect(&id).await.unwrap();
        assert_eq!(seen.networks[&front].ip, Some(fixed.into()));
        assert_eq!(seen.networks[&front].gateway, network.gateway);
        assert!(seen.networks[&back].ip.is_some());
        assert!(seen.networks[&back].aliases.contains(&"server".to_owned()));
        assert_eq!(
            seen.exposed_ports,
            [ContainerPort::tcp(80), ContainerPort::tcp(81)]
        );
        let [port] = seen.published_ports[..] else {
            panic!("{seen:?}");
        };
        assert_eq!(
            (port.container, port.host_ip),
            (ContainerPort::tcp(80), loopback)
        );
        assert!(port.host_port.is_some());
        let client = ContainerConfig {
            network: NetworkMode::Networks(vec![NetworkAttachment {
 network: back.clone(),
 ..NetworkAttachment::default()
 }]),
            ..world.shell(
                "for i in 1 2 3 4 5 6 7 8 9; do nc server 80 </dev/null 2>/dev/null && exit; sleep 0.2; done",
            )
        };
        assert_eq!(says(world, client).await, "served\n");
        let error = engine.remove_network(&front).await.unwrap_err();
        assert!(
            matches!(error, container_engine::EngineError::InUse { .. }),
            "{error:?}"
        );
        assert_eq!(engine.networks(&world.mine()).await.unwrap().len(), 2);
    });
}

#[test]
fn an_image_and_the_use_of_a_container_are_told() {
    with_engine(async |world| {
        let image = world.engine.image(IMAGE).await.unwrap();
        assert!(image.tags.contains(&format!("{IMAGE}:latest")), "{image:?}");
        let id = world
            .started("use", &world.shell("while :; do :; done"))
            .await;
        let seen = world.engine.inspect(&id).await.unwrap();
        assert_eq!(seen.image_id, image.id);
        let stats = world.engine.stats_once(&id).await.unwrap();
        assert!(stats.memory_bytes > Some(0), "{stats:?}");
        assert!(stats.cpu_ns > Some(0) && stats.pids > Some(0), "{stats:?}");
        world.engine.kill(&id, "KILL").await.unwrap();
        world.engine.wait(&id).await.unwrap();
        let stats = world.engine.stats_once(&id).await.unwrap();
        assert_eq!((stats.memory_bytes, stats.cpu_ns), (None, None));
    });
}
