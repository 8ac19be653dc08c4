//! What is kept of entries of others: what was noted adds up to what stands, and comes back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use service_registry::journal::{SavedMoment, SavedStanding};
use service_registry::{
    Endpoint, Entry, HostId, Incarnation, InstanceKey, Lease, Owner, Place, Readiness, Registry,
    ServiceKey, Standing,
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

/// Two copies of what is kept: one of everything that was noted, one of what stands.
#[test]
fn what_is_noted_adds_up_to_what_stands_and_comes_back_from_its_saved_form() {
    let (registry, start) = (Registry::new(), Instant::now());
    let moment = |at: u64| SavedMoment {
        boot_id: Some("this one".to_owned()),
        at_ns: at * 1_000_000_000,
    };
    registry
        .publish_leased(entry(9, 1), &lease("pi"), start)
        .expect("free");
    assert!(registry.take_unsaved(start).is_empty(), "nobody keeps it");
    registry.note_unsaved();
    let mut kept = BTreeMap::new();
    let mut keep = |at: u64| {
        let now = start + seconds(at);
        for (key, standing) in registry.take_unsaved(now) {
            match SavedStanding::of(&standing, &moment(100 + at)) {
                Some(saved) => kept.insert(key, saved),
                None => kept.remove(&key),
            };
        }
        kept.clone()
    };
    for number in 0..6 {
        registry
            .publish_leased(entry(number, 3), &lease("pi"), start)
            .expect("free");
    }
    assert_eq!(keep(0).len(), 6);
    registry
        .renew(&Owner::new("pi"), start + seconds(1))
        .expect("a lease");
    registry
        .publish_leased(entry(1, 3), &lease("pi"), start + seconds(1))
        .expect("the same");
    assert!(
        registry.take_unsaved(start).is_empty(),
        "signs of life are not kept"
    );
    let longer = Lease {
        ttl: seconds(30),
        ..lease("pi")
    };
    registry
        .publish_leased(entry(1, 4), &longer, start + seconds(1))
        .expect("its own");
    registry
        .withdraw_leased(&key(2), Incarnation(3), &longer.owner, start + seconds(1))
        .expect("its own");
    registry.publish(entry(3, 9));
    registry.lose("pi", &[key(4)], start + seconds(1));
    let saved = keep(1);
    let text = serde_json::to_string(&saved.values().collect::<Vec<_>>()).expect("it is written");
    let saved: Vec<SavedStanding> = serde_json::from_str(&text).expect("it is read");

    let restored = Registry::new();
    let mut stones = Vec::new();
    for saved in &saved {
        match saved.restore(&moment(161)) {
            Standing::Listed(leased) => {
                restored
                    .publish_leased((*leased.entry).clone(), &leased.lease, start)
                    .expect("free");
            }
            Standing::Gone(stone) => stones.push(stone),
            Standing::Nothing => panic!("nothing is kept of nothing"),
        }
    }
    restored.remember(&stones, start + seconds(100));
    let listed = registry.leases();
    assert!(listed.iter().all(|leased| leased.lease.ttl == seconds(30)));
    assert_eq!(restored.leases(), listed);
    let remembered = restored.tombstones(start + seconds(100));
    assert_eq!(remembered, registry.tombstones(start + seconds(61)));
    assert_eq!(remembered.len(), 2);
    // An hour later nothing of them is left, unless the machine was started anew and nobody can tell.
    let gone = &saved[2];
    assert_eq!(gone.restore(&moment(101 + 3600)), Standing::Nothing);
    let other_boot = SavedMoment {
        boot_id: Some("another".to_owned()),
        at_ns: 0,
    };
    assert!(matches!(gone.restore(&other_boot), Standing::Gone(stone) if stone.age.is_zero()));
}
