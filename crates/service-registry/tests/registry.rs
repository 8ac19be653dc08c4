//! Publishing, withdrawing, resolving and watching.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures::StreamExt;
use futures::executor::block_on;
use proptest::prelude::*;
use service_registry::{
    ChangeKind, Cursor, Endpoint, Entry, Incarnation, InstanceKey, Outcome, Place, Readiness,
    Registry, ResolveError, ServiceKey, Update,
};

fn db() -> ServiceKey {
    ServiceKey::new("shop", "db")
}

fn entry(instance: u32, incarnation: u64) -> Entry {
    Entry {
        key: db().instance(instance),
        incarnation: Incarnation(incarnation),
        place: Place::local(),
        ip: IpAddr::from([0, 0, 0, 0]),
        endpoints: vec![Endpoint::new(None, 5432)],
        readiness: Readiness::Ready,
    }
}

#[test]
fn a_late_withdraw_of_an_earlier_run_does_not_hide_its_successor() {
    let registry = Registry::new();
    assert_eq!(registry.publish(entry(0, 1)), Outcome::Changed);
    assert_eq!(registry.publish(entry(0, 2)), Outcome::Changed);
    let key = db().instance(0);
    assert_eq!(registry.withdraw(&key, Incarnation(1)), Outcome::Stale);
    assert_eq!(registry.publish(entry(0, 1)), Outcome::Stale);
    assert_eq!(registry.lookup(&db()), [Arc::new(entry(0, 2))]);
    assert_eq!(registry.withdraw(&key, Incarnation(2)), Outcome::Changed);
    assert_eq!(registry.withdraw(&key, Incarnation(2)), Outcome::Unchanged);
    assert!(registry.lookup(&db()).is_empty());
}

#[test]
fn resolving_prefers_an_instance_that_is_ready() {
    let registry = Registry::new();
    let unknown = registry
        .resolve(&db(), &Place::local())
        .expect_err("nothing is there");
    assert_eq!(unknown, ResolveError::Unpublished(db()));
    registry.publish(Entry {
        readiness: Readiness::Unhealthy,
        ..entry(1, 1)
    });
    registry.publish(entry(2, 1));
    let found = registry.resolve(&db(), &Place::local()).expect("a route");
    assert_eq!(found.entry.key.instance, 2);
    assert_eq!(found.addr().as_deref(), Some("127.0.0.1:5432"));
    assert_eq!(found.route.reason.to_string(), "same host: loopback");
}

#[test]
fn stacks_do_not_see_each_others_names() {
    let registry = Registry::new();
    registry.publish(entry(0, 1));
    let other = ServiceKey::new("blog", "db");
    assert!(registry.lookup(&other).is_empty());
}

#[test]
fn a_watch_sees_every_change_once_and_resumes_where_it_left_off() {
    smol::block_on(async {
        let registry = Registry::new();
        let mut watch = registry.watch();
        let publisher = registry.clone();
        let thread = std::thread::spawn(move || {
            for run in 1..=100 {
                publisher.publish(entry(0, run));
            }
        });
        for sequence in 1..=60 {
            let Some(Update::Change(change)) = watch.next().await else {
                panic!("a change was expected");
            };
            assert_eq!(change.sequence, sequence);
        }
        let cursor = watch.cursor();
        drop(watch);
        thread.join().expect("the publisher");
        let rest: Vec<_> = registry.watch_from(cursor).take(40).collect().await;
        let Some(Update::Change(last)) = rest.last() else {
            panic!("a change was expected");
        };
        assert_eq!(last.kind, ChangeKind::Published(Arc::new(entry(0, 100))));
    });
}

#[test]
fn a_watch_that_fell_behind_is_told_and_goes_on() {
    let registry = Registry::keeping(4);
    let mut slow = registry.watch();
    for run in 1..=10 {
        registry.publish(entry(0, run));
    }
    let Some(Update::Gap(snapshot)) = block_on(slow.next()) else {
        panic!("a gap was expected");
    };
    assert_eq!(snapshot, registry.snapshot());
    registry.withdraw(&db().instance(0), Incarnation(10));
    let Some(Update::Change(change)) = block_on(slow.next()) else {
        panic!("a change was expected");
    };
    assert_eq!(change.sequence, 11);
}

#[test]
fn a_cursor_of_another_registry_is_a_gap() {
    let before = Registry::new();
    before.publish(entry(0, 1));
    let after = Registry::new();
    after.publish(entry(0, 2));
    after.publish(entry(0, 3));
    let cursor: Cursor = before.snapshot().cursor;
    let update = block_on(after.watch_from(cursor).next());
    assert!(matches!(update, Some(Update::Gap(snapshot)) if snapshot.entries.len() == 1));
}

proptest! {
    #[test]
    fn a_reader_that_follows_knows_what_the_registry_lists(
        acts in proptest::collection::vec((any::<bool>(), 0u32..3, 0u64..5), 0..80),
        keep in 1usize..10,
        reads in proptest::collection::vec(any::<bool>(), 80),
    ) {
        let registry = Registry::keeping(keep);
        let mut watch = registry.watch();
        let mut known: BTreeMap<InstanceKey, Arc<Entry>> = BTreeMap::new();
        let read = |watch: &mut service_registry::Watch, known: &mut BTreeMap<InstanceKey, Arc<Entry>>| {
            while let Some(Some(update)) = futures::FutureExt::now_or_never(watch.next()) {
                match update {
                    Update::Gap(snapshot) => {
                        *known = snapshot.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
                    }
                    Update::Change(change) => match &change.kind {
                        ChangeKind::Published(entry) | ChangeKind::HealthChanged(entry) => {
                            known.insert(entry.key.clone(), entry.clone());
                        }
                        ChangeKind::Withdrawn(key, _) | ChangeKind::Lost(key, _) => {
                            known.remove(key);
                        }
                    },
                }
            }
        };
        for ((publish, instance, run), reads) in acts.into_iter().zip(reads) {
            if publish {
                registry.publish(entry(instance, run));
            } else {
                registry.withdraw(&db().instance(instance), Incarnation(run));
            }
            if reads {
                read(&mut watch, &mut known);
            }
        }
        read(&mut watch, &mut known);
        let listed: Vec<_> = known.into_values().collect();
        prop_assert_eq!(listed, registry.snapshot().entries);
    }
}
