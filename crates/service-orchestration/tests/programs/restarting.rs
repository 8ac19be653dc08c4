//! What ends is seen at once and started again, by its policy.

use std::time::Duration;

use rustix::process::Signal;
use service_orchestration::model::Goal;
use service_orchestration::report::EventKind;
use service_orchestration::spec::{Backoff, CrashLoop};
use service_orchestration::supervisor::Waited;
use testkit::{eventually, run_everywhere};

use crate::place::*;

#[test]
fn a_killed_service_is_started_again() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        up(&manager, [service("db", &["hold"])]).await;
        reach(&manager, &["db"], Goal::Ready).await;
        let first = pid(&manager, "db").await;
        let events = manager.subscribe(None, 64).await;
        kill(first, Signal::KILL);
        let restarting = event(&events, EventKind::ServiceRestarting).await;
        assert_eq!(restarting.event_data["signal"], 9);
        assert_eq!(
            restarting.event_data["delay_ms"], 0,
            "the first restart does not wait"
        );
        event(&events, EventKind::ServiceRestarted).await;
        let status = item(&manager, "db").await;
        assert_ne!(status.pid, Some(first));
        assert_eq!((status.restarts, status.signal), (1, Some(9)));
        down(manager).await;
    });
}

#[test]
fn a_crash_loop_is_named_and_an_order_breaks_it() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let mut db = shell("db", "echo cannot open the data; exit 3");
        db.restart.backoff = Backoff {
            initial: Duration::from_millis(5),
            ..Backoff::default()
        };
        db.restart.crash_loop = CrashLoop {
            limit: 3,
            ..CrashLoop::default()
        };
        let events = manager.subscribe(None, 64).await;
        up(
            &manager,
            [db, needs(service("api", &["hold"]), "db", false)],
        )
        .await;
        let named = event(&events, EventKind::ServiceCrashLoop).await;
        assert_eq!(named.event_data["exit_code"], 3);
        let Waited::Never(blocked) = wait(&manager, &["db"], Goal::Ready).await else {
            panic!("it cannot become ready")
        };
        assert_eq!(blocked[0].culprit, "db");
        let status = item(&manager, "db").await;
        assert_eq!((status.exit_code, status.pid), (Some(3), None));
        let why = manager
            .why(&stack_name(), &name("db"))
            .await
            .expect("a known unit");
        assert!(why.reasons[0].reason.contains('3'), "{why:?}");
        // An order clears its counter, and it is tried again.
        manager
            .order(&stack_name(), &[name("db")], START)
            .await
            .expect("a known unit");
        event(&events, EventKind::ServiceStarted).await;
        down(manager).await;
    });
}

#[test]
fn dependents_that_ask_for_it_restart_with_what_they_need() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let loyal = needs(service("loyal", &["hold"]), "db", true);
        let other = needs(service("other", &["hold"]), "db", false);
        up(&manager, [service("db", &["hold"]), loyal, other]).await;
        reach(&manager, &[], Goal::Ready).await;
        let (db, loyal, other) = (
            pid(&manager, "db").await,
            pid(&manager, "loyal").await,
            pid(&manager, "other").await,
        );
        kill(db, Signal::KILL);
        for (unit, before) in [("db", db), ("loyal", loyal)] {
            until(&manager, unit, "a new process", |item| {
                item.state == "ready" && item.pid.is_some_and(|pid| pid != before)
            })
            .await;
        }
        eventually(SOON, "the old one is gone", || !testkit::alive(loyal)).await;
        assert_eq!(pid(&manager, "other").await, other);
        down(manager).await;
    });
}
