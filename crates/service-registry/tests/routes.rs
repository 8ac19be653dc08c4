//! The rule of routes, and what a service is told about another.

use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;
use service_registry::{
    Attachment, Endpoint, Entry, HostId, Incarnation, Place, Readiness, Reason, Resolved,
    RouteError, ServiceKey, Topology, route, route_to_port,
};

fn host(number: u8) -> Place {
    Place::Host(HostId::new(format!("h{number}")))
}

fn topology(hosts: &[u8]) -> Topology {
    hosts.iter().fold(Topology::new(), |topology, number| {
        let address = IpAddr::from([10, 0, 0, *number]);
        topology.with_lan_host(HostId::new(format!("h{number}")), address)
    })
}

fn resolved(ip: &str, endpoints: Vec<Endpoint>) -> Resolved {
    let ip: IpAddr = ip.parse().expect("an address");
    let entry = Entry {
        key: ServiceKey::new("shop", "db").instance(0),
        incarnation: Incarnation(1),
        place: Place::local(),
        ip,
        endpoints,
        readiness: Readiness::Ready,
    };
    Resolved::new(Arc::new(entry), &Place::local(), &Topology::new()).expect("one host")
}

#[test]
fn two_services_on_one_host_meet_on_loopback() {
    for (listens, reached) in [
        ("0.0.0.0", "127.0.0.1"),
        ("::", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.20.0.7", "127.20.0.7"),
    ] {
        let ip = listens.parse().expect("an address");
        let route = route(&Place::local(), &Place::local(), ip, &Topology::new()).expect("a route");
        assert_eq!(route.address.to_string(), reached);
        assert_eq!(route.reason.to_string(), "same host: loopback");
    }
}

#[test]
fn what_listens_on_loopback_is_out_of_reach_from_elsewhere_and_the_error_says_so() {
    let ip = "127.0.0.1".parse().expect("an address");
    let error = route(&host(1), &host(2), ip, &topology(&[1, 2])).expect_err("no route");
    assert!(matches!(error, RouteError::OnlyLoopback { .. }));
    assert_eq!(
        error.to_string(),
        "host h2 listens on 127.0.0.1 only, which host h1 cannot reach"
    );
}

#[test]
fn two_hosts_of_one_lan_meet_at_its_addresses() {
    let any = "0.0.0.0".parse().expect("an address");
    let route_there = route(&host(1), &host(2), any, &topology(&[1, 2])).expect("a route");
    assert_eq!(route_there.address, IpAddr::from([10, 0, 0, 2]));
    assert_eq!(route_there.reason, Reason::Lan);
    let error = route(&host(1), &host(3), any, &topology(&[1, 2])).expect_err("no route");
    assert!(matches!(error, RouteError::Unconnected { .. }));
}

#[test]
fn the_injected_variables_are_those_of_the_schema() {
    let ports = vec![
        Endpoint::new(Some("postgres".into()), 5432),
        Endpoint::new(Some("metrics-http".into()), 9187),
    ];
    let told = resolved("127.0.0.1", ports).variables("main-db");
    let lines: Vec<String> = told.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        lines,
        [
            "MAIN_DB_ADDR=127.0.0.1:5432",
            "MAIN_DB_HOST=127.0.0.1",
            "MAIN_DB_IP=127.0.0.1",
            "MAIN_DB_PORT=5432",
            "MAIN_DB_PORT_METRICS_HTTP=9187",
            "MAIN_DB_PORT_POSTGRES=5432",
            "MAIN_DB_URL=postgres://127.0.0.1:5432",
        ]
    );
}

#[test]
fn a_url_is_told_only_where_the_scheme_is_known() {
    let unknown = vec![Endpoint::new(None, 5432)];
    let told = resolved("127.0.0.1", unknown);
    assert!(!told.variables("db").contains_key("DB_URL"));
    // Whoever asks for a URL gets one.
    assert_eq!(told.url().as_deref(), Some("http://127.0.0.1:5432"));
    let known = Endpoint {
        scheme: Some("http".into()),
        ..Endpoint::new(None, 8080)
    };
    let told = resolved("127.0.0.1", vec![known]).variables("api");
    assert_eq!(told["API_URL"], "http://127.0.0.1:8080");
}

#[test]
fn a_service_without_ports_still_has_an_address() {
    let told = resolved("127.0.0.1", vec![]);
    let names: Vec<_> = told.variables("worker").into_keys().collect();
    assert_eq!(names, ["WORKER_HOST", "WORKER_IP"]);
    assert_eq!((told.port(), told.addr(), told.url()), (None, None, None));
}

#[test]
fn references_read_the_same_values_as_the_variables() {
    let told = resolved("::1", vec![Endpoint::new(Some("api".into()), 8080)]);
    assert_eq!(told.port(), Some(8080));
    assert_eq!(told.named_port("api"), Some(8080));
    assert_eq!(told.named_port("sql"), None);
    assert_eq!(told.addr().as_deref(), Some("[::1]:8080"));
    assert_eq!(told.url().as_deref(), Some("http://[::1]:8080"));
}

/// A container of host 1 with this address on each of these networks, whose gateways end in 1.
fn container(networks: &[(&str, u8, u8)]) -> Place {
    let attached = |(name, network, ip): &(&str, u8, u8)| {
        let attachment = Attachment {
            ip: Some(IpAddr::from([172, 18, *network, *ip])),
            gateway: Some(IpAddr::from([172, 18, *network, 1])),
        };
        ((*name).to_owned(), attachment)
    };
    Place::Container {
        host: HostId::new("h1"),
        networks: networks.iter().map(attached).collect(),
    }
}

#[test]
fn containers_and_their_host_reach_each_other_by_the_way_there_is() {
    let any = IpAddr::from([0, 0, 0, 0]);
    let loopback = IpAddr::from([127, 0, 0, 1]);
    let (web, db) = (container(&[("shop", 0, 2)]), container(&[("shop", 0, 3)]));
    let other = container(&[("lab", 1, 2)]);
    let inside = Endpoint::new(None, 5432);
    let at = |published: &str| {
        inside
            .clone()
            .published_at(published.parse().expect("an address"))
    };
    let way = |from: &Place, to: &Place, ip, endpoint: &Endpoint| {
        route_to_port(from, to, ip, endpoint, &topology(&[1, 2]))
            .map(|(way, reason)| format!("{way} {reason:?}"))
            .map_err(|error| {
                format!("{error:?}")
                    .split(' ')
                    .next()
                    .expect("a name")
                    .to_owned()
            })
    };
    let private = at("127.0.0.1:6000");
    let public = at("0.0.0.0:6000");
    for (from, to, ip, endpoint, expected) in [
        (
            &web,
            &db,
            any,
            &private,
            Ok("172.18.0.3:5432 SharedNetwork"),
        ),
        (&web, &db, any, &inside, Ok("172.18.0.3:5432 SharedNetwork")),
        (&host(1), &db, any, &private, Ok("127.0.0.1:6000 Published")),
        (&host(1), &db, any, &public, Ok("127.0.0.1:6000 Published")),
        (
            &host(1),
            &db,
            any,
            &inside,
            Ok("172.18.0.3:5432 ContainerAddress"),
        ),
        (&host(2), &db, any, &public, Ok("10.0.0.1:6000 Published")),
        (&host(2), &db, any, &private, Err("OnlyLoopback")),
        (&host(2), &db, any, &inside, Err("Unpublished")),
        (&other, &db, any, &public, Ok("172.18.1.1:6000 Published")),
        (&other, &db, any, &private, Err("OnlyLoopback")),
        (&other, &db, any, &inside, Err("Unpublished")),
        (
            &web,
            &host(1),
            loopback,
            &inside,
            Ok("172.18.0.1:5432 Gateway"),
        ),
        (&web, &host(1), any, &inside, Ok("172.18.0.1:5432 Gateway")),
        (
            &web,
            &host(1),
            IpAddr::from([10, 0, 0, 1]),
            &inside,
            Ok("10.0.0.1:5432 OwnAddress"),
        ),
        (&web, &host(2), any, &inside, Ok("10.0.0.2:5432 Lan")),
        (&web, &host(2), loopback, &inside, Err("OnlyLoopback")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(
            way(from, to, ip, endpoint),
            expected,
            "{from} to {to} at {endpoint:?}"
        );
    }
}

#[test]
fn a_host_is_told_published_ports_and_a_neighbour_the_inner_ones() {
    let web = container(&[("shop", 0, 2)]);
    let entry = Arc::new(Entry {
        key: ServiceKey::new("shop", "db").instance(0),
        incarnation: Incarnation(1),
        place: container(&[("shop", 0, 3)]),
        ip: IpAddr::from([0, 0, 0, 0]),
        endpoints: vec![
            Endpoint::new(Some("postgres".into()), 5432)
                .published_at("127.0.0.1:41000".parse().expect("an address")),
            Endpoint::new(Some("metrics".into()), 9187),
        ],
        readiness: Readiness::Ready,
    });
    let from =
        |place: &Place| Resolved::new(entry.clone(), place, &Topology::new()).expect("a route");
    let outside = from(&host(1));
    assert_eq!(outside.url().as_deref(), Some("postgres://127.0.0.1:41000"));
    assert_eq!(outside.named_port("metrics"), Some(9187));
    assert_eq!(outside.route.reason, Reason::Published);
    let inside = from(&web);
    assert_eq!(inside.addr().as_deref(), Some("172.18.0.3:5432"));
    assert_eq!(inside.variables("db")["DB_PORT"], "5432");
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
        Just(IpAddr::from([0, 0, 0, 0])),
        any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([127, a, b, c])),
    ]
}

proptest! {
    #[test]
    fn a_route_is_never_unspecified_and_never_leads_to_somebody_elses_loopback(
        from in 0u8..4, to in 0u8..4, ip in any_ip(), known in proptest::collection::vec(0u8..4, 0..4),
    ) {
        let answer = route(&host(from), &host(to), ip, &topology(&known));
        prop_assert_eq!(&answer, &route(&host(from), &host(to), ip, &topology(&known)));
        match answer {
            Ok(route) => {
                prop_assert!(!route.address.is_unspecified());
                prop_assert_eq!(from == to, route.reason != Reason::Lan);
                prop_assert!(from == to || !route.address.is_loopback());
                prop_assert!(ip.is_unspecified() || route.address == ip);
            }
            Err(error) => {
                prop_assert_ne!(from, to);
                let loopback = matches!(error, RouteError::OnlyLoopback { .. });
                prop_assert_eq!(loopback, ip.is_loopback());
            }
        }
    }

    #[test]
    fn variable_names_can_be_set_in_every_shell(name in "[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}", port in "[a-z0-9._-]{1,9}") {
        for variable in resolved("127.0.0.1", vec![Endpoint::new(Some(port), 1)]).variables(&name).keys() {
            prop_assert!(variable.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        }
    }
}
