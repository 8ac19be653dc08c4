//! Twenty deployments, each with a kill at a random point: of whoever deploys, of the agent, or of the process that has the lock.

mod deploying;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use command_executor::agent::{HostLink, LocalAgent};
use deploying::{Workshop, options, signed, slot};
use service_orchestration::package::{DeployError, DeployStep, Deployed, PackageDeployer};
use testkit::{eventually_blocking, within};

const SOON: Duration = Duration::from_secs(60);

/// One deployment, until it is done; `agent` is told who the agent is.
async fn deploy(
    workshop: &Path,
    archive: &Path,
    mut agent: impl FnMut(u32),
) -> Result<Deployed, DeployError> {
    let host = HostLink::new(LocalAgent::at(env!("CARGO_BIN_EXE_harness-shim")));
    within(SOON, "the agent", host.reached()).await;
    agent(host.agent()?.hello().pid);
    let deployer = PackageDeployer::new(host).in_directory(workshop.join("root"));
    let package = signed(workshop, archive);
    let (slot, options) = (slot(), options());
    let said = |step: DeployStep<'_>| {
        if let DeployStep::Switched(place) = step {
            println!("switched {}", place.version);
        }
    };
    deployer.deploy(&slot, &package, &options, said).await
}

/// Not a test of its own: the process that deploys, and may be killed.
#[test]
fn as_whoever_deploys() {
    let Some(workshop) = std::env::var_os("DEPLOY_WORKSHOP").map(PathBuf::from) else {
        return;
    };
    let archive = PathBuf::from(std::env::var_os("DEPLOY_ARCHIVE").expect("both or none"));
    let told = |pid| println!("agent {pid}");
    let done = smol::block_on(deploy(&workshop, &archive, told));
    println!(
        "ended {}",
        done.map_or_else(|error| error.to_string(), |_| "well".to_owned())
    );
}

/// Starts it; its agent when that is there.
#[allow(clippy::zombie_processes, reason = "whoever begins it waits for it")]
fn begin(workshop: &Path, archive: &Path) -> (Child, BufReader<ChildStdout>, u32) {
    let mut child = Command::new(std::env::current_exe().expect("procfs"))
        .args(["--exact", "as_whoever_deploys", "--nocapture"])
        .env("DEPLOY_WORKSHOP", workshop)
        .env("DEPLOY_ARCHIVE", archive)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("this program runs");
    let mut said = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    loop {
        line.clear();
        assert!(
            said.read_line(&mut line).expect("read") > 0,
            "it ended early"
        );
        // The test program's own words may stand before.
        if let Some((_, pid)) = line.trim().split_once("agent ") {
            return (child, said, pid.parse().expect("a pid"));
        }
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().flat_map(str::parse).collect()
}

fn kill(pid: u32) {
    // It may be gone already.
    let mut command = Command::new("kill");
    let command = command.args(["-9", &pid.to_string()]).stderr(Stdio::null());
    command.status().expect("kill runs");
}

/// The version that is current, after all of its files were compared with what they should be.
fn whole(workshop: &Path) -> Option<String> {
    let current = workshop.join("root/shop.demo/current");
    if fs::symlink_metadata(&current).is_err() {
        return None;
    }
    let output = Command::new(current.join("run"))
        .output()
        .expect("it is there and runs");
    let version = String::from_utf8(output.stdout)
        .expect("text")
        .trim()
        .to_owned();
    for file in ["run", "setup.sh", "ballast"] {
        let made = fs::read(workshop.join(format!("work-{version}")).join(file));
        let there = fs::read(current.join(file)).expect("there");
        assert!(
            there == made.expect("there"),
            "{file} of {version} is not whole"
        );
    }
    Some(version)
}

/// No half of anything is left once the lock was taken again.
fn tidy(workshop: &Path) {
    let slot = workshop.join("root/shop.demo");
    for directory in ["versions", "upload"] {
        let names = fs::read_dir(slot.join(directory)).expect("there").flatten();
        let hidden: Vec<_> = names
            .map(|entry| entry.file_name())
            .filter(|name| name.as_encoded_bytes().starts_with(b"."))
            .collect();
        assert!(hidden.is_empty(), "{directory}: {hidden:?}");
    }
}

#[test]
fn whoever_is_killed_whenever_the_old_version_or_the_new_one_is_current() {
    let workshop = Workshop::new();
    let path = workshop.path();
    let archive = |number: u32| {
        let setup = Some("i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done");
        workshop.archive(&format!("1.{number}.0"), setup, 192 << 10)
    };
    let began = Instant::now();
    smol::block_on(deploy(path, &archive(0), |_| ())).expect("deployed");
    let usual = began.elapsed();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seed = u64::from(now.subsec_nanos()) | 1;
    println!("seed {seed}, a deployment takes {usual:?}");
    let mut random = seed;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let mut old = "1.0.0".to_owned();
    let mut arrived = 0;
    for round in 1..=ROUNDS {
        let (archive, new) = (archive(round), format!("1.{round}.0"));
        let (mut deployer, mut said, agent) = begin(path, &archive);
        let micros = u64::try_from(usual.as_micros()).unwrap_or(u64::MAX);
        // A time is what is random here, so there is nothing else to wait for.
        let (_silent, nothing) = std::sync::mpsc::channel::<()>();
        let moment = Duration::from_micros(next(micros));
        nothing
            .recv_timeout(moment)
            .expect_err("nobody says anything");
        match next(3) {
            0 => kill(deployer.id()),
            1 => kill(agent),
            _ => children_of(agent).into_iter().for_each(kill),
        }
        let mut rest = String::new();
        while said.read_line(&mut rest).is_ok_and(|read| read > 0) {}
        deployer.wait().expect("its end");
        let found = whole(path).expect("never neither");
        assert!(found == old || found == new, "{found} in round {round}");
        if rest.contains("switched") || rest.contains("ended well") {
            assert_eq!(found, new, "what was said to be done is done");
        }
        arrived += u32::from(found == new);
        old = found;
    }
    println!("{arrived} of {ROUNDS} arrived");
    // The next one is not held up, and finds nothing in its way.
    let last = archive(ROUNDS + 1);
    eventually_blocking(SOON, "the lock is free", || {
        match smol::block_on(deploy(path, &last, |_| ())) {
            Ok(_) => true,
            Err(DeployError::Held { .. }) => false,
            Err(error) => panic!("{error:?}"),
        }
    });
    assert_eq!(whole(path), Some(format!("1.{}.0", ROUNDS + 1)));
    tidy(path);
}

const ROUNDS: u32 = 20;
