//! Whose word counts in the registry: grants, owners, the daemon's own services, and what nobody may say.

mod common;

use common::discovery::{code, granted, instance, pattern, service, told};
use common::enrolled::{enrolled, forbidden};
use common::{Home, stack, start_and_wait, stop_and_wait};
use harness_core::ClientError;
use harness_core::protocol::{
    ErrorCode, PublishEndpoint, RegistryEvent, RegistryPublishParams, ResolveFrom, SetRoleParams,
};
use harness_wire::Role;

#[test]
fn who_is_granted_names_registers_those_and_no_others() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let admin = home.client().await;
            let (_one, pi) = granted(&home, "pi", &["shop:search", "lab"]).await;
            let (_two, nas) = granted(&home, "nas", &["shop"]).await;
            let (_three, observer) = enrolled(&home, Role::Observer, "watcher").await;
            let (_four, deployer) = enrolled(&home, Role::Deployer, "ci").await;

            let message = forbidden(observer.publish(&service("shop:search", 1)).await);
            assert_eq!(
                message,
                "to register `shop:search` needs the role deployer, or a grant; `watcher` is observer, and was granted nothing"
            );
            forbidden(observer.renew_lease("").await);
            let message = forbidden(pi.publish(&service("shop:db", 1)).await);
            assert!(message.ends_with("was granted shop:search, lab"), "{message}");
            forbidden(pi.withdraw(&instance("shop:db"), None).await);
            let elsewhere = RegistryPublishParams { host: Some("nas".into()), ..service("lab:x", 1) };
            forbidden(pi.publish(&elsewhere).await);
            deployer.publish(&elsewhere).await.expect("a deployer may");

            pi.publish(&service("shop:search", 1)).await.expect("granted");
            // Who is granted the name as well has no word in what another has listed; nor has a deployer.
            for other in [&nas, &deployer] {
                assert_eq!(code(other.publish(&service("shop:search", 2)).await), ErrorCode::ServiceTaken);
                assert_eq!(
                    code(other.withdraw(&instance("shop:search"), None).await),
                    ErrorCode::ServiceTaken
                );
            }
            assert_eq!(code(nas.renew_lease("").await), ErrorCode::NoLease);

            let list = admin.clients().await.expect("listed");
            let of_pi = list.items.iter().find(|client| client.name == "pi").expect("known");
            assert_eq!(of_pi.register, [pattern("shop:search"), pattern("lab")]);

            // What is not granted any more goes at once, and so does what a client had that is shut out.
            nas.publish(&service("shop:db", 3)).await.expect("granted");
            let mut watch = admin.watch_registry(Some(pattern("shop")), None).await.expect("watched");
            assert_eq!(told(&mut watch).await, "first [shop:db shop:search]");
            let rights = SetRoleParams {
                name: "pi".into(),
                role: Role::Observer,
                register: Some(vec![pattern("lab")]),
            };
            admin.set_rights(&rights).await.expect("set");
            assert_eq!(told(&mut watch).await, "lost shop:search");
            forbidden(pi.publish(&service("shop:search", 1)).await);
            admin.revoke("nas").await.expect("shut out");
            assert_eq!(told(&mut watch).await, "lost shop:db");
        })
        .await;
    });
}

#[test]
fn a_service_of_this_daemon_is_nobody_elses_whether_it_runs_or_not() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let client = home.client().await;
            let early = client.publish(&service("web:b", 4)).await;
            early.expect("nobody knows of it yet");
            let spec = stack(
                "web",
                home.directory.path(),
                &[("a", "sleep 1000"), ("b", "sleep 1000")],
            );
            let mut watch = client.watch_registry(None, None).await.expect("watched");
            assert_eq!(told(&mut watch).await, "first [web:b]");
            start_and_wait(&client, spec).await;
            let mut both = [told(&mut watch).await, told(&mut watch).await];
            both.sort();
            assert_eq!(both, ["registered web:a 1", "registered web:b 1"]);
            // What was registered under the name before is the daemon's now.
            let listed = client.registry(None).await.expect("listed");
            assert!(
                listed.iter().all(|entry| entry.owner.is_none()),
                "{listed:?}"
            );
            assert_eq!(code(client.renew_lease("").await), ErrorCode::NoLease);
            for text in ["web:a", "web:b", "web:a/2"] {
                assert_eq!(
                    code(client.publish(&service(text, 1)).await),
                    ErrorCode::ServiceTaken
                );
            }
            stop_and_wait(&client, "web").await;
            assert_eq!(
                code(client.publish(&service("web:a", 1)).await),
                ErrorCode::ServiceTaken
            );
            client
                .publish(&service("web:c", 1))
                .await
                .expect("not a unit of it");
        })
        .await;
    });
}

#[test]
fn what_cannot_be_is_refused_with_its_reason_and_changes_nothing() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let client = home.client().await;
            let good = || service("shop:api", 80);
            let port = |port, scheme: Option<&str>| PublishEndpoint {
                port,
                name: None,
                scheme: scheme.map(str::to_owned),
            };
            let ip = |text: &str| text.parse().ok();
            let bad = [
                RegistryPublishParams {
                    ttl_ms: 999,
                    ..good()
                },
                RegistryPublishParams {
                    ttl_ms: u64::MAX,
                    ..good()
                },
                RegistryPublishParams {
                    lease: "a b".into(),
                    ..good()
                },
                RegistryPublishParams {
                    lease: "x".repeat(65),
                    ..good()
                },
                RegistryPublishParams {
                    endpoints: vec![port(0, None)],
                    ..good()
                },
                RegistryPublishParams {
                    endpoints: vec![port(1, Some("Http"))],
                    ..good()
                },
                RegistryPublishParams {
                    endpoints: vec![port(1, Some(""))],
                    ..good()
                },
                RegistryPublishParams {
                    endpoints: vec![port(1, Some("a\u{1b}[2J"))],
                    ..good()
                },
                RegistryPublishParams {
                    endpoints: vec![port(1, None); 33],
                    ..good()
                },
                RegistryPublishParams {
                    ip: ip("224.0.0.1"),
                    ..good()
                },
                RegistryPublishParams {
                    ip: ip("255.255.255.255"),
                    ..good()
                },
                RegistryPublishParams {
                    ip: ip("ff02::1"),
                    ..good()
                },
                RegistryPublishParams {
                    host: Some("../x".into()),
                    ..good()
                },
                RegistryPublishParams {
                    host: Some("client:pi".into()),
                    ..good()
                },
            ];
            for params in bad {
                assert_eq!(
                    code(client.publish(&params).await),
                    ErrorCode::InvalidParams,
                    "{params:?}"
                );
            }
            assert!(client.registry(None).await.expect("listed").is_empty());
            assert_eq!(
                code(client.renew_lease("nobody's").await),
                ErrorCode::InvalidParams
            );
            let here = ResolveFrom::Unit(instance("no:body"));
            client.publish(&good()).await.expect("it is good");
            assert_eq!(
                code(client.resolve(&instance("shop:api"), here).await),
                ErrorCode::UnknownStack
            );
            // Of another machine nothing is known but what was registered.
            let declared = RegistryPublishParams {
                ip: ip("10.0.0.7"),
                host: Some("nas".into()),
                ..service("shop:far", 9)
            };
            client.publish(&declared).await.expect("it is good");
            let found = client
                .resolve(&declared.name, ResolveFrom::Here)
                .await
                .expect("found");
            assert_eq!(
                (found.reason.code.as_str(), found.address),
                ("declared", "10.0.0.7:9".parse().ok())
            );
            assert_eq!(found.variables["FAR_ADDR"], "10.0.0.7:9");
            let far = ResolveFrom::Host("far".into());
            assert_eq!(
                code(client.resolve(&instance("shop:api"), far).await),
                ErrorCode::NoRoute
            );
            assert_eq!(
                code(
                    client
                        .resolve(&instance("shop:api/2"), ResolveFrom::Here)
                        .await
                ),
                ErrorCode::UnknownService
            );
        })
        .await;
    });
}

#[test]
fn an_observer_has_so_many_entries_and_no_more_and_reads_lists_of_any_length() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let (_directory, client) = granted(&home, "pi", &["many"]).await;
            let publish = async |number: usize| {
                client
                    .publish(&service(&format!("many:service-{number:04}"), 80))
                    .await
            };
            let all: Vec<_> = (0..1_000).collect();
            for some in all.chunks(100) {
                let some: Vec<_> = some.iter().map(|number| publish(*number)).collect();
                for published in futures::future::join_all(some).await {
                    published.expect("within bounds");
                }
            }
            let refused = publish(1_000).await;
            let Err(ClientError::Api(error)) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(
                (error.code, &error.data["most"]),
                (ErrorCode::TooMany, &1_000.into())
            );
            // Several messages each: none is larger than an observer's connection takes.
            let listed = client.registry(None).await.expect("listed");
            assert_eq!(listed.len(), 1_000);
            assert!(listed.is_sorted_by(|one, other| one.name < other.name));
            let mut watch = client.watch_registry(None, None).await.expect("watched");
            let first = watch.next().await.expect("a snapshot");
            assert!(matches!(first, RegistryEvent::Snapshot { entries, .. } if entries == listed));
            assert!(
                client
                    .withdraw(&instance("many:service-0500"), None)
                    .await
                    .expect("its own")
            );
            publish(1_000).await.expect("there is room again");
        })
        .await;
    });
}
