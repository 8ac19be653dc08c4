//! Handing out addresses of networks of any size.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use proptest::prelude::*;
use service_registry::pool::{
    Allocation, Holder, PlanError, Pool, PoolExhausted, PoolPlan, PoolRestoreError, Span, Standing,
};
use service_registry::{
    HostId, Interface, InterfaceAddress, InterfaceKind, Network, NetworkError, ServiceKey,
};

fn plan(network: &str) -> PoolPlan {
    PoolPlan::new("mesh", network.parse().expect("a network"))
}

fn pool(network: &str) -> Pool {
    Pool::new(plan(network)).expect("a plan that fits")
}

fn service(number: u16) -> Holder {
    let key = ServiceKey::new("shop", format!("s{number}"));
    key.instance(0).into()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_network_is_written_by_its_first_address() {
    let host_bits = "10.1.2.3/16".parse::<Network>().expect_err("refused");
    assert_eq!(
        host_bits.to_string(),
        "`10.1.2.3/16` has host bits set: its network is `10.1.0.0/16`"
    );
    for text in ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "x/8", "fd00::/-1"] {
        let error = text.parse::<Network>().expect_err("refused");
        assert_eq!(error, NetworkError::Malformed(text.into()));
    }
    let all: Network = "::/0".parse().expect("a network");
    assert!(all.contains(ip("ff::1")) && !all.contains(ip("10.0.0.1")));
    assert!(!all.overlaps("0.0.0.0/0".parse().expect("a network")));
}

#[test]
fn nobody_gets_the_networks_own_addresses() {
    let mut small = pool("10.9.0.0/30");
    assert_eq!(small.allocate(&service(1)), Ok(ip("10.9.0.1")));
    assert_eq!(small.allocate(&service(2)), Ok(ip("10.9.0.2")));
    assert!(small.allocate(&service(3)).is_err());
    let routed = PoolPlan {
        router: Some(ip("10.9.0.1")),
        excluded: vec!["10.9.0.2-10.9.0.4".parse().expect("a span")],
        ..plan("10.9.0.0/29")
    };
    let mut routed = Pool::new(routed).expect("two are left");
    assert_eq!(routed.capacity(), 2);
    assert_eq!(routed.allocate(&service(1)), Ok(ip("10.9.0.5")));
    let mut v6 = pool("fd00:9::/126");
    assert_eq!(v6.capacity(), 3, "all but that of the subnet's routers");
    assert_eq!(v6.allocate(&service(1)), Ok(ip("fd00:9::1")));
}

#[test]
fn a_plan_that_contradicts_itself_is_refused() {
    let refused = |plan| Pool::new(plan).expect_err("refused");
    for small in ["10.0.0.0/31", "10.0.0.0/32", "fd00::/128"] {
        assert!(matches!(refused(plan(small)), PlanError::Empty { .. }));
    }
    let nothing_left = PoolPlan {
        excluded: vec!["10.0.0.0/24".parse().expect("a span")],
        ..plan("10.0.0.0/29")
    };
    assert!(matches!(refused(nothing_left), PlanError::Empty { .. }));
    let outside = PoolPlan {
        router: Some(ip("10.0.1.1")),
        ..plan("10.0.0.0/24")
    };
    assert!(matches!(refused(outside), PlanError::RouterOutside { .. }));
    let outside = PoolPlan {
        excluded: vec!["fd00::1".parse().expect("a span")],
        ..plan("10.0.0.0/24")
    };
    assert!(matches!(
        refused(outside),
        PlanError::ExclusionOutside { .. }
    ));
    for text in ["10.0.0.9-10.0.0.1", "10.0.0.1-fd00::1", "ten", "10.0.0.1-"] {
        assert!(text.parse::<Span>().is_err(), "{text}");
    }
}

#[test]
fn an_exhausted_pool_says_at_once_how_many_there_are_and_who_holds_them_longest() {
    let mut pool = pool("10.9.0.0/28");
    for number in [3, 1, 2].into_iter().chain(4..15) {
        pool.allocate(&service(number)).expect("one is left");
        let kept = pool.allocations();
        pool = Pool::restore(pool.plan().clone(), &kept).expect("as it was");
    }
    let asker = Holder::from(HostId::new("pi"));
    let error: Box<PoolExhausted> = pool.allocate(&asker).expect_err("none is left");
    assert_eq!(
        error.to_string(),
        "all 14 addresses of pool `mesh` (10.9.0.0/28) are taken, none is left for host pi; the longest held are \
         those of shop:s3, shop:s1, shop:s2, shop:s4, shop:s5, shop:s6, shop:s7, shop:s8 and 6 more"
    );
    assert_eq!(pool.address(&asker), None);
    assert!(pool.release(&service(1)));
    assert_eq!(pool.allocate(&asker), Ok(ip("10.9.0.2")));
}

#[test]
fn who_comes_back_has_the_address_it_had_and_who_is_gone_longest_loses_it_first() {
    let mut pool = pool("10.9.0.0/29");
    for number in 1..=4 {
        pool.allocate(&service(number)).expect("one is left");
    }
    pool.release(&service(2));
    pool.release(&service(1));
    assert_eq!(pool.allocate(&service(5)), Ok(ip("10.9.0.5")));
    assert_eq!(pool.allocate(&service(2)), Ok(ip("10.9.0.2")));
    pool.release(&service(2));
    let mut pool = Pool::restore(pool.plan().clone(), &pool.allocations()).expect("as it was");
    assert_eq!(pool.allocate(&service(6)), Ok(ip("10.9.0.6")));
    assert_eq!(pool.allocate(&service(7)), Ok(ip("10.9.0.1")));
    assert_eq!(pool.allocate(&service(2)), Ok(ip("10.9.0.2")));
    assert!(pool.allocate(&service(1)).is_err());
}

#[test]
fn a_pool_that_an_old_address_does_not_fit_any_more_says_so() {
    let allocation = |number, address, standing| Allocation {
        holder: service(number),
        address: ip(address),
        standing,
    };
    let mut kept = vec![
        allocation(1, "10.9.0.1", Standing::Held),
        allocation(2, "10.9.0.200", Standing::Held),
        allocation(3, "10.9.0.201", Standing::Held),
        allocation(4, "10.9.0.202", Standing::Released),
    ];
    let error = Pool::restore(plan("10.9.0.0/28"), &kept).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "pool `mesh` (10.9.0.0/28) does not hand out 10.9.0.200 any more, which shop:s2 holds; so it is with 1 others"
    );
    kept.drain(1..3);
    let pool = Pool::restore(plan("10.9.0.0/28"), &kept).expect("the released one is forgotten");
    assert_eq!(pool.allocations(), kept[..1]);
    for second in [
        allocation(1, "10.9.0.2", Standing::Held),
        allocation(5, "10.9.0.1", Standing::Held),
    ] {
        let kept = [kept[0].clone(), second];
        let error = Pool::restore(plan("10.9.0.0/28"), &kept).expect_err("refused");
        assert!(matches!(error, PoolRestoreError::Twice { .. }));
    }
}

#[test]
fn a_network_that_a_host_has_already_is_refused_with_both_named() {
    let interface = |name: &str, address: &str, prefix| Interface {
        name: name.into(),
        kind: InterfaceKind::Outward,
        addresses: vec![InterfaceAddress {
            ip: ip(address),
            prefix,
        }],
    };
    let host = HostId::new("pi");
    let found = [
        interface("lo", "127.0.0.1", 8),
        interface("eth0", "10.9.4.7", 24),
    ];
    let collision = plan("10.9.0.0/16").check(&host, &found).expect_err("both");
    assert_eq!(
        collision.to_string(),
        "10.9.0.0/16 of pool `mesh` overlaps 10.9.4.0/24 of interface eth0 on pi: choose a network that no host has"
    );
    assert_eq!(plan("10.8.0.0/16").check(&host, &found), Ok(()));
    assert_eq!(plan("fd00::/16").check(&host, &found), Ok(()));
    let wide = [interface("eth0", "10.0.0.1", 8)];
    assert!(plan("10.9.0.0/16").check(&host, &wide).is_err());
}

#[test]
fn a_huge_pool_costs_what_is_held_of_it() {
    for (network, capacity) in [
        ("10.0.0.0/8", (1 << 24) - 2),
        ("fd00:9::/64", (1 << 64) - 1),
        ("::/0", u128::MAX),
    ] {
        let mut pool = pool(network);
        assert_eq!(pool.capacity(), capacity);
        for number in 0..1000 {
            pool.allocate(&service(number)).expect("plenty");
            if number % 2 == 0 {
                pool.release(&service(number));
            }
        }
        assert_eq!(pool.held(), 500);
        assert_eq!(pool.allocations().len(), 1000);
    }
}

#[test]
fn of_those_that_are_gone_a_bounded_number_is_remembered() {
    let mut pool = pool("10.0.0.0/8");
    let mut last = None;
    for number in 0..10_000 {
        last = pool.allocate(&service(number)).ok();
        pool.release(&service(number));
    }
    assert_eq!(pool.allocations().len(), 4096);
    assert_eq!(pool.allocate(&service(9_999)).ok(), last);
}

#[derive(Clone, Debug)]
enum Act {
    Allocate(u16),
    Release(u16),
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (0u16..24).prop_map(Act::Allocate),
        4 => (0u16..24).prop_map(Act::Release),
        1 => Just(Act::Restart),
    ];
    proptest::collection::vec(act, 0..150)
}

fn plans() -> impl Strategy<Value = PoolPlan> {
    let v4 = (
        27u8..30,
        proptest::collection::vec((0u8..32, 0u8..4), 0..4),
        0u8..32,
    );
    (v4, any::<bool>()).prop_map(|((prefix, excluded, router), is_v4)| {
        let at = |last: u8| {
            if is_v4 {
                IpAddr::from([10, 9, 0, last])
            } else {
                IpAddr::from([0xfd09, 0, 0, 0, 0, 0, 0, u16::from(last)])
            }
        };
        let network = Network::around(at(0), if is_v4 { prefix } else { 96 + prefix });
        let spans = excluded
            .into_iter()
            .map(|(from, length)| (at(from), at(from + length)));
        let inside = spans.filter(|(first, _)| network.contains(*first));
        PoolPlan {
            name: "p".into(),
            network,
            router: Some(at(router)).filter(|router| network.contains(*router)),
            excluded: inside
                .filter_map(|(first, last)| Span::new(first, last))
                .collect(),
        }
    })
}

proptest! {
    #[test]
    fn addresses_are_unique_offered_kept_and_given_back(plan in plans(), acts in acts()) {
        let Ok(mut pool) = Pool::new(plan.clone()) else { return Ok(()) };
        let mut expected: BTreeMap<Holder, IpAddr> = BTreeMap::new();
        let mut last: BTreeMap<Holder, IpAddr> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Allocate(number) => match pool.allocate(&service(number)) {
                    Ok(address) => {
                        prop_assert!(plan.offers(address));
                        let before = expected.insert(service(number), address);
                        prop_assert!(before.is_none_or(|before| before == address));
                        let had = last.insert(service(number), address);
                        // Nobody else had it meanwhile, so it must have come back.
                        last.retain(|holder, theirs| *theirs != address || *holder == service(number));
                        prop_assert!(had.is_none_or(|had| had == address));
                    }
                    Err(error) => {
                        prop_assert_eq!(error.capacity, u128::try_from(expected.len()).expect("small"));
                        prop_assert!(!expected.contains_key(&service(number)));
                        prop_assert!(error.holders.iter().all(|holder| expected.contains_key(holder)));
                    }
                },
                Act::Release(number) => {
                    let had = expected.remove(&service(number)).is_some();
                    prop_assert_eq!(pool.release(&service(number)), had);
                }
                Act::Restart => {
                    let kept = pool.allocations();
                    pool = Pool::restore(plan.clone(), &kept).expect("as it was");
                    prop_assert_eq!(pool.allocations(), kept);
                }
            }
            prop_assert_eq!(pool.held(), expected.len());
            for (holder, address) in &expected {
                prop_assert_eq!(pool.address(holder), Some(*address));
                prop_assert_eq!(pool.holder(*address), Some(holder));
            }
            let distinct: BTreeSet<_> = expected.values().collect();
            prop_assert_eq!(distinct.len(), expected.len());
        }
    }

    #[test]
    fn the_capacity_is_what_can_really_be_handed_out(plan in plans()) {
        let Ok(mut pool) = Pool::new(plan) else { return Ok(()) };
        let mut handed = 0;
        while pool.allocate(&service(handed)).is_ok() {
            handed += 1;
        }
        prop_assert_eq!(u128::from(handed), pool.capacity());
    }

    #[test]
    fn networks_overlap_when_an_address_is_in_both(a in any::<[u8; 2]>(), b in any::<[u8; 2]>(), p in 16u8..=32, q in 16u8..=32) {
        let one = Network::around(IpAddr::from([10, 0, a[0], a[1]]), p);
        let other = Network::around(IpAddr::from([10, 0, b[0], b[1]]), q);
        let shared = one.contains(other.first()) || other.contains(one.first());
        prop_assert_eq!(one.overlaps(other), shared);
        prop_assert_eq!(other.overlaps(one), shared);
        prop_assert_eq!(one.to_string().parse::<Network>(), Ok(one));
    }
}
