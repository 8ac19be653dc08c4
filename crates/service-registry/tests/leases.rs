//! Entries of others: their leases, and what becomes of those who are not heard of.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt};
use proptest::prelude::*;
use service_registry::{
    ChangeKind, Ending, Endpoint, Entry, HostId, Incarnation, InstanceKey, Lease, LeaseError,
    Outcome, Owner, Place, Readiness, Registry, ServiceKey, Tombstone, Update, Watch,
};

fn key(number: u32) -> InstanceKey {
    ServiceKey::new("shop", "db").instance(number)
}

fn entry(number: u32, incarnation: u64) -> Entry {
    Entry {
        key: key(number),
        incarnation: Incarnation(incarnation),
        place: Place::Host(HostId::new("pi")),
        ip: IpAddr::from([0, 0, 0, 0]),
        endpoints: vec![Endpoint::new(None, 5432)],
        readiness: Readiness::Ready,
    }
}

fn lease(owner: &str) -> Lease {
    Lease::new(Owner::new(owner))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What a watch has to say, in short.
fn told(watch: &mut Watch) -> Vec<String> {
    let updates = std::iter::from_fn(|| watch.next().now_or_never().flatten());
    let word = |update: Update| match update {
        Update::Gap(snapshot) => format!("gap {}", snapshot.entries.len()),
        Update::Change(change) => match &change.kind {
            ChangeKind::Published(entry) => format!("published {}", entry.key),
            ChangeKind::HealthChanged(entry) => format!("{:?} {}", entry.readiness, entry.key),
            ChangeKind::Withdrawn(key, _) => format!("withdrawn {key}"),
            ChangeKind::Lost(key, _) => format!("lost {key}"),
        },
    };
    updates.map(word).collect()
}

#[test]
fn an_owner_that_misses_renewals_and_recovers_before_expiry_changes_nothing_nomad_26424() {
    let (registry, start) = (Registry::new(), Instant::now());
    for number in 1..=3 {
        let published = registry.publish_leased(entry(number, 7), &lease("pi"), start);
        assert_eq!(published, Ok(Outcome::Changed));
    }
    let (before, mut watch) = (registry.snapshot(), registry.watch());
    // Two of three renewals are missed; then it registers again all that it runs, as it did at first.
    assert_eq!(registry.expire(start + seconds(14)), 0);
    for number in 1..=3 {
        let again = registry.publish_leased(entry(number, 7), &lease("pi"), start + seconds(14));
        assert_eq!(again, Ok(Outcome::Unchanged));
    }
    assert_eq!(
        registry.expire(start + seconds(28)),
        0,
        "the old deadline is void"
    );
    assert_eq!(registry.snapshot(), before);
    assert!(told(&mut watch).is_empty());
    assert_eq!(registry.next_expiry(), Some(start + seconds(29)));
}

#[test]
fn who_is_not_heard_of_is_lost_which_is_not_withdrawn() {
    let (registry, start) = (Registry::new(), Instant::now());
    let mut watch = registry.watch();
    for (number, owner) in [(1, "pi"), (2, "pi"), (3, "nas")] {
        let published = registry.publish_leased(entry(number, 1), &lease(owner), start);
        assert_eq!(published, Ok(Outcome::Changed));
    }
    registry
        .renew(&Owner::new("nas"), start + seconds(10))
        .expect("a lease");
    assert_eq!(registry.expire(start + seconds(15)), 2);
    let gone = registry.withdraw_leased(&key(3), Incarnation(1), &Owner::new("nas"), start);
    assert_eq!(gone, Ok(Outcome::Changed));
    assert_eq!(
        told(&mut watch)[3..],
        ["lost shop:db/1", "lost shop:db/2", "withdrawn shop:db/3"]
    );
    assert_eq!(registry.next_expiry(), None);
    let late = registry.renew(&Owner::new("pi"), start + seconds(16));
    assert!(matches!(late, Err(LeaseError::NoLease { .. })));
    // It was cut off and still runs: the very same run is back.
    let back = registry.publish_leased(entry(1, 1), &lease("pi"), start + seconds(16));
    assert_eq!(back, Ok(Outcome::Changed));
}

#[test]
fn late_news_put_nothing_back_for_an_hour() {
    let (registry, start) = (Registry::new(), Instant::now());
    let pi = Owner::new("pi");
    let publish = |registry: &Registry, run, now| {
        let published = registry.publish_leased(entry(1, run), &lease("pi"), now);
        published.map_err(|error| error.to_string())
    };
    publish(&registry, 5, start).expect("the first");
    let stale = Err("run 4 of `shop:db/1` is over: run 5 has been seen".to_owned());
    assert_eq!(publish(&registry, 4, start), stale);
    let late = registry.withdraw_leased(&key(1), Incarnation(4), &pi, start);
    assert!(matches!(late, Err(LeaseError::Stale { .. })));
    registry
        .withdraw_leased(&key(1), Incarnation(5), &pi, start)
        .expect("its own");
    assert!(publish(&registry, 5, start + seconds(3599)).is_err());
    // The tombstone outlives a restart.
    let restarted = Registry::new();
    restarted.remember(
        &registry.tombstones(start + seconds(10)),
        start + seconds(20),
    );
    assert!(publish(&restarted, 5, start + seconds(3609)).is_err());
    assert_eq!(
        publish(&restarted, 6, start + seconds(30)),
        Ok(Outcome::Changed)
    );
    assert_eq!(
        publish(&registry, 5, start + seconds(3600)),
        Ok(Outcome::Changed)
    );
}

#[test]
fn the_end_of_a_run_that_was_lost_may_be_told_late() {
    let (registry, start) = (Registry::new(), Instant::now());
    let pi = Owner::new("pi");
    registry
        .publish_leased(entry(1, 5), &lease("pi"), start)
        .expect("free");
    registry.expire(start + seconds(15));
    let endings = || -> Vec<Ending> {
        let stones = registry.tombstones(start + seconds(20));
        stones.into_iter().map(|stone| stone.ending).collect()
    };
    let withdraw = |owner: &Owner| {
        registry.withdraw_leased(&key(1), Incarnation(5), owner, start + seconds(20))
    };
    assert_eq!(withdraw(&Owner::new("nas")), Ok(Outcome::Unchanged));
    assert_eq!(endings(), [Ending::Lost]);
    assert_eq!(withdraw(&pi), Ok(Outcome::Unchanged));
    assert_eq!(endings(), [Ending::Withdrawn]);
    let again = registry.publish_leased(entry(1, 5), &lease("pi"), start + seconds(20));
    assert!(matches!(again, Err(LeaseError::Stale { .. })));
}

#[test]
fn nobody_changes_what_is_listed_for_another() {
    let (registry, start) = (Registry::new(), Instant::now());
    registry.publish(entry(1, 1));
    let asked = registry.publish_leased(entry(1, 2), &lease("pi"), start);
    let error = asked.expect_err("it is this daemon's own").to_string();
    assert_eq!(
        error,
        "`shop:db/1` is listed for this daemon, and not for pi to change"
    );
    registry
        .publish_leased(entry(2, 1), &lease("pi"), start)
        .expect("free");
    let nas = Owner::new("nas");
    assert!(
        registry
            .publish_leased(entry(2, 2), &lease("nas"), start)
            .is_err()
    );
    assert!(
        registry
            .withdraw_leased(&key(2), Incarnation(1), &nas, start)
            .is_err()
    );
    // The daemon itself may take over; then there is no lease that could run out.
    assert_eq!(registry.publish(entry(2, 2)), Outcome::Changed);
    assert_eq!(registry.expire(start + seconds(60)), 0);
    let forever = Lease {
        ttl: seconds(3601),
        ..lease("pi")
    };
    let asked = registry.publish_leased(entry(3, 1), &forever, start);
    assert!(matches!(asked, Err(LeaseError::Duration { .. })));
}

#[test]
fn leases_that_were_kept_over_a_restart_run_anew_in_full() {
    let (registry, start) = (Registry::new(), Instant::now());
    let short = Lease {
        ttl: seconds(3),
        ..lease("pi")
    };
    registry
        .publish_leased(entry(1, 4), &short, start)
        .expect("free");
    registry.publish(entry(2, 1));
    let (restarted, later) = (Registry::new(), start + seconds(100));
    for leased in registry.leases() {
        let entry = (*leased.entry).clone();
        restarted
            .publish_leased(entry, &leased.lease, later)
            .expect("free");
    }
    assert_eq!(restarted.leases(), registry.leases());
    assert_eq!(restarted.snapshot().entries, [Arc::new(entry(1, 4))]);
    assert_eq!(restarted.next_expiry(), Some(later + seconds(3)));
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn renewals_of_10_000_entries_wake_nobody_and_their_loss_wakes_each_of_1_000_watchers_once() {
    let (registry, start) = (Registry::new(), Instant::now());
    let owner = |number: u32| Owner::new(format!("host-{}", number % 100));
    for number in 0..10_000 {
        let published =
            registry.publish_leased(entry(number, 1), &Lease::new(owner(number)), start);
        assert_eq!(published, Ok(Outcome::Changed));
    }
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(bell.clone());
    let mut watches: Vec<Watch> = (0..1000).map(|_| registry.watch()).collect();
    for watch in &mut watches {
        let polled = Pin::new(watch).poll_next(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    for number in 0..100 {
        registry
            .renew(&owner(number), start + seconds(5))
            .expect("a lease");
    }
    assert_eq!(registry.expire(start + seconds(15)), 0);
    assert_eq!(bell.0.load(Ordering::Relaxed), 0);
    assert_eq!(registry.expire(start + seconds(20)), 10_000);
    assert_eq!(bell.0.load(Ordering::Relaxed), 1000);
    // More than the 4,096 changes that are kept: each is told so, once, and how things stand.
    for watch in &mut watches {
        assert_eq!(told(watch), ["gap 0"]);
    }
}

#[test]
fn tombstones_are_bounded_however_much_comes_and_goes() {
    let (registry, start) = (Registry::new(), Instant::now());
    for number in 0..70_000 {
        registry
            .publish_leased(entry(number, 1), &lease("pi"), start)
            .expect("free");
        let now = start + Duration::from_micros(number.into());
        registry
            .withdraw_leased(&key(number), Incarnation(1), &Owner::new("pi"), now)
            .expect("its own");
    }
    assert_eq!(registry.tombstones(start).len(), 65_536);
    registry.expire(start + Tombstone::KEPT + seconds(1));
    assert!(registry.tombstones(start).is_empty());
}

#[derive(Clone, Debug)]
enum Act {
    Publish(u8, u32, u64),
    Withdraw(u8, u32, u64),
    Renew(u8),
    Wait(u64),
    Expire,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0u8..3, 0u32..4, 0u64..4).prop_map(|(owner, key, run)| Act::Publish(owner, key, run)),
        2 => (0u8..3, 0u32..4, 0u64..4).prop_map(|(owner, key, run)| Act::Withdraw(owner, key, run)),
        2 => (0u8..3).prop_map(Act::Renew),
        3 => (1u64..9).prop_map(Act::Wait),
        3 => Just(Act::Expire),
    ];
    proptest::collection::vec(act, 0..80)
}

/// What the registry shall list: per instance its run and its owner, and when each owner was heard of.
#[derive(Default)]
struct Model {
    listed: BTreeMap<u32, (u64, u8)>,
    heard: BTreeMap<u8, u64>,
}

impl Model {
    fn tidy(&mut self) {
        let listed = &self.listed;
        self.heard
            .retain(|owner, _| listed.values().any(|(_, of)| of == owner));
    }
}

proptest! {
    #[test]
    fn an_entry_is_lost_when_its_owner_was_silent_for_its_time_and_never_before(acts in acts()) {
        let (registry, start) = (Registry::new(), Instant::now());
        let owner = |number: u8| Owner::new(number.to_string());
        let (mut model, mut clock) = (Model::default(), 0);
        // The last run of each instance whose end was told: it never comes back.
        let mut over: BTreeMap<u32, u64> = BTreeMap::new();
        for act in acts {
            let now = start + seconds(clock);
            match act {
                Act::Publish(by, number, run) => {
                    let lease = Lease::new(owner(by));
                    if registry.publish_leased(entry(number, run), &lease, now).is_ok() {
                        prop_assert!(model.listed.get(&number).is_none_or(|(was, of)| *was <= run && *of == by));
                        prop_assert!(over.get(&number).is_none_or(|over| *over < run));
                        model.listed.insert(number, (run, by));
                        model.heard.insert(by, clock);
                    }
                }
                Act::Withdraw(by, number, run) => {
                    let done = registry.withdraw_leased(&key(number), Incarnation(run), &owner(by), now);
                    if done == Ok(Outcome::Changed) {
                        let was = model.listed.remove(&number);
                        prop_assert!(was.is_some_and(|(was, of)| was <= run && of == by));
                        over.insert(number, run);
                        model.tidy();
                    }
                }
                Act::Renew(by) => {
                    let done = registry.renew(&owner(by), now).is_ok();
                    prop_assert_eq!(done, model.heard.contains_key(&by));
                    if done {
                        model.heard.insert(by, clock);
                    }
                }
                Act::Wait(seconds) => clock += seconds,
                Act::Expire => {
                    let before = model.listed.len();
                    let heard = &model.heard;
                    model.listed.retain(|_, (_, by)| heard.get(by).is_some_and(|at| clock < at + 15));
                    model.tidy();
                    prop_assert_eq!(registry.expire(now), before - model.listed.len());
                }
            }
            let listed: BTreeMap<u32, (u64, u8)> = registry.leases().into_iter().map(|leased| {
                let by = leased.lease.owner.as_str().parse().expect("a number");
                (leased.entry.key.instance, (leased.entry.incarnation.0, by))
            }).collect();
            prop_assert_eq!(&listed, &model.listed);
            prop_assert_eq!(registry.snapshot().entries.len(), listed.len());
            let due = model.heard.values().min().map(|at| start + seconds(at + 15));
            prop_assert_eq!(registry.next_expiry(), due);
        }
    }
}

#[test]
fn programs_of_one_owner_live_and_die_by_themselves() {
    let (registry, start) = (Registry::new(), Instant::now());
    let under = |program: &str| Lease::new(Owner::under("pi", program));
    for (number, program) in [(1, "a"), (2, "b")] {
        registry
            .publish_leased(entry(number, 1), &under(program), start)
            .expect("free");
    }
    assert_eq!((registry.count_of("pi"), registry.count_of("p")), (2, 0));
    registry
        .renew(&under("a").owner, start + seconds(10))
        .expect("a lease");
    assert_eq!(registry.expire(start + seconds(15)), 1);
    assert!(registry.instance(&key(1)).is_some());
    // Its next run goes on under a lease of its own, also while the first is still listed.
    registry
        .publish_leased(entry(1, 2), &under("c"), start + seconds(15))
        .expect("the owner's own");
    let late = registry.renew(&under("a").owner, start + seconds(16));
    assert!(matches!(late, Err(LeaseError::NoLease { .. })));
    assert_eq!(registry.owner(&key(1)), Some(under("c").owner));
    assert_eq!(registry.next_expiry(), Some(start + seconds(30)));
}

#[test]
fn what_others_publish_is_not_the_daemons_to_withdraw() {
    let (registry, start) = (Registry::new(), Instant::now());
    registry
        .publish_leased(entry(1, 1), &lease("pi"), start)
        .expect("free");
    let forgotten = registry.withdraw(&key(1), Incarnation(u64::MAX));
    assert_eq!(forgotten, Outcome::Unchanged);
    assert!(registry.instance(&key(1)).is_some());
    assert_eq!(registry.lose("nas", &[key(1)], start), 0);
    assert_eq!(registry.lose("pi", &[key(1), key(2)], start), 1);
    assert_eq!(registry.next_expiry(), None);
    assert_eq!(registry.next_incarnation(&key(1), start), Incarnation(2));
    assert_eq!(registry.next_incarnation(&key(2), start), Incarnation(1));
}

#[test]
fn a_change_of_health_alone_is_told_as_that() {
    let (registry, start) = (Registry::new(), Instant::now());
    let mut watch = registry.watch();
    let sick = Entry {
        readiness: Readiness::Unhealthy,
        ..entry(1, 1)
    };
    for entry in [entry(1, 1), sick.clone(), sick, entry(1, 2)] {
        registry
            .publish_leased(entry, &lease("pi"), start)
            .expect("its own");
    }
    assert_eq!(
        told(&mut watch),
        [
            "published shop:db/1",
            "Unhealthy shop:db/1",
            "published shop:db/1"
        ]
    );
}
