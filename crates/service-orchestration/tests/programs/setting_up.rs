//! A service is prepared once it runs, and ready once that is validated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_channel::Receiver;
use async_trait::async_trait;
use service_orchestration::model::Goal;
use service_orchestration::report::{EventKind, Phase};
use service_orchestration::setup::{ServiceSetup, SetupError, SetupHook};
use service_orchestration::spec::RestartWhen;
use service_orchestration::supervisor::Waited;
use testkit::run_everywhere;

use crate::place::*;

/// Done once the test lets it; fails when told to.
struct Preparation {
    go: Receiver<()>,
    is_done: Arc<AtomicBool>,
    performed: Arc<AtomicU32>,
    is_valid: bool,
}

#[async_trait]
impl ServiceSetup for Preparation {
    async fn is_setup_complete(&self) -> Result<bool, SetupError> {
        Ok(self.is_done.load(Ordering::SeqCst))
    }

    async fn perform_setup(&self) -> Result<(), SetupError> {
        self.go
            .recv()
            .await
            .map_err(|closed| SetupError::caused("nobody lets it go on", closed))?;
        self.performed.fetch_add(1, Ordering::SeqCst);
        self.is_done.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn validate_setup(&self) -> Result<(), SetupError> {
        if self.is_valid {
            Ok(())
        } else {
            Err(SetupError::new("the schema is not there"))
        }
    }
}

#[test]
fn a_setup_runs_once_and_opens_the_gate() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let (let_go, go) = async_channel::bounded(1);
        let (is_done, performed) = <(Arc<AtomicBool>, Arc<AtomicU32>)>::default();
        let mut db = service("db", &["hold"]);
        db.setup = Some(SetupHook::new(Preparation {
            go,
            is_done,
            performed: performed.clone(),
            is_valid: true,
        }));
        let events = manager.subscribe(None, 64).await;
        up(
            &manager,
            [db, needs(service("api", &["hold"]), "db", false)],
        )
        .await;
        event(&events, EventKind::ServiceSetupRequired).await;
        event(&events, EventKind::ServiceSettingUp).await;
        let status = item(&manager, "db").await;
        assert_eq!(
            (status.state.as_str(), status.phase, status.ready),
            ("setting-up", Phase::SettingUp, false)
        );
        assert!(
            status.pid.is_some_and(testkit::alive),
            "setup acts on a running service"
        );
        let_go.send(()).await.expect("the setup waits");
        event(&events, EventKind::ServiceSetupComplete).await;
        reach(&manager, &[], Goal::Ready).await;
        assert_eq!(item(&manager, "db").await.phase, Phase::SetupComplete);

        // A new process finds everything prepared.
        kill(pid(&manager, "db").await, rustix::process::Signal::KILL);
        until(&manager, "db", "the restart", |item| {
            item.restarts == 1 && item.state == "ready"
        })
        .await;
        assert_eq!(performed.load(Ordering::SeqCst), 1);
        down(manager).await;
    });
}

#[test]
fn a_setup_that_cannot_be_validated_fails_the_service() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let (let_go, go) = async_channel::bounded(1);
        let_go.send(()).await.expect("there is room");
        let mut db = service("db", &["hold"]);
        db.restart.when = RestartWhen::Never;
        db.setup = Some(SetupHook::new(Preparation {
            go,
            is_done: Arc::default(),
            performed: Arc::default(),
            is_valid: false,
        }));
        up(&manager, [db]).await;
        let Waited::Never(blocked) = wait(&manager, &["db"], Goal::Ready).await else {
            panic!("it cannot become ready")
        };
        assert!(
            blocked[0].reason.contains("the schema is not there"),
            "{blocked:?}"
        );
        let failed = until(&manager, "db", "it is stopped", |item| item.pid.is_none()).await;
        assert_eq!(failed.state, "failed");
        let reason = failed.reason.unwrap_or_default();
        assert!(reason.contains("the schema is not there"), "{reason}");
        down(manager).await;
    });
}
