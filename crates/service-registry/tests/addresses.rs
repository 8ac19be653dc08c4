//! Loopback addresses: handed out once, kept, and saved.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use proptest::prelude::*;
use service_registry::journal::SavedLoopback;
use service_registry::{
    AllocateError, InstanceKey, LoopbackPool, RestoreError, ServiceKey, Subnet, SubnetError,
};

fn pool(subnet: &str) -> LoopbackPool {
    LoopbackPool::new(subnet.parse().expect("a subnet"))
}

fn key(number: u8) -> InstanceKey {
    ServiceKey::new("shop", format!("s{number}")).instance(0)
}

#[test]
fn the_lowest_free_address_is_next_and_none_of_the_ends_is_handed_out() {
    let mut pool = pool("127.20.0.0/29");
    let given: Vec<_> = (0..6)
        .map(|n| pool.allocate(&key(n)).expect("free"))
        .collect();
    let expected: Vec<_> = (1..7).map(|n| Ipv4Addr::new(127, 20, 0, n)).collect();
    assert_eq!(given, expected);
    let error = pool.allocate(&key(6)).expect_err("full");
    assert!(matches!(
        error,
        AllocateError::Exhausted { capacity: 6, .. }
    ));
    assert_eq!(
        error.to_string(),
        "all 6 addresses of 127.20.0.0/29 are taken, none is left for shop:s6"
    );
    assert!(pool.release(&key(2)));
    assert_eq!(pool.allocate(&key(6)), Ok(Ipv4Addr::new(127, 20, 0, 3)));
}

#[test]
fn the_address_everyone_else_binds_is_not_handed_out() {
    let mut pool = pool("127.0.0.0/8");
    assert_eq!(pool.allocate(&key(0)), Ok(Ipv4Addr::new(127, 0, 0, 2)));
}

#[test]
fn a_subnet_that_cannot_work_is_refused_with_its_reason() {
    let refused = |text: &str| text.parse::<Subnet>().expect_err("refused");
    assert!(matches!(refused("127.0.0.0"), SubnetError::Malformed(_)));
    assert!(matches!(refused("127.0.0.0/33"), SubnetError::Malformed(_)));
    assert!(matches!(refused("10.0.0.0/8"), SubnetError::NotLoopback(_)));
    assert!(matches!(
        refused("126.0.0.0/7"),
        SubnetError::NotLoopback(_)
    ));
    assert!(matches!(refused("127.1.0.0/31"), SubnetError::TooSmall(_)));
    assert_eq!(
        refused("127.20.0.1/16").to_string(),
        "`127.20.0.1/16` has host bits set: its network is `127.20.0.0/16`"
    );
}

#[test]
fn what_the_first_version_saved_still_loads() {
    let text = r#"{"version":1,"subnet":"127.20.0.0/16","leases":[
        {"stack":"shop","service":"s1","instance":0,"address":"127.20.0.1"},
        {"stack":"shop","service":"s2","instance":2,"address":"127.20.0.9"}]}"#;
    let saved: SavedLoopback = serde_json::from_str(text).expect("the released form");
    let pool = LoopbackPool::restore(&saved).expect("valid");
    assert_eq!(pool.lease(&key(1)), Some(Ipv4Addr::new(127, 20, 0, 1)));
    let replica = ServiceKey::new("shop", "s2").instance(2);
    assert_eq!(pool.lease(&replica), Some(Ipv4Addr::new(127, 20, 0, 9)));
}

#[test]
fn damaged_leases_are_refused_as_a_whole() {
    let restore = |text: &str| {
        let saved: SavedLoopback = serde_json::from_str(text).expect("json");
        LoopbackPool::restore(&saved).expect_err("refused")
    };
    let lease = |n: u8, address: &str| {
        format!(r#"{{"stack":"s","service":"s{n}","instance":0,"address":"{address}"}}"#)
    };
    let saved = |version: u8, leases: &str| {
        format!(r#"{{"version":{version},"subnet":"127.20.0.0/29","leases":[{leases}]}}"#)
    };
    let foreign = saved(1, &lease(1, "127.20.0.7"));
    assert!(matches!(restore(&foreign), RestoreError::Foreign { .. }));
    let twice = format!("{},{}", lease(1, "127.20.0.2"), lease(2, "127.20.0.2"));
    assert!(matches!(
        restore(&saved(1, &twice)),
        RestoreError::Twice { .. }
    ));
    assert!(matches!(
        restore(&saved(2, "")),
        RestoreError::Version { found: 2, known: 1 }
    ));
}

#[derive(Clone, Debug)]
enum Act {
    Allocate(u8),
    Release(u8),
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0u8..40).prop_map(Act::Allocate),
        3 => (0u8..40).prop_map(Act::Release),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 0..200)
}

proptest! {
    #[test]
    fn addresses_are_unique_inside_the_subnet_and_kept(acts in acts(), prefix in 26u8..30, third in 0u8..2) {
        let mut pool = pool(&format!("127.0.{third}.0/{prefix}"));
        let subnet = pool.subnet();
        let mut expected: BTreeMap<InstanceKey, Ipv4Addr> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Allocate(number) => match pool.allocate(&key(number)) {
                    Ok(address) => {
                        prop_assert!(subnet.network() < address && address < subnet.broadcast());
                        prop_assert_ne!(address, Ipv4Addr::LOCALHOST);
                        let before = expected.insert(key(number), address);
                        prop_assert!(before.is_none_or(|before| before == address));
                    }
                    Err(AllocateError::Exhausted { capacity, .. }) => {
                        prop_assert_eq!(expected.len(), usize::try_from(capacity).expect("small"));
                        prop_assert!(!expected.contains_key(&key(number)));
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                },
                Act::Release(number) => {
                    prop_assert_eq!(pool.release(&key(number)), expected.remove(&key(number)).is_some());
                }
                Act::Restart => {
                    let text = serde_json::to_string(&pool.save()).expect("plain data");
                    pool = LoopbackPool::restore(&serde_json::from_str(&text).expect("as written")).expect("valid");
                }
            }
            let held: BTreeMap<_, _> = pool.leases().map(|(key, address)| (key.clone(), address)).collect();
            prop_assert_eq!(&held, &expected);
            let distinct: std::collections::BTreeSet<_> = held.values().collect();
            prop_assert_eq!(distinct.len(), held.len());
        }
    }
}
