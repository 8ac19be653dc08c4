//! A service is ready when it says so, by whichever way it says it.

use service_orchestration::model::Goal;
use service_orchestration::report::{EventKind, Health};
use service_orchestration::spec::{Attribute, Part, ProbeAction, ServiceSpec, Template};
use testkit::run_everywhere;

use crate::place::*;

/// `web`, which answers on a port that was picked for it.
fn web(more: &[&str]) -> ServiceSpec {
    let port = Template::from_parts([of("web", Attribute::Port)]);
    let words = ["serve".into(), port].into_iter();
    let words = words.chain(more.iter().map(|word| Template::from(*word)));
    with_port(program("web", text(testkit::fixture_path()), words))
}

fn http() -> ProbeAction {
    let address = of("web", Attribute::Addr);
    let parts = [
        Part::Literal("http://".into()),
        address,
        Part::Literal("/health".into()),
    ];
    ProbeAction::Http {
        url: Template::from_parts(parts),
        status: vec![],
        headers: Default::default(),
    }
}

#[test]
fn by_an_answer_to_http_and_it_is_lost_and_found_again() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let sick = place.file("sick");
        let mut web = web(&["--after", "50", "--unhealthy-file", text(&sick)]);
        web.readiness = Some(probe(http()));
        up(&manager, [web]).await;
        reach(&manager, &["web"], Goal::Ready).await;
        let status = item(&manager, "web").await;
        assert_eq!(
            (status.state.as_str(), status.health),
            ("ready", Health::Healthy)
        );
        let port = told(&manager, "web", "listening").await;
        assert_eq!(status.address, Some(format!("127.0.0.1:{port}")));

        let events = manager.subscribe(None, 64).await;
        std::fs::write(&sick, "").expect("a writable directory");
        let lost = event(&events, EventKind::ServiceUnhealthy).await;
        assert_eq!(lost.event_data["health_status"], "unhealthy");
        assert!(
            lost.event_data["health_reason"]
                .as_str()
                .expect("a sentence")
                .contains("503"),
            "{lost:?}"
        );
        std::fs::remove_file(&sick).expect("it was just written");
        event(&events, EventKind::ServiceHealthy).await;
        down(manager).await;
    });
}

#[test]
fn by_a_connection_that_is_accepted() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let mut web = web(&["--after", "50"]);
        web.readiness = Some(probe(ProbeAction::Tcp {
            host: None,
            port: Template::from_parts([of("web", Attribute::Port)]),
        }));
        up(&manager, [web]).await;
        reach(&manager, &["web"], Goal::Ready).await;
        down(manager).await;
    });
}

#[test]
fn by_a_command_that_succeeds_and_dependents_wait_for_it() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let flag = place.file("flag");
        let mut db = service("db", &["hold"]);
        let command = ["test", "-e", text(&flag)].map(Template::from).to_vec();
        db.readiness = Some(probe(ProbeAction::Command { command }));
        let api = needs(service("api", &["hold"]), "db", false);
        up(&manager, [db, api]).await;
        reach(&manager, &["db"], Goal::Running).await;
        until(&manager, "db", "db is asked", |db| {
            db.last_checked.is_some()
        })
        .await;
        assert_eq!(item(&manager, "db").await.state, "settling");
        let waiting = item(&manager, "api").await;
        assert_eq!(
            (waiting.pid, waiting.waiting_for[0].unit.as_deref()),
            (None, Some("db"))
        );
        std::fs::write(&flag, "").expect("a writable directory");
        reach(&manager, &[], Goal::Ready).await;
        down(manager).await;
    });
}

#[test]
fn by_a_line_of_its_output() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let mut quiet = service("quiet", &["hold"]);
        quiet.readiness = Some(probe(ProbeAction::Log {
            pattern: "^ready [0-9]+$".into(),
        }));
        let mut talker = service("talker", &["signals"]);
        talker.readiness = quiet.readiness.clone();
        up(&manager, [quiet, talker]).await;
        reach(&manager, &["talker"], Goal::Ready).await;
        told(&manager, "quiet", "pid").await;
        assert_eq!(item(&manager, "quiet").await.state, "settling");
        down(manager).await;
    });
}

#[test]
fn by_the_notify_protocol() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let mut daemon = service(
            "daemon",
            &["notify", "--after", "50", "--status", "all good"],
        );
        daemon.readiness = Some(probe(ProbeAction::Notify));
        up(&manager, [daemon]).await;
        reach(&manager, &["daemon"], Goal::Ready).await;
        down(manager).await;
    });
}
