//! Stopped means gone.

use std::time::{Duration, Instant};

use service_orchestration::model::Goal;
use service_orchestration::supervisor::Order;
use testkit::run_everywhere;

use crate::place::*;

const STOP: Order = Order::Stop {
    with_dependents: false,
    force: false,
    grace: None,
};

#[test]
fn what_ignores_term_and_forks_out_of_its_session_is_gone_and_named() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let mut stubborn = shell(
            "stubborn",
            "trap '' TERM INT HUP; exec \"$0\" daemonize --stay",
        );
        let grace = Duration::from_millis(400);
        stubborn.stop.grace = grace;
        up(&manager, [stubborn]).await;
        let orphan = told(&manager, "stubborn", "orphan").await;
        let main = pid(&manager, "stubborn").await;
        let asked = Instant::now();
        manager
            .order(&stack_name(), &[], STOP)
            .await
            .expect("nobody needs it");
        reach(&manager, &[], Goal::Stopped).await;
        assert!(
            asked.elapsed() < grace + Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        assert!(!testkit::alive(orphan) && !testkit::alive(main));
        let status = item(&manager, "stubborn").await;
        let stop = status.stop.expect("it was stopped");
        assert_eq!(stop.escalation, "killed");
        assert!(stop.leftover_count >= 1, "{stop:?}");
        assert_eq!(
            (status.state.as_str(), status.signal, status.pid),
            ("idle", Some(9), None)
        );
        down(manager).await;
    });
}

#[test]
fn dependents_are_gone_before_what_they_need_is_asked() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let db = service("db", &["signals"]);
        let mut api = needs(service("api", &["ignore-term"]), "db", false);
        api.stop.grace = Duration::from_millis(200);
        up(&manager, [db, api]).await;
        told(&manager, "api", "pid").await;
        told(&manager, "db", "ready").await;
        manager
            .order(&stack_name(), &[], STOP)
            .await
            .expect("known units");
        reach(&manager, &[], Goal::Stopped).await;
        let (db, api) = (item(&manager, "db").await, item(&manager, "api").await);
        assert!(api.stopped_at < db.stopped_at, "{api:?} {db:?}");
        assert_eq!((db.exit_code, api.signal), (Some(0), Some(9)));
        down(manager).await;
    });
}

#[test]
fn a_manager_that_ends_leaves_no_process_behind() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        up(
            &manager,
            (0..8).map(|n| service(&format!("s{n}"), &["tree"])),
        )
        .await;
        reach(&manager, &[], Goal::Ready).await;
        let mut all = vec![];
        for n in 0..8 {
            for what in ["main", "child", "grandchild"] {
                all.push(told(&manager, &format!("s{n}"), what).await);
            }
        }
        down(manager).await;
        all.retain(|pid| testkit::alive(*pid));
        assert_eq!(all, [0; 0]);
        let left = std::fs::read_dir(place.file("state/run")).expect("a directory");
        assert_eq!(
            left.count(),
            0,
            "run directories of what has ended are removed"
        );
    });
}
