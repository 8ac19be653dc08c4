//! Programs that somebody else started: observed, never signalled.

use std::process::{Child, Command, Stdio};

use service_orchestration::model::Goal;
use service_orchestration::spec::{RestartWhen, ServiceSpec, TargetSpec, UnitKind};
use service_orchestration::supervisor::Order;
use testkit::run_everywhere;

use crate::place::*;

struct Stranger(Child);

impl Stranger {
    fn start() -> Self {
        let mut command = Command::new(testkit::fixture_path());
        let child = command.arg("hold").stdout(Stdio::null()).spawn();
        Self(child.expect("the fixture starts"))
    }

    fn observed(&self) -> ServiceSpec {
        let target = TargetSpec::ProcessAttach {
            pid: Some(self.0.id()),
            process_name: None,
        };
        let mut spec = ServiceSpec::new(name("stranger"), UnitKind::Service, target);
        spec.restart.when = RestartWhen::Never;
        spec
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn stopping_what_is_only_observed_lets_go_of_it() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let stranger = Stranger::start();
        up(&manager, [stranger.observed()]).await;
        reach(&manager, &[], Goal::Ready).await;
        assert_eq!(pid(&manager, "stranger").await, stranger.0.id());
        let stop = Order::Stop {
            with_dependents: false,
            force: false,
            grace: None,
        };
        manager
            .order(&stack_name(), &[], stop)
            .await
            .expect("nobody needs it");
        reach(&manager, &[], Goal::Stopped).await;
        assert!(testkit::alive(stranger.0.id()));
        down(manager).await;
        assert!(testkit::alive(stranger.0.id()));
    });
}

#[test]
fn the_end_of_what_is_observed_is_seen() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let mut stranger = Stranger::start();
        up(&manager, [stranger.observed()]).await;
        reach(&manager, &[], Goal::Ready).await;
        stranger.0.kill().expect("it is our child");
        stranger.0.wait().expect("it is our child");
        let ended = until(&manager, "stranger", "its end is seen", |item| {
            item.pid.is_none()
        })
        .await;
        assert_eq!(ended.state, "failed");
        down(manager).await;
    });
}

#[test]
fn what_is_not_there_cannot_be_observed() {
    run_everywhere(|| async {
        let place = Place::new();
        let manager = place.manager().await;
        let mut stranger = Stranger::start();
        let mut spec = stranger.observed();
        stranger.0.kill().expect("it is our child");
        stranger.0.wait().expect("it is our child");
        spec.restart.when = RestartWhen::Never;
        up(&manager, [spec]).await;
        let status = until(&manager, "stranger", "the refusal", |item| {
            item.state == "failed"
        })
        .await;
        assert!(status.reason.is_some());
        down(manager).await;
    });
}
