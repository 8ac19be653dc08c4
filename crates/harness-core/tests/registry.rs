//! The discovery API: registering, looking up, following; and what outlives what.

mod common;

use std::time::{Duration, Instant};

use common::discovery::{code, granted, instance, pattern, service, short, soon, told};
use common::enrolled::enrolled;
use common::{Home, SOON};
use futures_lite::future;
use harness_core::ClientError;
use harness_core::client::RegistrationError;
use harness_core::protocol::{ErrorCode, Health, RegistryPublishParams, ResolveFrom};
use harness_wire::Role;

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
