//! How units of every kind see each other: addresses, reasons, names, forwarders, refusals.

use std::collections::BTreeMap;
use std::net::IpAddr;

use service_registry::{Attachment, HostId, Incarnation, Readiness};

use super::*;
use crate::model::Index;
use crate::spec::{
    ContainerTarget, Dependency, Gate, Origin, PortNumber, PortSpec, ProcessTarget, ServiceSpec,
    UnitId, UnitName,
};

/// A unit, where it is, and what it listens on there.
struct Unit {
    entry: UnitEntry,
    place: Place,
    ip: IpAddr,
    published: Option<SocketAddr>,
    is_published: bool,
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}

fn unit(name: &str, target: TargetSpec, place: Place, listens: &str) -> Unit {
    let name = UnitName::new(name).expect("a legal name");
    let mut spec = ServiceSpec::new(name.clone(), UnitKind::Service, target);
    spec.ports = vec![PortSpec::new(PortNumber::Fixed(8080))];
    let stack = StackName::new("web").expect("a legal name");
    // One for each name, as it happens.
    let index = Index(name.as_str().bytes().map(u32::from).sum());
    let id = UnitId::single(stack, name);
    Unit {
        entry: UnitEntry::new(id, index, Arc::new(spec), String::new()),
        place,
        ip: ip(listens),
        published: None,
        is_published: true,
    }
}

fn process(name: &str, listens: &str) -> Unit {
    let target = TargetSpec::Process(ProcessTarget::default());
    unit(name, target, Place::local(), listens)
}

fn docker(network: Option<&str>) -> TargetSpec {
    TargetSpec::Docker(Box::new(ContainerTarget {
        network: network.map(str::to_owned),
        aliases: vec!["also".into()],
        ..ContainerTarget::default()
    }))
}

fn on(network: &str, own: Option<&str>) -> Place {
    let end = Attachment {
        ip: own.map(ip),
        gateway: Some(ip("172.18.0.1")),
    };
    Place::Container {
        host: HostId::local(),
        networks: [(network.to_owned(), end)].into(),
    }
}

fn container(name: &str, own: &str) -> Unit {
    let place = on("web_default", Some(own));
    unit(name, docker(None), place, "0.0.0.0")
}

impl Unit {
    /// Its port is published there.
    fn published_at(mut self, address: &str) -> Self {
        self.published = Some(at(address));
        self
    }

    /// It needs the other one.
    fn needing(mut self, other: &str) -> Self {
        let mut spec = self.entry.spec.as_ref().clone();
        spec.dependencies.push(Dependency {
            unit: UnitName::new(other).expect("a legal name"),
            gate: Some(Gate::Ready),
            required: true,
            restart: false,
            origin: Origin::default(),
        });
        self.entry.spec = Arc::new(spec);
        self
    }

    fn listing(&self) -> Listing {
        let endpoint = Endpoint {
            published: self.published,
            ..Endpoint::new(None, 8080)
        };
        Listing {
            entry: Arc::new(Entry {
                key: key(&self.entry.id),
                incarnation: Incarnation(1),
                place: self.place.clone(),
                ip: self.ip,
                endpoints: vec![endpoint],
                readiness: Readiness::Ready,
            }),
            is_published: self.is_published,
        }
    }
}

/// What one sees of the other; `None`: what this machine sees.
fn seen(asker: Option<&Unit>, other: &Unit) -> NetUnit {
    let sight = Sight {
        asker: asker.map(|asker| &asker.entry),
        from: asker.map_or_else(Place::local, |asker| asker.place.clone()),
        other: &other.entry,
        place: Some(other.place.clone()),
        listing: Some(other.listing()),
        is_told: true,
        can_carry: false,
        apart: None,
    };
    sight.look(&Registry::new())
}

fn reason(seen: &NetUnit) -> &str {
    seen.reason.as_ref().map_or("none", |reason| &reason.code)
}

#[test]
fn a_process_reaches_a_process_at_its_own_loopback_address() {
    let (api, db) = (
        process("api", "127.0.0.1").needing("db"),
        process("db", "127.77.0.3"),
    );
    let told = seen(Some(&api), &db);
    assert_eq!(told.address, Some(at("127.77.0.3:8080")));
    assert_eq!(
        (reason(&told), told.listens),
        ("loopback", Some(ip("127.77.0.3")))
    );
    assert!(told.needed && told.published && told.names.is_empty());
    assert_eq!(told.variables["DB_ADDR"], "127.77.0.3:8080");
    assert_eq!(told.endpoints[0].forwarder, None);
}

#[test]
fn a_process_and_this_machine_reach_a_container_at_its_published_port_or_itself() {
    let api = process("api", "127.0.0.1");
    let db = container("db", "172.18.0.2");
    let told = seen(Some(&api), &db);
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("172.18.0.2:8080")), "container-address")
    );
    let db = db.published_at("127.0.0.1:40001");
    for asker in [Some(&api), None] {
        let told = seen(asker, &db);
        assert_eq!(
            (told.address, reason(&told)),
            (Some(at("127.0.0.1:40001")), "published")
        );
        assert_eq!(told.endpoints[0].published, Some(at("127.0.0.1:40001")));
        assert_eq!((told.endpoints[0].port, told.listens), (8080, None));
    }
}

#[test]
fn a_container_reaches_another_on_their_network_whatever_is_published() {
    let worker = container("worker", "172.18.0.3");
    let db = container("db", "172.18.0.2").published_at("127.0.0.1:40001");
    let told = seen(Some(&worker), &db);
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("172.18.0.2:8080")), "shared-network")
    );
    let names: Vec<_> = told
        .names
        .iter()
        .map(|name| (name.name.as_str(), name.by))
        .collect();
    let alias = NetNameBy::NetworkAlias;
    assert_eq!(names, [("db", alias), ("also", alias)]);
    assert!(!told.needed && told.endpoints[0].forwarder.is_none());
}

#[test]
fn a_container_reaches_a_process_by_its_gateway_and_a_forwarder_only_where_it_must() {
    let worker = container("worker", "172.18.0.3").needing("api");
    let told = seen(Some(&worker), &process("api", "127.0.0.1"));
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("172.18.0.1:8080")), "gateway")
    );
    let name = NetName {
        name: "api".into(),
        by: NetNameBy::HostsFile,
        ip: Some(ip("172.18.0.1")),
    };
    assert_eq!(told.names, [name]);
    let forwarder = told.endpoints[0]
        .forwarder
        .expect("it may listen on loopback only");
    assert_eq!(
        (forwarder.listen, forwarder.to),
        (at("172.18.0.1:8080"), at("127.0.0.1:8080"))
    );
    let carriage = |listeners: &[&str]| {
        let mut view = NetView {
            schema_version: SCHEMA_VERSION,
            stack: StackName::new("web").expect("a legal name"),
            asker: None,
            from: net_place(&Place::local()),
            items: vec![told.clone()],
        };
        let listeners: Vec<_> = listeners.iter().map(|text| at(text)).collect();
        see_forwarders(&mut view, &listeners);
        view.items[0].endpoints[0]
            .forwarder
            .and_then(|one| one.carriage)
    };
    let loopback = "127.0.0.1:8080";
    assert_eq!(carriage(&[loopback]), Some(Carriage::Planned));
    assert_eq!(
        carriage(&[loopback, "172.18.0.1:8080"]),
        Some(Carriage::Forwarder)
    );
    assert_eq!(carriage(&["0.0.0.0:8080"]), Some(Carriage::Direct));
    assert_eq!(carriage(&["[::]:8080", loopback]), Some(Carriage::Direct));
    // What listens on one outward address needs nobody to carry.
    let told = seen(Some(&worker), &process("api", "10.0.0.5"));
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("10.0.0.5:8080")), "own-address")
    );
    assert_eq!(told.endpoints[0].forwarder, None);
}

#[test]
fn a_name_that_nothing_resolves_is_not_promised() {
    let stranger = container("worker", "172.18.0.3");
    let told = seen(Some(&stranger), &process("api", "127.0.0.1"));
    assert!(
        told.names.is_empty(),
        "only what it needs is in its hosts file"
    );
}

#[test]
fn a_container_on_the_machines_network_is_a_program_of_the_machine() {
    let proxy = unit("proxy", docker(Some("host")), Place::local(), "127.0.0.1").needing("db");
    let db = container("db", "172.18.0.2").published_at("127.0.0.1:40001");
    let told = seen(Some(&proxy), &db);
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("127.0.0.1:40001")), "published")
    );
    let name = &told.names[0];
    assert_eq!(
        (name.by, name.ip),
        (NetNameBy::HostsFile, Some(ip("127.0.0.1")))
    );
    assert_eq!(told.endpoints[0].forwarder, None);
    let told = seen(Some(&db), &proxy);
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("172.18.0.1:8080")), "gateway")
    );
    assert!(told.endpoints[0].forwarder.is_some());
}

#[test]
fn an_attached_container_is_reached_like_one_of_ours_and_named_by_the_hosts_file() {
    let attached = TargetSpec::DockerAttach {
        container: "pg".into(),
        host: None,
    };
    let place = on("web_default", Some("172.18.0.9"));
    let db = unit("db", attached, place, "0.0.0.0");
    let told = seen(None, &db);
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("172.18.0.9:8080")), "container-address")
    );
    // Nobody gave it our name on the network.
    let told = seen(Some(&container("worker", "172.18.0.3").needing("db")), &db);
    assert_eq!(
        (told.address, reason(&told)),
        (Some(at("172.18.0.9:8080")), "shared-network")
    );
    assert_eq!(
        (told.names[0].by, told.names[0].ip),
        (NetNameBy::HostsFile, Some(ip("172.18.0.9")))
    );
    // It is not ours: nothing is written into it.
    let told = seen(Some(&db.needing("api")), &process("api", "127.0.0.1"));
    assert!(told.names.is_empty());
}

#[test]
fn what_cannot_be_reached_is_refused_with_what_to_do() {
    let refused = |asker: &Unit, other: &Unit| {
        let told = seen(Some(asker), other);
        assert_eq!((told.address, told.ip), (None, None));
        assert!(told.variables.is_empty() && told.names.is_empty());
        let refusal = told.refusal.expect("there is no way");
        (refusal.code, refusal.hint)
    };
    let worker = container("worker", "172.18.0.3");
    let mut elsewhere = container("db", "172.19.0.2");
    elsewhere.place = on("other", Some("172.19.0.2"));
    assert_eq!(refused(&worker, &elsewhere).0, "unpublished");
    let elsewhere = elsewhere.published_at("127.0.0.1:40001");
    let (code, hint) = refused(&worker, &elsewhere);
    assert_eq!(code, "only-loopback");
    assert!(hint.contains("0.0.0.0:"), "{hint}");
    let mut down = container("db", "172.18.0.2");
    down.place = on("web_default", None);
    down.is_published = false;
    let (code, hint) = refused(&process("api", "127.0.0.1"), &down);
    assert_eq!(code, "unpublished");
    assert!(hint.starts_with("start `db`"), "{hint}");
    let nowhere = Place::Container {
        host: HostId::local(),
        networks: BTreeMap::new(),
    };
    let api = process("api", "127.0.0.1");
    let young = unit("worker", docker(None), nowhere.clone(), "0.0.0.0");
    let (code, hint) = refused(&young, &api);
    assert_eq!(code, "unconnected");
    assert!(hint.starts_with("start `worker`"), "{hint}");
    let alone = unit("worker", docker(Some("none")), nowhere, "0.0.0.0");
    assert!(refused(&alone, &api).1.contains("network: none"));
}

#[test]
fn between_containers_that_do_not_run_yet_it_is_told_how_they_will_reach_each_other() {
    let to_be = |name: &str| {
        let place = Place::Container {
            host: HostId::local(),
            networks: [("web_default".to_owned(), Attachment::default())].into(),
        };
        let mut unit = unit(name, docker(None), place, "0.0.0.0");
        unit.is_published = false;
        unit
    };
    let told = |asker: &Unit, other: &Unit| {
        let seen = seen(Some(asker), other);
        let refusal = seen.refusal.expect("no address is known");
        assert_eq!(refusal.code, "not-started");
        assert_eq!(seen.endpoints[0].refusal.as_ref(), Some(&refusal));
        let names: Vec<String> = seen.names.into_iter().map(|one| one.name).collect();
        (refusal.text, refusal.hint, names.join(" "))
    };
    // Published on loopback or not: they are on one network.
    let db = to_be("db").published_at("127.0.0.1:40001");
    let (text, hint, names) = told(&to_be("worker"), &db);
    assert!(
        text.contains("web_default") && text.contains("by the name `db`, port 8080"),
        "{text}"
    );
    assert!(
        hint.starts_with("start `db`") && names == "db also",
        "{hint}, {names}"
    );
    let api = process("api", "127.0.0.1");
    let (text, hint, names) = told(&to_be("worker").needing("api"), &api);
    assert!(
        text.contains("gateway of the network web_default, port 8080"),
        "{text}"
    );
    assert!(
        hint.starts_with("start `worker`") && names == "api",
        "{hint}, {names}"
    );
    // This machine has no network with it.
    let seen = seen(None, &to_be("db"));
    assert_eq!(seen.refusal.expect("no way yet").code, "unpublished");
}
