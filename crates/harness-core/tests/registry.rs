//! The discovery API: registering, looking up, following; whose word counts, and what outlives what.

mod common;

use std::time::{Duration, Instant};

use common::enrolled::{elsewhere, enrolled, forbidden, invitation};
use common::{Home, SOON, stack, start_and_wait, stop_and_wait};
use futures_lite::future;
use harness_core::client::{RegistrationError, RegistryWatch, Remote};
use harness_core::protocol::{
    ErrorCode, Health, InstanceName, InviteParams, NamePattern, PublishEndpoint, RegistryEvent,
    RegistryPublishParams, ResolveFrom, SetRoleParams, SnapshotReason, UnregisterReason,
};
use harness_core::{ClientError, HarnessClient};
use harness_wire::Role;
use testkit::TempDir;

fn instance(text: &str) -> InstanceName {
    text.parse().expect("a name")
}

fn pattern(text: &str) -> NamePattern {
    text.parse().expect("a pattern")
}

fn service(text: &str, port: u16) -> RegistryPublishParams {
    RegistryPublishParams::new(instance(text), port)
}

fn short(text: &str, port: u16) -> RegistryPublishParams {
    RegistryPublishParams {
        ttl_ms: 1_000,
        ..service(text, port)
    }
}

/// An observer of another home that may register these.
async fn granted(home: &Home, client: &str, register: &[&str]) -> (TempDir, HarnessClient) {
    let (directory, dirs) = elsewhere();
    let params = InviteParams {
        register: register.iter().map(|text| pattern(text)).collect(),
        ..invitation(Role::Observer, client)
    };
    let invited = home.client().await.invite(&params).await.expect("invited");
    let remote = Remote::enrol(&dirs, &invited.token, None).await;
    let client = HarnessClient::connect_remote(&remote.expect("enrolled")).await;
    (directory, client.expect("let in"))
}

/// A client of a daemon that is about to answer.
async fn soon(home: &Home) -> HarnessClient {
    testkit::eventually_async(SOON, "the daemon answers", || async {
        HarnessClient::connect(&home.dirs).await.is_ok()
    })
    .await;
    home.client().await
}

fn code<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ErrorCode {
    match outcome {
        Err(ClientError::Api(error)) => error.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// What a watch says next, in short.
async fn told(watch: &mut RegistryWatch) -> String {
    let event = testkit::within(SOON, "an event", watch.next()).await;
    match event.expect("the watch goes on") {
        RegistryEvent::Snapshot {
            reason, entries, ..
        } => {
            let names: Vec<_> = entries.iter().map(|entry| entry.name.to_string()).collect();
            let reason = match reason {
                SnapshotReason::First => "first",
                SnapshotReason::Gap => "gap",
            };
            format!("{reason} [{}]", names.join(" "))
        }
        RegistryEvent::ServiceRegistered { entry, .. } => {
            format!("registered {} {}", entry.name, entry.incarnation)
        }
        RegistryEvent::ServiceHealthChanged { entry, .. } => {
            format!("{:?} {}", entry.health, entry.name)
        }
        RegistryEvent::ServiceUnregistered { name, reason, .. } => match reason {
            UnregisterReason::Withdrawn => format!("withdrawn {name}"),
            UnregisterReason::Lost => format!("lost {name}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_program_registers_itself_and_another_follows_it() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let (_one, publisher) = granted(&home, "pi", &["shop"]).await;
            let (_two, observer) = enrolled(&home, Role::Observer, "watcher").await;
            let mut watch = observer.watch_registry(None, None).await.expect("watched");
            assert_eq!(told(&mut watch).await, "first []");

            let registration = publisher.register(service("shop:search", 9200)).await;
            let registration = registration.expect("registered");
            assert_eq!(told(&mut watch).await, "registered shop:search 1");
            registration.set_health(Health::Unhealthy);
            assert_eq!(told(&mut watch).await, "Unhealthy shop:search");

            let found = observer
                .resolve(registration.name(), ResolveFrom::Here)
                .await;
            let found = found.expect("resolved");
            assert_eq!(found.address, "127.0.0.1:9200".parse().ok());
            assert_eq!(
                (found.reason.code.as_str(), found.owner.as_deref()),
                ("loopback", Some("pi"))
            );
            let listed = observer
                .registry(Some(pattern("shop:search")))
                .await
                .expect("listed");
            assert_eq!((listed.len(), listed[0].health), (1, Health::Unhealthy));
            assert!(
                observer
                    .registry(Some(pattern("other")))
                    .await
                    .expect("listed")
                    .is_empty()
            );

            registration.close().await.expect("withdrawn");
            assert_eq!(told(&mut watch).await, "withdrawn shop:search");
            assert_eq!(
                code(
                    observer
                        .resolve(&instance("shop:search"), ResolveFrom::Here)
                        .await
                ),
                ErrorCode::UnknownService
            );
            // Its next run comes after the one that is over.
            let again = publisher
                .register(service("shop:search", 9200))
                .await
                .expect("registered");
            assert_eq!(again.incarnation(), 2);
            again.close().await.expect("withdrawn");
        })
        .await;
    });
}

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
fn news_of_an_earlier_run_are_refused() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let client = home.client().await;
            let run = |incarnation| RegistryPublishParams {
                incarnation: Some(incarnation),
                ..service("shop:api", 80)
            };
            client.publish(&run(7)).await.expect("the first");
            let late = client.publish(&run(6)).await;
            let Err(ClientError::Api(error)) = late else {
                panic!("{late:?}");
            };
            assert_eq!(
                (error.code, &error.data["known"]),
                (ErrorCode::StaleRun, &7.into())
            );
            assert_eq!(
                code(client.withdraw(&instance("shop:api"), Some(6)).await),
                ErrorCode::StaleRun
            );
            assert!(
                client
                    .withdraw(&instance("shop:api"), Some(7))
                    .await
                    .expect("its own")
            );
            assert_eq!(code(client.publish(&run(7)).await), ErrorCode::StaleRun);
            let next = client
                .publish(&service("shop:api", 80))
                .await
                .expect("a new run");
            assert_eq!(next.incarnation, 8);

            // The first of two programs that register one name learns that the other has taken its place.
            let first = client
                .register(short("shop:two", 1))
                .await
                .expect("registered");
            let second = client
                .register(short("shop:two", 2))
                .await
                .expect("registered");
            let ended = testkit::within(SOON, "the end of the first", first.ended()).await;
            let RegistrationError::Client(ClientError::Api(error)) = ended else {
                panic!("{ended:?}");
            };
            assert_eq!(error.code, ErrorCode::StaleRun);
            first.close().await.expect("nothing is left to withdraw");
            let found = client
                .resolve(second.name(), ResolveFrom::Here)
                .await
                .expect("found");
            assert_eq!(found.address.map(|address| address.port()), Some(2));
            second.close().await.expect("withdrawn");
        })
        .await;
    });
}

#[test]
fn who_is_silent_is_lost_after_its_time_and_only_what_was_under_its_lease() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_daemon| async {
            let client = home.client().await;
            let mut watch = client.watch_registry(None, None).await.expect("watched");
            assert_eq!(told(&mut watch).await, "first []");
            let kept = client
                .register(short("shop:kept", 1))
                .await
                .expect("registered");
            let silent = RegistryPublishParams {
                lease: "silent".into(),
                ..short("shop:silent", 2)
            };
            let began = Instant::now();
            client.publish(&silent).await.expect("published");
            told(&mut watch).await;
            told(&mut watch).await;
            // Programs of one client: the signs of life of the one keep nothing of the other.
            assert_eq!(told(&mut watch).await, "lost shop:silent");
            assert!(
                began.elapsed() >= Duration::from_secs(1),
                "{:?}",
                began.elapsed()
            );
            assert_eq!(code(client.renew_lease("silent").await), ErrorCode::NoLease);
            // It may only have been cut off: the very same run is back.
            let again = RegistryPublishParams {
                incarnation: Some(1),
                ..silent
            };
            client.publish(&again).await.expect("it may come back");
            assert_eq!(told(&mut watch).await, "registered shop:silent 1");
            kept.close().await.expect("it was kept all the time");
        })
        .await;
    });
}

/// The daemon is dropped in the middle of everything, as by a crash.
#[test]
fn what_is_registered_outlives_the_daemon_for_one_lease_and_watchers_are_told_how_things_stand() {
    async_io::block_on(async {
        let home = Home::new();
        let first = home.build().await.expect("a daemon");
        let before = async {
            let client = soon(&home).await;
            let mut watch = client.watch_registry(None, None).await.expect("watched");
            told(&mut watch).await;
            let kept = RegistryPublishParams {
                lease: "kept".into(),
                ..service("shop:kept", 1)
            };
            client.publish(&kept).await.expect("published");
            client
                .publish(&short("shop:silent", 2))
                .await
                .expect("published");
            let gone = RegistryPublishParams {
                incarnation: Some(9),
                lease: "gone".into(),
                ..service("shop:gone", 3)
            };
            client.publish(&gone).await.expect("published");
            client
                .withdraw(&gone.name, Some(9))
                .await
                .expect("withdrawn");
            for _ in 0..4 {
                told(&mut watch).await;
            }
            watch.cursor()
        };
        let ended = async { first.run().await.map(|()| None) };
        let cursor = future::or(async { Ok(before.await) }, ended)
            .await
            .expect("no end");
        let cursor = cursor.expect("changes were seen");

        home.with_daemon(|_daemon| async {
            let client = home.client().await;
            let mut watch = client
                .watch_registry(None, Some(cursor))
                .await
                .expect("watched");
            assert_eq!(told(&mut watch).await, "gap [shop:kept shop:silent]");
            client.renew_lease("kept").await.expect("it goes on");
            assert_eq!(told(&mut watch).await, "lost shop:silent");
            let late = RegistryPublishParams {
                incarnation: Some(9),
                ..service("shop:gone", 3)
            };
            assert_eq!(code(client.publish(&late).await), ErrorCode::StaleRun);
            let listed = client.registry(None).await.expect("listed");
            assert_eq!((listed.len(), listed[0].incarnation), (1, 1));

            // A cursor of this daemon goes on without a snapshot.
            let cursor = watch.cursor();
            drop(watch);
            client
                .withdraw(&instance("shop:kept"), None)
                .await
                .expect("withdrawn");
            let mut watch = client.watch_registry(None, cursor).await.expect("watched");
            assert_eq!(told(&mut watch).await, "withdrawn shop:kept");
        })
        .await;
        // Nothing comes back that was let go.
        home.with_daemon(|_daemon| async {
            let listed = home.client().await.registry(None).await.expect("listed");
            assert!(listed.is_empty(), "{listed:?}");
        })
        .await;
    });
}

#[test]
fn a_registration_goes_on_with_the_next_daemon() {
    async_io::block_on(async {
        let home = Home::new();
        let first = home.build().await.expect("a daemon");
        let before = async {
            let client = soon(&home).await;
            client
                .register(short("shop:api", 1))
                .await
                .expect("registered")
        };
        let ended = async {
            first.run().await.expect("no failure");
            panic!("it ended by itself")
        };
        let registration = future::or(before, ended).await;
        home.with_daemon(|_daemon| async {
            let client = home.client().await;
            let mut watch = client.watch_registry(None, None).await.expect("watched");
            let mut is_listed = told(&mut watch).await == "first [shop:api]";
            // Longer than its time: only who renews is still there.
            let later = Instant::now() + Duration::from_millis(2_500);
            loop {
                let event = async { Some(told(&mut watch).await) };
                let time = async {
                    async_io::Timer::at(later).await;
                    None
                };
                match future::or(event, time).await {
                    Some(event) => is_listed = event.starts_with("registered"),
                    None => break,
                }
            }
            assert!(is_listed, "it was lost and did not come back");
            assert_eq!(registration.incarnation(), 1);
            registration.close().await.expect("withdrawn");
            assert_eq!(told(&mut watch).await, "withdrawn shop:api");
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
