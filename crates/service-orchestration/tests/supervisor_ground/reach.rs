//! Attempts whose engine is out of reach, or whose container is paused.

use super::*;

#[test]
fn one_that_is_out_of_reach_stays_what_it_is_and_says_why_nobody_knows() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        begin(&manager, with_containers("db", &["db"])).await;
        comes_to(&manager, "db", "ready").await;
        let before = status(&manager, "db").await;
        let tell = |event| yard.tell("db", event);
        tell(AttemptEvent::Unreachable("the engine is away".into()));
        eventually_async(PATIENCE, "its reason", async || {
            status(&manager, "db").await.reason.is_some()
        })
        .await;
        let away = status(&manager, "db").await;
        assert_eq!(
            (away.state.as_str(), away.instance_id),
            ("ready", before.instance_id)
        );
        assert_eq!(away.reason.as_deref(), Some("the engine is away"));
        tell(AttemptEvent::Reached);
        eventually_async(PATIENCE, "no reason any more", async || {
            status(&manager, "db").await.reason.is_none()
        })
        .await;
        let back = status(&manager, "db").await;
        assert_eq!(back.state, "ready");
        assert_eq!(yard.stage.acts(), ["launch db"]);
    });
}

#[test]
fn without_an_engine_a_start_waits_says_why_and_goes_on_once_there_is_one() {
    smol::block_on(async {
        let (yard, world) = set_up();
        yard.state().unanswered = u32::MAX;
        let manager = yard.manager(&world).await;
        let mut spec = with_containers("db", &["db"]);
        let db = spec.units.get_mut(&unit("db")).expect("defined");
        db.startup_timeout = Some(Duration::from_millis(300));
        db.readiness = Some(Probe::new(ProbeAction::Notify));
        begin(&manager, spec).await;
        eventually(PATIENCE, "it is tried again", || yard.state().begun > 3).await;
        let waiting = status(&manager, "db").await;
        assert_eq!((waiting.state.as_str(), waiting.restarts), ("starting", 0));
        let reason = waiting.reason.expect("a reason");
        assert!(reason.contains("no engine at /run/docker.sock"), "{reason}");
        let why = manager.why(&stack_name(), &unit("db")).await;
        let why = why.expect("a known unit").reasons[0].reason.clone();
        assert!(why.contains("no engine at /run/docker.sock"), "{why}");
        let first = waiting.instance_id;
        yard.state().unanswered = 0;
        comes_to(&manager, "db", "settling").await;
        yard.tell("db", ready());
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        let up = status(&manager, "db").await;
        assert_eq!((up.reason, up.restarts), (None, 0));
        assert_eq!(up.instance_id, first, "it was one attempt all the time");
    });
}

#[test]
fn a_stop_ends_the_waiting_for_an_engine_at_once() {
    smol::block_on(async {
        let (yard, world) = set_up();
        yard.state().unanswered = u32::MAX;
        let manager = yard.manager(&world).await;
        begin(&manager, with_containers("db", &["db"])).await;
        eventually(PATIENCE, "it is tried again", || yard.state().begun > 1).await;
        let stopping = manager.order(&stack_name(), &[], STOP).await;
        stopping.expect("known units");
        assert_eq!(wait(&manager, &[], Goal::Stopped).await, Waited::Reached);
        let after = status(&manager, "db").await;
        assert_eq!((after.state.as_str(), after.reason), ("idle", None));
    });
}

#[test]
fn one_that_is_paused_is_not_ready_and_comes_back_as_it_was() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        let mut spec = with_containers("plain; probed", &["plain", "probed"]);
        let probed = spec.units.get_mut(&unit("probed")).expect("defined");
        probed.readiness = Some(Probe::new(ProbeAction::Notify));
        probed.on_unhealthy = OnUnhealthy::Restart;
        begin(&manager, spec).await;
        comes_to(&manager, "probed", "settling").await;
        yard.tell("probed", ready());
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        for name in ["plain", "probed"] {
            yard.tell(name, AttemptEvent::Paused);
            eventually_async(PATIENCE, "it is not ready", async || {
                !status(&manager, name).await.ready
            })
            .await;
            let paused = status(&manager, name).await;
            assert_eq!(paused.health, Health::Unhealthy);
            assert_eq!(paused.health_reason.as_deref(), Some("paused"));
            assert_eq!(paused.reason.as_deref(), Some("paused"));
            let why = manager.why(&stack_name(), &unit(name)).await;
            let why = why.expect("a known unit").reasons[0].clone();
            assert!(why.reason.contains("paused by somebody else"), "{why:?}");
            assert_eq!(
                (paused.state.as_str(), why.state.as_str()),
                ("paused", "paused")
            );
            yard.tell(name, AttemptEvent::Resumed);
            eventually_async(PATIENCE, "it is ready again", async || {
                status(&manager, name).await.ready
            })
            .await;
            let back = status(&manager, name).await;
            assert_eq!(back.state, "ready");
            assert_eq!((back.reason, back.health_reason), (None, None));
            assert_eq!(back.restarts, 0);
        }
        assert_eq!(status(&manager, "probed").await.health, Health::Healthy);
    });
}

#[test]
fn one_that_was_ready_by_a_notice_is_healthy_again_once_it_is_in_reach() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        let mut spec = with_containers("db", &["db"]);
        let db = spec.units.get_mut(&unit("db")).expect("defined");
        db.readiness = Some(Probe::new(ProbeAction::Notify));
        begin(&manager, spec).await;
        comes_to(&manager, "db", "settling").await;
        yard.tell("db", ready());
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        yard.tell("db", AttemptEvent::Unreachable("the engine is away".into()));
        eventually_async(PATIENCE, "nobody knows", async || {
            status(&manager, "db").await.health == Health::Unknown
        })
        .await;
        yard.tell("db", AttemptEvent::Reached);
        eventually_async(PATIENCE, "it is known to be well", async || {
            status(&manager, "db").await.health == Health::Healthy
        })
        .await;
    });
}
