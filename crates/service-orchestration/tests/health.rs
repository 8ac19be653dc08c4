//! The health checks of embedding programs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use service_orchestration::config::HealthCheck;
use service_orchestration::health::{
    Answer, CustomProbe, HealthChecker, HealthMonitor, HealthStatus, Rule, every,
};
use testkit::{run_everywhere, temp_dir, within};

const PATIENCE: Duration = Duration::from_secs(20);

fn check(script: &str) -> HealthCheck {
    HealthCheck {
        command: "sh".to_string(),
        args: vec!["-c".to_string(), script.to_string()],
        interval: 1,
        retries: 1,
        timeout: 1,
    }
}

#[test]
fn a_check_is_answered_by_the_exit_code() {
    run_everywhere(|| async {
        let checker = HealthChecker::new();
        assert_eq!(checker.check(&check("exit 0")).await, HealthStatus::Healthy);
        let bad = checker.check(&check("echo no table; exit 2")).await;
        assert_eq!(bad, HealthStatus::Unhealthy("exit code 2: no table".into()));
        let slow = checker.check(&check("sleep 1000")).await;
        assert_eq!(slow, HealthStatus::Unhealthy("no answer within 1s".into()));
        let missing = HealthCheck {
            command: "no-such-program-anywhere".into(),
            ..check("")
        };
        assert_eq!(checker.check(&missing).await, HealthStatus::Unknown);
    });
}

#[test]
fn a_monitor_tells_every_change() {
    run_everywhere(|| async {
        let dir = temp_dir();
        let file = dir.path().join("up");
        std::fs::write(&file, "").unwrap();
        let checker = HealthChecker::new();
        let mut monitor =
            HealthMonitor::new(&checker, &check(&format!("test -e {}", file.display())));
        let next = within(PATIENCE, "healthy", monitor.next()).await;
        assert_eq!(next, Some(HealthStatus::Healthy));
        std::fs::remove_file(&file).unwrap();
        let next = within(PATIENCE, "unhealthy", monitor.next()).await;
        assert_eq!(next, Some(HealthStatus::Unhealthy("exit code 1".into())));
        std::fs::write(&file, "").unwrap();
        let next = within(PATIENCE, "healthy again", monitor.next()).await;
        assert_eq!(next, Some(HealthStatus::Healthy));
    });
}

struct Flag(AtomicBool);

#[async_trait]
impl CustomProbe for Flag {
    async fn check(&self) -> Answer {
        match self.0.load(Ordering::SeqCst) {
            true => Answer::Good,
            false => Answer::bad("the flag is down"),
        }
    }
}

#[test]
fn a_probe_of_ones_own_is_checked_and_monitored() {
    run_everywhere(|| async {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let down = HealthStatus::Unhealthy("the flag is down".into());
        let checker = HealthChecker::new();
        assert_eq!(checker.check_custom(flag.clone(), PATIENCE).await, down);
        let rule = Rule {
            retries: 2,
            ..every(Duration::from_millis(10), PATIENCE)
        };
        let mut monitor = HealthMonitor::custom(&checker, flag.clone(), rule);
        assert_eq!(within(PATIENCE, "down", monitor.next()).await, Some(down));
        flag.0.store(true, Ordering::SeqCst);
        let up = within(PATIENCE, "up", monitor.next()).await;
        assert_eq!(up, Some(HealthStatus::Healthy));
    });
}

#[test]
fn a_monitor_can_be_handed_to_another_thread() {
    let checker = HealthChecker::new();
    let mut monitor = HealthMonitor::new(&checker, &check("true"));
    let thread = std::thread::spawn(move || futures::executor::block_on(monitor.next()));
    assert_eq!(
        thread.join().expect("the thread"),
        Some(HealthStatus::Healthy)
    );
}
