//! Packages are deployed on this machine by an agent of the real `harness-shim`.

mod deploying;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use command_executor::agent::{HostLink, LocalAgent, PutFile};
use deploying::{Workshop, options, slot};
use service_orchestration::package::{
    DeployError, DeployStep, PackageDeployer, RefusalKind, SetupEnd, SetupOrder,
};
use testkit::{eventually_blocking, within};

const SOON: Duration = Duration::from_secs(60);

async fn host() -> HostLink {
    let host = HostLink::new(LocalAgent::at(env!("CARGO_BIN_EXE_harness-shim")));
    within(SOON, "the agent", host.reached()).await;
    host
}

async fn deployer(workshop: &Workshop) -> PackageDeployer {
    PackageDeployer::new(host().await).in_directory(workshop.root())
}

fn current(workshop: &Workshop) -> Option<String> {
    let run = workshop.root().join("shop.demo/current/run");
    let output = Command::new(run).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn in_time(test: impl Future<Output = ()>) {
    smol::block_on(within(SOON * 2, "the test", test));
}

#[test]
fn versions_are_deployed_gone_back_from_and_kept() {
    in_time(async {
        let workshop = Workshop::new();
        let deployer = deployer(&workshop).await;
        let (slot, options) = (slot(), options());
        assert!(deployer.list().await.expect("told").is_empty());
        let mut sent = Vec::new();
        let first = workshop.package("1.0.0", None);
        let deployed = deployer.deploy(&slot, &first, &options, |step| {
            if let DeployStep::Sending { sent: bytes, of } = step {
                sent.push((bytes, of));
            }
        });
        let deployed = deployed.await.expect("deployed");
        assert_eq!((deployed.from, deployed.was_sent), (None, true));
        assert_eq!(sent.last(), Some(&(first.size(), first.size())));
        assert_eq!(deployed.current, workshop.root().join("shop.demo/current"));
        assert_eq!(current(&workshop).as_deref(), Some("1.0.0"));
        let again = deployer.deploy(&slot, &first, &options, |_| {});
        assert!(!again.await.expect("deployed").was_sent);
        for version in ["1.1.0", "1.2.0", "1.3.0"] {
            let package = workshop.package(version, None);
            let deployed = deployer.deploy(&slot, &package, &options, |_| {});
            let removed = deployed.await.expect("deployed").removed;
            assert_eq!(current(&workshop).as_deref(), Some(version));
            assert_eq!(removed.len(), usize::from(version == "1.3.0"));
        }
        let versions = deployer.list().await.expect("told").remove(0).versions;
        let shown: Vec<(String, bool)> = versions
            .iter()
            .map(|version| (version.place.version.to_string(), version.current))
            .collect();
        let expected = [("1.1.0", false), ("1.2.0", false), ("1.3.0", true)];
        assert_eq!(shown, expected.map(|(text, is)| (text.to_owned(), is)));
        let back = deployer.rollback(&slot, &options).await.expect("back");
        assert_eq!(back.to.version.to_string(), "1.2.0");
        assert_eq!(current(&workshop).as_deref(), Some("1.2.0"));
        deployer.rollback(&slot, &options).await.expect("back");
        assert_eq!(current(&workshop).as_deref(), Some("1.1.0"));
    });
}

#[test]
fn a_setup_script_prepares_before_the_switch_and_its_failure_changes_nothing() {
    in_time(async {
        let workshop = Workshop::new();
        let deployer = deployer(&workshop).await;
        let setup = "echo \"$HARNESS_PACKAGE $HARNESS_VERSION $OF_PACKAGE $DB_HOST in $PWD\"; ls ../../../current";
        let package = workshop.package("1.0.0", Some(setup));
        let (slot, mut options) = (slot(), options());
        options.setup.environment = vec![("DB_HOST".to_owned(), "10.0.0.7".to_owned())];
        let mut said = String::new();
        let deployed = deployer.deploy(&slot, &package, &options, |step| {
            if let DeployStep::Setup(bytes) = step {
                said += &String::from_utf8_lossy(bytes);
            }
        });
        // Its last command fails: nothing is current yet.
        let error = deployed.await.expect_err("it fails");
        assert!(said.starts_with("demo 1.0.0 yes 10.0.0.7 in /"), "{said}");
        assert!(matches!(
            error,
            DeployError::Setup {
                end: SetupEnd::Code(_),
                ..
            }
        ));
        assert_eq!(current(&workshop), None);
        let package = workshop.package("1.0.1", Some("echo fine"));
        let done = deployer.deploy(&slot, &package, &options, |_| {});
        done.await.expect("deployed");

        let broken = workshop.package("1.1.0", Some("echo what went wrong >&2; exit 3"));
        let error = deployer.deploy(&slot, &broken, &options, |_| {}).await;
        match error.expect_err("it fails") {
            DeployError::Setup { end, output, .. } => {
                assert_eq!(end, SetupEnd::Code(3));
                assert_eq!(output, b"what went wrong\n");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(current(&workshop).as_deref(), Some("1.0.1"));
        let log = format!("shop.demo/setup/{}.log", broken.sha256());
        let kept = fs::read(workshop.root().join(log)).expect("kept");
        assert_eq!(kept, b"what went wrong\n");

        // Too long, with a child of its own.
        let mark = workshop.path().join("alive");
        let script = format!("exec 9>{}; flock 9; sleep 600 & sleep 600", mark.display());
        let endless = workshop.package("1.2.0", Some(&script));
        options.setup = SetupOrder {
            timeout: Duration::from_secs(1),
            ..SetupOrder::default()
        };
        let error = deployer.deploy(&slot, &endless, &options, |_| {}).await;
        let end = SetupEnd::TimedOut(Duration::from_secs(1));
        assert!(matches!(error, Err(DeployError::Setup { end: found, .. }) if found == end));
        assert_eq!(current(&workshop).as_deref(), Some("1.0.1"));
        eventually_blocking(SOON, "nothing of it is left", || is_free(&mark));
    });
}

/// Whether nobody has the file locked.
fn is_free(path: &Path) -> bool {
    let file = fs::File::open(path).expect("there");
    file.try_lock().is_ok()
}

#[test]
fn who_comes_second_hears_who_deploys_and_the_dead_hold_up_nobody() {
    in_time(async {
        let workshop = Workshop::new();
        let deployer = deployer(&workshop).await;
        let session = deployer.open(&slot(), &options()).await.expect("free");
        let other = PackageDeployer::new(host().await).in_directory(workshop.root());
        let package = workshop.package("1.0.0", None);
        let refused = other.deploy(&slot(), &package, &options(), |_| {}).await;
        let said = refused.expect_err("held").to_string();
        assert!(
            said.contains("tester@here deploys there since 20"),
            "{said}"
        );
        // Listing waits for nobody.
        other.list().await.expect("told");
        // The one on the host that has the lock is killed.
        let lock = workshop.root().join("shop.demo/lock");
        let holder = fs::read_to_string(&lock).expect("there");
        let holder: serde_json::Value = serde_json::from_str(&holder).expect("JSON");
        kill(u32::try_from(holder["pid"].as_u64().expect("a number")).expect("a pid"));
        eventually_blocking(SOON, "the lock is free", || is_free(&lock));
        other
            .deploy(&slot(), &package, &options(), |_| {})
            .await
            .expect("deployed");
        drop(session);
    });
}

fn kill(pid: u32) {
    let status = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

#[test]
fn what_the_host_refuses_is_told_with_its_reason() {
    in_time(async {
        let workshop = Workshop::new();
        let deployer = deployer(&workshop).await;
        let (slot, mut options) = (slot(), options());
        options.quota = Some(30);
        let small = workshop.package("1.0.0", None);
        let error = deployer.deploy(&slot, &small, &options, |_| {}).await;
        match error.expect_err("too much") {
            DeployError::Refused { kind, message, .. } => {
                assert_eq!(kind, RefusalKind::Room);
                assert!(message.contains("the slot may have 30"), "{message}");
            }
            other => panic!("{other:?}"),
        }
        // Another file takes its place after it was checked here.
        let archive = workshop.archive("1.1.0", None, 0);
        let package = workshop.signed(&archive);
        let mut bytes = fs::read(&archive).expect("there");
        bytes[40] ^= 1;
        fs::write(&archive, bytes).expect("own");
        options.quota = None;
        let error = deployer.deploy(&slot, &package, &options, |_| {});
        let said = error.await.expect_err("another file");
        assert!(matches!(said, DeployError::Upload { .. }), "{said:?}");
        assert_eq!(current(&workshop), None);
        let upload = workshop.root().join("shop.demo/upload");
        assert_eq!(fs::read_dir(upload).expect("made").count(), 0);
    });
}

/// What the agent has had in memory at most, in kB.
fn peak_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    number.expect("a number")
}

#[test]
fn neither_end_holds_a_large_file_in_memory() {
    in_time(async {
        let workshop = Workshop::new();
        let agent = host().await.agent().expect("reached");
        let path = workshop.path().join("large");
        fs::write(&path, vec![7; LARGE]).expect("room");
        let sha256 = service_shim::agent::sha256(&vec![7; LARGE]);
        let file = fs::File::open(&path).expect("there");
        let peaks = || [agent.hello().pid, std::process::id()].map(peak_kb);
        // What was at its highest is at its lowest again.
        fs::write("/proc/self/clear_refs", "5").expect("own");
        let before = peaks();
        let order = PutFile {
            to: &workshop.path().join("there"),
            mode: 0o600,
            sha256: &sha256,
            size: LARGE as u64,
        };
        agent.put_file(order, file, |_| {}).await.expect("put");
        let after = peaks().into_iter().zip(before);
        for ((after, before), who) in after.zip(["the agent", "we"]) {
            let grown = after.saturating_sub(before);
            assert!(grown < 4096, "{who} grew by {grown} kB");
        }
    });
}

/// Several times what may be held of it.
const LARGE: usize = 24 << 20;
