//! What a lookup costs with 10,000 entries, how long a change takes to reach 1,000 watchers, and what leases cost.
//!
//! `cargo run --release -p service-registry --example registry_bench`

use std::net::IpAddr;
use std::time::{Duration, Instant};

use futures::StreamExt;
use service_registry::{
    Endpoint, Entry, Incarnation, Lease, Owner, Place, Readiness, Registry, ServiceKey, Update,
};

fn entry(number: usize, incarnation: u64) -> Entry {
    Entry {
        key: ServiceKey::new("bench", format!("service-{number}")).instance(0),
        incarnation: Incarnation(incarnation),
        place: Place::local(),
        ip: IpAddr::from([127, 0, 0, 1]),
        endpoints: vec![Endpoint::new(None, 8080)],
        readiness: Readiness::Ready,
    }
}

fn main() {
    let registry = Registry::new();
    for number in 0..ENTRIES {
        registry.publish(entry(number, 1));
    }
    let keys: Vec<ServiceKey> = (0..ENTRIES)
        .map(|number| entry(number, 1).key.service)
        .collect();
    let began = Instant::now();
    let found: usize = keys
        .iter()
        .cycle()
        .take(LOOKUPS)
        .map(|key| registry.lookup(key).len())
        .sum();
    let each = began.elapsed() / u32::try_from(LOOKUPS).expect("small");
    println!("lookup        {each:>10.1?} each, {ENTRIES} entries, {found} found (target 1 µs)");
    let began = Instant::now();
    for key in keys.iter().cycle().take(LOOKUPS) {
        std::hint::black_box(registry.resolve(key, &Place::local()).is_ok());
    }
    let each = began.elapsed() / u32::try_from(LOOKUPS).expect("small");
    println!("resolve       {each:>10.1?} each");

    let executor = smol::Executor::new();
    let watchers: Vec<_> = (0..WATCHERS)
        .map(|_| {
            let mut watch = registry.watch();
            executor.spawn(async move {
                for _ in 0..CHANGES {
                    let update = watch.next().await;
                    assert!(matches!(update, Some(Update::Change(_))));
                }
                Instant::now()
            })
        })
        .collect();
    let worst = smol::block_on(executor.run(async {
        smol::future::yield_now().await;
        let began = Instant::now();
        for change in 0..CHANGES {
            registry.publish(entry(0, 2 + change));
        }
        let mut worst = Duration::ZERO;
        for watcher in watchers {
            worst = worst.max(watcher.await.duration_since(began));
        }
        worst
    }));
    println!(
        "changes       {worst:>10.1?} until {CHANGES} reached each of {WATCHERS} watchers (target 50 ms)"
    );
    leases();
}

/// All entries are of other owners: what their signs of life cost, and the loss of all of them at once.
fn leases() {
    let (registry, start) = (Registry::new(), Instant::now());
    let owners: Vec<Lease> = (0..OWNERS)
        .map(|number| Lease::new(Owner::new(format!("host-{number}"))))
        .collect();
    let publish = |now| {
        for (number, lease) in (0..ENTRIES).zip(owners.iter().cycle()) {
            let listed = registry.publish_leased(entry(number, 1), lease, now);
            assert!(listed.is_ok());
        }
    };
    let each =
        |began: Instant, count: usize| began.elapsed() / u32::try_from(count).expect("small");
    let began = Instant::now();
    publish(start);
    println!(
        "publish       {:>10.1?} each, under a lease of one of {OWNERS} owners",
        each(began, ENTRIES)
    );
    let began = Instant::now();
    publish(start + Duration::from_secs(5));
    println!("publish       {:>10.1?} each, again", each(began, ENTRIES));
    let began = Instant::now();
    for lease in owners.iter().cycle().take(LOOKUPS) {
        let renewed = registry.renew(&lease.owner, start + Duration::from_secs(5));
        assert!(renewed.is_ok());
    }
    println!(
        "renew         {:>10.1?} each, whatever the owner has listed",
        each(began, LOOKUPS)
    );
    let began = Instant::now();
    let lost = registry.expire(start + Duration::from_secs(60));
    println!(
        "expire        {:>10.1?} for {lost} entries at once",
        began.elapsed()
    );
}

const ENTRIES: usize = 10_000;
const LOOKUPS: usize = 1_000_000;
const OWNERS: usize = 100;
const WATCHERS: usize = 1_000;
const CHANGES: u64 = 10;
