//! Packages are deployed to hosts of `docker-test-env/hosts`, by the real `harness-shim` that is brought there.
//!
//! `cargo nextest run -p harness --features ssh-tests`
#![cfg(feature = "ssh-tests")]

mod deploying;
mod support;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use command_executor::agent::{HostLink, SshAgent};
use command_executor::ssh::{SshConnection, SshHost};
use deploying::{Workshop, options, slot};
use futures_lite::future;
use service_orchestration::package::{
    DeployError, Deployed, PackageDeployer, RefusalKind, SignedPackage,
};
use service_shim::RawString;
use service_shim::agent::record::CommandExit;
use support::Home;
use support::hosts::trusted;
use testkit::{Hosts, within};

/// Longer than a connection is given up after, and a way is found again.
const LONG: Duration = Duration::from_secs(120);

/// A host that is kept connected; what the client needs for it lies in `directory`, which has a short name.
async fn link(hosts: &Hosts, name: &str, directory: &Path) -> Linked {
    let host = SshHost::new(name).expect("a name");
    let host = host.with_address(hosts.address(name)).expect("an address");
    let host = host.with_user("root").expect("a user");
    let host = host.with_identity(hosts.directory().join("id_ed25519"));
    let known_hosts = hosts.directory().join("known_hosts");
    let way = SshConnection::prepare(host.expect("a path"), directory, known_hosts).await;
    let way = way.expect("it can be written");
    let shim = env!("CARGO_BIN_EXE_harness-shim");
    let host = HostLink::new(SshAgent::new(way.clone(), shim));
    within(LONG, "the host", host.reached()).await;
    Linked { host, way }
}

/// A host; the connection to it is closed in the end.
struct Linked {
    host: HostLink,
    way: SshConnection,
}

impl Drop for Linked {
    fn drop(&mut self) {
        // It may be gone with its host.
        let _ = smol::block_on(self.way.close());
    }
}

/// What a script says on the host.
async fn said(host: &HostLink, script: &str) -> String {
    let agent = within(LONG, "the host", host.reached()).await;
    let argv = ["/bin/sh", "-c", script].map(RawString::from).to_vec();
    let env = vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())];
    let running = agent.exec(argv, env, None, None).await.expect("runs");
    let ([output, complaint], exit) = running.complete(1 << 20).await.expect("told");
    let complaint = String::from_utf8_lossy(&complaint);
    assert_eq!(exit, CommandExit::Code(0), "{script}: {complaint}");
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// Deploys, also when the process of a deployment whose connection was cut is about to end.
async fn deploy(
    host: &HostLink,
    root: &str,
    package: &SignedPackage,
) -> Result<Deployed, DeployError> {
    let deployer = PackageDeployer::new(host.clone()).in_directory(root);
    let trying = async {
        loop {
            host.reached().await;
            let done = deployer.deploy(&slot(), package, &options(), |_| {}).await;
            if !matches!(done, Err(DeployError::Held { .. })) {
                return done;
            }
            future::yield_now().await;
        }
    };
    within(LONG, "the lock is free", trying).await
}

#[test]
fn a_host_takes_packages_and_says_when_it_has_no_room() {
    let (hosts, workshop) = (Hosts::shared(), Workshop::new());
    smol::block_on(async {
        let linked = link(&hosts, "host1", &workshop.path().join("s")).await;
        let host = &linked.host;
        // Below its user's home where nothing else is said; other tests may be there at the same time.
        let name = format!("test.{}", std::process::id());
        let root = format!("/root/.local/share/harness/packages-{name}");
        for version in ["1.0.0", "1.1.0"] {
            let package = workshop.package(version, Some("hostname"));
            deploy(host, &root, &package).await.expect("deployed");
            let run = format!("{root}/shop.demo/current/run; stat -c %a {root}/shop.demo");
            assert_eq!(said(host, &run).await, format!("{version}\n700"));
        }
        let log = said(host, &format!("cat {root}/shop.demo/setup/*.log")).await;
        assert_eq!(log, "host1\nhost1", "it ran there");
        let deployer = PackageDeployer::new(host.clone()).in_directory(&root);
        let back = deployer.rollback(&slot(), &options()).await.expect("back");
        assert_eq!(back.to.version.to_string(), "1.0.0");
        said(host, &format!("rm -r {root}")).await;

        let small = format!("/root/{name}");
        let mount = format!("mkdir {small}; mount -t tmpfs -o size=1m tmpfs {small}");
        said(host, &mount).await;
        let first = workshop.package("2.0.0", None);
        deploy(host, &small, &first).await.expect("it fits");
        let used = format!("cd {small}; find . -type f | wc -l");
        let before = said(host, &used).await;
        // Neither the archive, nor what is in another one that fits itself.
        let large = workshop.signed(&workshop.archive("2.1.0", None, 2 << 20));
        let grows = workshop.signed(&workshop.archive_of_text("2.2.0", 1200 << 10));
        for package in [large, grows] {
            let refused = deploy(host, &small, &package).await;
            let refused = refused.expect_err("no room");
            let DeployError::Refused { kind, message, .. } = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(kind, RefusalKind::Room, "{message}");
            assert_eq!(said(host, &used).await, before, "nothing is left of it");
        }
        let run = format!("{small}/shop.demo/current/run");
        assert_eq!(said(host, &run).await, "2.0.0");
        said(host, &format!("umount {small}; rmdir {small}")).await;
    });
}

#[test]
fn connections_that_are_cut_whenever_leave_the_old_version_or_the_new_one() {
    let (hosts, workshop) = (Hosts::own(1, 0), Workshop::new());
    let setup = Some("i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done");
    let package = |number: u32| {
        let version = format!("1.{number}.0");
        workshop.signed(&workshop.archive(&version, setup, 192 << 10))
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut random = u64::from(now.unwrap_or_default().subsec_nanos()) | 1;
    println!("seed {random}");
    smol::block_on(async {
        let linked = link(&hosts, "host1", &workshop.path().join("s")).await;
        let host = &linked.host;
        let other = link(&hosts, "host1", &workshop.path().join("k")).await;
        let killer = &other.host;
        let root = "/root/packages";
        let began = Instant::now();
        deploy(host, root, &package(0)).await.expect("deployed");
        let usual = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (mut old, mut arrived) = ("1.0.0".to_owned(), 0);
        for round in 1..=ROUNDS {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (package, new) = (package(round), format!("1.{round}.0"));
            let agent = within(LONG, "the host", host.reached()).await.hello().pid;
            let cut = async {
                // The sshd of this connection; the time is what is random here.
                let moment = Duration::from_micros(random % usual);
                let (_silent, nothing) = std::sync::mpsc::channel::<()>();
                let waited = smol::unblock(move || nothing.recv_timeout(moment)).await;
                waited.expect_err("nobody says anything");
                let sshd = format!("kill -9 $(sed -n 's/^PPid:\\s*//p' /proc/{agent}/status)");
                said(killer, &sshd).await;
            };
            let (done, ()) = future::zip(deploy(host, root, &package), cut).await;
            let check =
                format!("cd {root}/shop.demo/current && ./run && sha256sum ballast run setup.sh");
            let found = said(killer, &check).await;
            let (version, sums) = found.split_once('\n').expect("two things");
            assert!(
                version == old || version == new,
                "{version} in round {round}"
            );
            assert_eq!(sums, workshop.sums(version), "{version} is whole");
            match done {
                Ok(_) => assert_eq!(version, new),
                Err(error) => println!("{round}: {version} is current: {error}"),
            }
            arrived += u32::from(version == new);
            old = version.to_owned();
        }
        println!("{arrived} of {ROUNDS} arrived");
        let last = package(ROUNDS + 1);
        deploy(host, root, &last).await.expect("deployed");
        let left = format!("cd {root}/shop.demo; find . -name '.*' ! -name . | wc -l");
        assert_eq!(said(host, &left).await, "0");
    });
}

#[test]
fn packages_are_pushed_listed_and_gone_back_from() {
    let (hosts, home) = (Hosts::shared(), Home::empty());
    let workshop = Workshop::new();
    trusted(&home, &hosts, "host2");
    let package = |version: &str, setup: &str| {
        let archive = workshop.archive(version, Some(setup), 0);
        archive.display().to_string()
    };
    let name = format!("test.{}", std::process::id());
    let push = |file: &str| home.run(&["package", "push", file, "--host", "host2", "--as", &name]);
    let first = package("1.0.0", "echo prepared");
    push(&first).expect(6).says("harness package trust add");
    let public = workshop
        .path()
        .join("trusted/own.pub")
        .display()
        .to_string();
    home.ok(&["package", "trust", "add", &public]);
    push(&first)
        .expect(0)
        .says("host2: sent 100 %")
        .says("host2: setup: prepared")
        .shows(&format!("host2: {name} is demo 1.0.0"))
        .shows(&format!("/{name}/current"));
    push(&first).expect(0).shows("it was there already");
    push(&package("1.1.0", "echo broken; exit 4"))
        .expect(1)
        .says("host2: setup: broken")
        .says("the setup script failed with exit code 4");
    let list = || {
        let told = home.ok(&["package", "list", "-o", "json"]).json();
        let slots = told["items"][0]["packages"]
            .as_array()
            .expect("a list")
            .clone();
        let mine = slots.into_iter().find(|slot| slot["slot"] == name.as_str());
        let versions = mine.expect("it is there")["versions"].clone();
        let versions = versions.as_array().expect("a list").clone();
        let current = versions.iter().find(|version| version["current"] == true);
        let place = current.expect("one is")["place"]
            .as_str()
            .expect("text")
            .to_owned();
        (versions.len(), place.chars().take(10).collect::<String>())
    };
    assert_eq!(list(), (2, "demo/1.0.0".to_owned()));
    push(&package("1.2.0", "true"))
        .expect(0)
        .shows("after demo 1.0.0");
    assert_eq!(
        list(),
        (2, "demo/1.2.0".to_owned()),
        "what never was current goes"
    );
    home.ok(&["package", "list"])
        .shows("VERSION")
        .shows("current");
    let back = ["package", "rollback", &name, "--host", "host2"];
    home.ok(&back).says("demo 1.0.0").says("after demo 1.2.0");
    assert_eq!(list(), (2, "demo/1.0.0".to_owned()));
    home.run(&["package", "push", &first, "--host", "three"])
        .expect(4);
    home.run(&["package", "push", &first, "--host", "host2", "--as", "../x"])
        .expect(2);
}

const ROUNDS: u32 = 20;
