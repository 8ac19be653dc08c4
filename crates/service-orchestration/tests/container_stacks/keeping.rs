//! Containers that are kept: what they wrote is there again, and goes with what it was kept for.

use std::net::TcpListener;

use container_engine::ContainerId;
use service_orchestration::logs::{LogQuery, LogStore};

use super::*;

/// Counts its runs in its own layer and in a volume without a name, and tells both.
fn counter(unit: &str, env: &str) -> ServiceSpec {
    let count = "count() { n=$(($(cat $1 2>/dev/null || echo 0) + 1)); echo $n > $1; echo $n; }";
    let script =
        format!("{count}; echo layer $(count /layer) volume $(count /data/runs); exec sleep 1000");
    let target = ContainerTarget {
        image: Some("harness-test/busybox".into()),
        command: Some(words(&["/bin/sh", "-c", &script])),
        mounts: vec![Mount::parse("/data").expect("a volume without a name")],
        init: true,
        ..ContainerTarget::default()
    };
    let mut spec = container(unit, UnitKind::Service, target);
    spec.env.insert("KIND".into(), env.into());
    spec.stop.grace = Duration::from_millis(200);
    spec.restart = Restart {
        when: RestartWhen::Always,
        ..Restart::default()
    };
    spec
}

async fn said(yard: &Yard, unit: &str) -> Vec<String> {
    let unit = UnitId::single(yard.stack.clone(), name(unit));
    let logs = LogStore::new(yard.home.path().join("log"));
    let lines = logs.open(&unit).read(LogQuery::default()).await;
    let lines = lines.expect("readable").into_iter();
    lines
        .map(|line| String::from_utf8(line.bytes).expect("text"))
        .collect()
}

async fn until_said(yard: &Yard, unit: &str, expected: &[&str]) {
    eventually_async(SOON, "its runs are told", async || {
        said(yard, unit).await.len() >= expected.len()
    })
    .await;
    assert_eq!(said(yard, unit).await, expected);
}

#[test]
fn what_it_wrote_is_there_after_a_restart_a_crash_and_a_stop_and_its_volume_after_another_definition()
 {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        yard.up(&manager, vec![counter("db", "a")]).await;
        until_said(&yard, "db", &["layer 1 volume 1"]).await;
        let first = yard.item(&manager, "db").await.container_id;
        let first = ContainerId::new(first.expect("it runs"));
        let mut lines = vec!["layer 1 volume 1", "layer 2 volume 2"];
        yard.order(&manager, &["db"], Order::Restart { grace: None })
            .await;
        until_said(&yard, "db", &lines).await;
        yard.engine.kill(&first, "KILL").await.expect("it runs");
        lines.push("layer 3 volume 3");
        until_said(&yard, "db", &lines).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        // Another daemon finds it as this one left it.
        manager.shutdown(true).await;
        let manager = yard.manager().await;
        yard.order(&manager, &[], START).await;
        lines.push("layer 4 volume 4");
        until_said(&yard, "db", &lines).await;
        let again = yard.item(&manager, "db").await.container_id;
        assert_eq!(again.as_deref(), Some(first.as_str()));
        // By another definition it is another container, with the same volume.
        yard.up(&manager, vec![counter("db", "b")]).await;
        lines.push("layer 1 volume 5");
        until_said(&yard, "db", &lines).await;
        assert_eq!(yard.left().await, [1, 1, 1]);
        // Removed while it is down: a new one is made, and the volume is still there.
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        let ours = Filters::all().label("org.harness.stack", yard.stack.as_str());
        for kept in yard.engine.list(&ours).await.expect("an answer") {
            let removed = yard.engine.remove(&kept.id, false, true).await;
            removed.expect("it does not run");
        }
        yard.order(&manager, &[], START).await;
        lines.push("layer 1 volume 6");
        until_said(&yard, "db", &lines).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        let forgotten = manager.forget(&yard.stack, Volumes::Keep).await;
        assert_eq!(forgotten.expect("all of it is down"), Vec::<String>::new());
        assert_eq!(yard.left().await, [0, 0, 0]);
        manager.shutdown(false).await;
    });
}

#[test]
fn one_whose_unit_is_gone_goes_with_its_volume_and_one_whose_network_is_gone_is_made_anew() {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        yard.up(&manager, vec![counter("a", "x"), counter("b", "x")])
            .await;
        until_said(&yard, "a", &["layer 1 volume 1"]).await;
        until_said(&yard, "b", &["layer 1 volume 1"]).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        assert_eq!(yard.left().await, [2, 1, 2]);
        let ours = Filters::all().label("org.harness.stack", yard.stack.as_str());
        for network in yard.engine.networks(&ours).await.expect("an answer") {
            let removed = yard.engine.remove_network(&network.id).await;
            removed.expect("nobody is on it");
        }
        yard.up(&manager, vec![counter("a", "x")]).await;
        until_said(&yard, "a", &["layer 1 volume 1", "layer 1 volume 2"]).await;
        eventually_async(SOON, "what was kept for b is gone", async || {
            yard.left().await == [1, 1, 1]
        })
        .await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        // No longer a container, while it is down.
        let process = shell("a", UnitKind::Service, "exec sleep 1000");
        yard.up(&manager, vec![process]).await;
        eventually_async(SOON, "what was kept for a is gone", async || {
            let left = yard.left().await;
            left[0] == 0 && left[2] == 0
        })
        .await;
        manager.shutdown(false).await;
    });
}

#[test]
fn one_that_somebody_starts_or_restarts_is_taken_as_it_runs_and_ended_by_a_stop() {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        let mut db = counter("db", "a");
        db.restart.when = RestartWhen::Never;
        yard.up(&manager, vec![db]).await;
        until_said(&yard, "db", &["layer 1 volume 1"]).await;
        let id = yard.item(&manager, "db").await.container_id;
        let id = ContainerId::new(id.expect("it runs"));
        let is_taken = async |manager: &ServiceManager| {
            eventually_async(SOON, "it is taken", async || {
                let db = yard.item(manager, "db").await;
                let is_told = db.reason.as_deref() == Some("it was started by somebody else");
                db.ready && is_told && db.container_id.as_deref() == Some(id.as_str())
            })
            .await;
        };
        // Ended and started by somebody else, as `docker restart` does.
        let at_once = Some(Duration::ZERO);
        yard.engine.stop(&id, at_once).await.expect("it runs");
        yard.engine.start(&id).await.expect("it is kept");
        // Whoever looks late finds it running, and knows that it is another run.
        is_taken(&manager).await;
        let seen = yard.engine.inspect(&id).await.expect("it is kept");
        assert_eq!(yard.item(&manager, "db").await.pid, seen.state.pid);
        until_said(&yard, "db", &["layer 1 volume 1", "layer 2 volume 2"]).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        yard.engine.start(&id).await.expect("it is kept");
        is_taken(&manager).await;
        let mut lines = vec!["layer 1 volume 1", "layer 2 volume 2", "layer 3 volume 3"];
        until_said(&yard, "db", &lines).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        // Started while there is no daemon.
        manager.shutdown(true).await;
        yard.engine.start(&id).await.expect("it is kept");
        let manager = yard.manager().await;
        is_taken(&manager).await;
        lines.push("layer 4 volume 4");
        until_said(&yard, "db", &lines).await;
        // Restarted while there is none: that run is over, and its lines are here.
        let first = yard.item(&manager, "db").await;
        manager.shutdown(true).await;
        yard.engine.stop(&id, at_once).await.expect("it runs");
        yard.engine.start(&id).await.expect("it is kept");
        let manager = yard.manager().await;
        is_taken(&manager).await;
        let again = yard.item(&manager, "db").await;
        assert_ne!(again.instance_id, first.instance_id, "another attempt");
        assert!(again.started_at > first.started_at);
        lines.push("layer 5 volume 5");
        until_said(&yard, "db", &lines).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        let seen = yard.engine.inspect(&id).await.expect("it is kept");
        assert!(!seen.state.status.is_alive(), "stopped means gone");
        manager.shutdown(false).await;
    });
}

#[test]
fn a_port_that_is_taken_fails_at_once_and_says_by_whom() {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        let ours = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = ours.local_addr().expect("bound").port();
        let with_port = |unit: &str, port: u16| {
            let mut spec = counter(unit, "a");
            spec.ports.push(PortSpec {
                published: Some(Published {
                    address: None,
                    port: PortNumber::Fixed(port),
                }),
                ..PortSpec::new(PortNumber::Fixed(6379))
            });
            spec
        };
        yard.up(&manager, vec![with_port("a", port)]).await;
        let refused = |unit: &'static str| {
            let (yard, manager) = (&yard, &manager);
            async move {
                eventually_async(SOON, "it fails", async || {
                    yard.item(manager, unit).await.state == "failed"
                })
                .await;
                let item = yard.item(manager, unit).await;
                assert_eq!(item.restarts, 0, "no loop");
                item.reason.expect("a reason")
            }
        };
        let reason = refused("a").await;
        let own = format!(
            "port {port} of this machine is taken by process {}",
            std::process::id()
        );
        assert!(reason.contains(&own), "{reason}");
        drop(ours);
        yard.order(&manager, &["a"], START).await;
        yard.reach(&manager, &["a"], Goal::Ready).await;
        yard.up(&manager, vec![with_port("a", port), with_port("b", port)])
            .await;
        let reason = refused("b").await;
        let own = format!("which is `a` of stack `{}` here", yard.stack);
        assert!(reason.contains(&own), "{reason}");
        manager.shutdown(false).await;
    });
}
