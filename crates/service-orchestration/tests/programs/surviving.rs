//! The manager's program is killed, and the next one takes over.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use service_orchestration::ManagerError;
use service_orchestration::logs::LogStream;
use service_orchestration::model::Goal;
use service_orchestration::report::EventKind;
use service_orchestration::spec::{RestartWhen, ServiceSpec};
use service_orchestration::store::StoreError;
use testkit::lines::check_lines;
use testkit::{eventually, run_everywhere};

use crate::place::*;

const LINES: u64 = 1500;

fn units() -> Vec<ServiceSpec> {
    let once = |mut spec: ServiceSpec| {
        spec.restart.when = RestartWhen::Never;
        spec
    };
    vec![
        once(service(
            "writer",
            &["lines", "1500", "--rate", "1000", "--both"],
        )),
        once(service("polite", &["signals"])),
        once(service("victim", &["hold"])),
        needs(service("steady", &["hold"]), "polite", false),
    ]
}

/// The program that is killed: this very test, run again. Without being told where, it does nothing.
#[test]
fn host() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    smol::block_on(async {
        let manager = builder(state.into())
            .start()
            .await
            .expect("the state is free");
        if manager.stacks().await.is_empty() {
            up(&manager, units()).await;
        }
        reach(&manager, &[], Goal::Launched).await;
        told(&manager, "polite", "ready").await;
        let mut report = String::new();
        for unit in ["writer", "polite", "victim", "steady"] {
            report += &format!("{unit} {}\n", pid(&manager, unit).await);
        }
        let path = PathBuf::from(std::env::var_os(REPORT).expect("both are told"));
        std::fs::write(path.with_extension("new"), report).expect("a writable directory");
        std::fs::rename(path.with_extension("new"), path).expect("a writable directory");
        std::future::pending::<()>().await;
    });
}

#[test]
fn a_killed_manager_is_replaced_and_nothing_was_lost() {
    run_everywhere(|| async {
        let place = Place::new();
        let mut pids = vec![];
        for round in 0..2 {
            let report = place.file(&format!("report-{round}"));
            let mut host = Host::start(&place.file("state"), &report);
            let said = host.report(&report).await;
            assert!(
                pids.is_empty() || pids == said,
                "adopted under the same PIDs"
            );
            pids = said;
            host.0.kill().expect("it is our child");
            host.0.wait().expect("it is our child");
        }
        let pid_of = |unit: &str| {
            pids.iter()
                .find(|(name, _)| name == unit)
                .expect("reported")
                .1
        };
        // While nobody watches, one ends by itself and one is killed.
        kill(pid_of("polite"), Signal::TERM);
        kill(pid_of("victim"), Signal::KILL);
        for unit in ["polite", "victim"] {
            eventually(SOON, "it ends", || !testkit::alive(pid_of(unit))).await;
        }

        let manager = place.manager().await;
        let steady = item(&manager, "steady").await;
        assert_eq!(
            (steady.state.as_str(), steady.pid),
            ("ready", Some(pid_of("steady")))
        );
        let polite = item(&manager, "polite").await;
        assert_eq!(
            (polite.state.as_str(), polite.exit_code, polite.pid),
            ("done", Some(0), None)
        );
        let victim = item(&manager, "victim").await;
        assert_eq!((victim.state.as_str(), victim.signal), ("failed", Some(9)));
        assert!(!polite.exit_unknown && !victim.exit_unknown);
        let writer = until(&manager, "writer", "the writer ends", |item| {
            item.pid.is_none()
        })
        .await;
        assert_eq!((writer.state.as_str(), writer.exit_code), ("done", Some(0)));
        for (stream, name) in [(LogStream::Stdout, "stdout"), (LogStream::Stderr, "stderr")] {
            let written = written(&manager, "writer", stream).await;
            check_lines(&written, name, LINES).expect("no line lost, none doubled");
        }
        down(manager).await;
        assert!(!testkit::alive(pid_of("steady")));
    });
}

#[test]
fn events_go_on_where_the_killed_manager_stopped() {
    run_everywhere(|| async {
        let place = Place::new();
        let report = place.file("report");
        let mut host = Host::start(&place.file("state"), &report);
        let pids = host.report(&report).await;
        host.0.kill().expect("it is our child");
        host.0.wait().expect("it is our child");
        let manager = place.manager().await;
        let events = manager.subscribe(Some(0), 256).await;
        let adopted = event(&events, EventKind::ServiceAdopted).await;
        let pid = adopted.event_data["pid"].as_u64().expect("a number");
        assert!(pids.iter().any(|(_, known)| u64::from(*known) == pid));
        down(manager).await;
    });
}

#[test]
fn a_second_manager_of_one_directory_is_refused_and_told_by_whom() {
    run_everywhere(|| async {
        let place = Place::new();
        let report = place.file("report");
        let mut host = Host::start(&place.file("state"), &report);
        host.report(&report).await;
        match place.builder().start().await {
            Err(ManagerError::Store(StoreError::Held { holder, .. })) => {
                assert_eq!(holder, host.0.id().to_string());
            }
            other => panic!("{other:?}"),
        }
        host.0.kill().expect("it is our child");
        host.0.wait().expect("it is our child");
        down(place.manager().await).await;
    });
}

/// The program that is killed; it is, too, when a test fails.
struct Host(Child);

impl Host {
    fn start(state: &Path, report: &Path) -> Self {
        let this = std::env::current_exe().expect("a running test has a path");
        let child = Command::new(this)
            .args(["--exact", "surviving::host", "--nocapture"])
            .env(STATE, state)
            .env(REPORT, report)
            .stdout(Stdio::null())
            .spawn();
        Self(child.expect("a test can be run again"))
    }

    /// What it says of its units: their names and PIDs.
    async fn report(&mut self, path: &Path) -> Vec<(String, u32)> {
        eventually(SOON, "the host has its units up", || {
            assert!(matches!(self.0.try_wait(), Ok(None)), "the host has ended");
            path.exists()
        })
        .await;
        let text = std::fs::read_to_string(path).expect("it is there");
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        pairs
            .map(|(unit, pid)| (unit.to_owned(), pid.parse().expect("a number")))
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

const STATE: &str = "PROGRAMS_TEST_STATE";
const REPORT: &str = "PROGRAMS_TEST_REPORT";
