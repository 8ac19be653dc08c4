//! Containers that somebody else pauses and removes.

use service_orchestration::report::{Health, UnitStatus};

use super::*;
use container_engine::ContainerId;

/// A container that does nothing for long.
fn idler(unit: &str) -> ServiceSpec {
    let target = ContainerTarget {
        image: Some("harness-test/busybox".into()),
        command: Some(words(&["sleep", "1000"])),
        init: true,
        ..ContainerTarget::default()
    };
    container(unit, UnitKind::Service, target)
}

/// Redis, asked from outside. An engine of Docker 20.10 hangs over a container that is paused in the instant in which a
/// command is begun inside.
fn asked() -> ServiceSpec {
    let mut spec = redis();
    let readiness = spec.readiness.as_mut().expect("it has one");
    readiness.action = ProbeAction::Tcp {
        host: None,
        port: "6379".into(),
    };
    spec
}

async fn comes_to(
    yard: &Yard,
    manager: &ServiceManager,
    unit: &str,
    what: &str,
    is: impl Fn(&UnitStatus) -> bool,
) -> UnitStatus {
    eventually_async(SOON, what, async || is(&yard.item(manager, unit).await)).await;
    yard.item(manager, unit).await
}

fn id(unit: &UnitStatus) -> ContainerId {
    ContainerId::new(unit.container_id.as_deref().expect("it runs"))
}

#[test]
fn one_that_is_paused_is_not_ready_until_it_goes_on_and_can_be_stopped() {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        yard.up(&manager, vec![asked(), idler("plain")]).await;
        yard.reach(&manager, &[], Goal::Ready).await;
        for unit in ["db", "plain"] {
            let before = yard.item(&manager, unit).await;
            yard.engine.pause(&id(&before)).await.expect("it runs");
            let paused = comes_to(&yard, &manager, unit, "paused", |unit| !unit.ready).await;
            assert_eq!(paused.reason.as_deref(), Some("paused"));
            assert_eq!(paused.health, Health::Unhealthy);
            assert_eq!(paused.container_id, before.container_id);
            yard.engine
                .unpause(&id(&before))
                .await
                .expect("it is paused");
            let back = comes_to(&yard, &manager, unit, "back", |unit| unit.ready).await;
            assert_eq!((back.reason, back.restarts), (None, 0));
            assert_eq!(back.container_id, before.container_id);
        }
        // A new manager finds one paused, and one that went on while nobody looked.
        for unit in ["db", "plain"] {
            let item = yard.item(&manager, unit).await;
            yard.engine.pause(&id(&item)).await.expect("it runs");
            comes_to(&yard, &manager, unit, "paused", |unit| !unit.ready).await;
        }
        manager.shutdown(true).await;
        let manager = yard.manager().await;
        let plain = comes_to(&yard, &manager, "plain", "paused", |unit| {
            unit.reason.as_deref() == Some("paused") && !unit.ready
        })
        .await;
        manager.shutdown(true).await;
        yard.engine
            .unpause(&id(&plain))
            .await
            .expect("it is paused");
        let manager = yard.manager().await;
        comes_to(&yard, &manager, "plain", "ready", |unit| unit.ready).await;
        comes_to(&yard, &manager, "db", "paused", |unit| !unit.ready).await;
        yard.order(&manager, &[], STOP).await;
        yard.reach(&manager, &[], Goal::Stopped).await;
        let forgotten = manager.forget(&yard.stack, Volumes::Remove).await;
        forgotten.expect("all of it is down");
        manager.shutdown(false).await;
    });
}

#[test]
fn one_that_is_removed_says_who_did_it_in_its_state_and_in_why() {
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        let mut units = Vec::new();
        for number in 0..4 {
            let mut unit = idler(&format!("idler{number}"));
            unit.restart.when = RestartWhen::Never;
            units.push(unit);
        }
        yard.up(&manager, units).await;
        yard.reach(&manager, &[], Goal::Ready).await;
        for number in 0..4 {
            let unit = format!("idler{number}");
            let before = yard.item(&manager, &unit).await;
            let removed = yard.engine.remove(&id(&before), true, true).await;
            removed.expect("force is enough");
            let gone = comes_to(&yard, &manager, &unit, "failed", |unit| {
                unit.state == "failed"
            })
            .await;
            let said = gone.reason.expect("a reason");
            assert!(said.contains("removed by somebody else"), "{said}");
            let why = manager.why(&yard.stack, &name(&unit)).await;
            let why = why.expect("a known unit").reasons[0].reason.clone();
            assert!(why.contains("removed by somebody else"), "{why}");
        }
        manager.shutdown(false).await;
    });
}
