//! The stack over a WireGuard tunnel, end to end: a sensor behind NAT, from a package, read by a process and a container here.
//!
//! Owns: what it must show: that readings come over the mesh, at the address that each was told; that this goes on over a killed daemon; and
//! that no interface is left, here or there. The commands are those of the example's README, as they stand.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::example::leftovers::Leftovers;
use crate::failure::Failure;
use crate::fenced;
use crate::recipe::{hosts, setup};
use crate::sandbox::{Sandbox, expect, item};
use crate::step::Step;
use crate::workspace;

const DIRECTORY: &str = "examples/mesh";

/// The host of the sensor is behind the router, and nobody reaches it but by a login there.
const SHED: &str = "far1";
const ROUTER: &str = "router";

/// Who reads it here.
const READERS: [&str; 2] = ["panel", "recorder"];

/// Deploys and starts it, looks at it, kills the daemon, ends it.
///
/// # Errors
/// The first assertion that does not hold.
pub(crate) fn run() -> Result<String, Failure> {
    setup::run()?;
    let run = Run::new()?;
    run.trust(ROUTER, ROUTER, &[])?;
    run.trust("shed", SHED, &["--jump", ROUTER])?;
    let page = workspace::read(&workspace::root().join(DIRECTORY).join("README.md"))?;
    let blocks = fenced::blocks(&page);
    let mut blocks = blocks
        .iter()
        .filter(|block| block.is_in("sh") && block.is_marked("run"));
    let Some(stop) = blocks.next_back() else {
        return Err(Failure::Unmet {
            claim: "the example's README has blocks marked `run`".into(),
            found: "none".into(),
        });
    };
    for block in blocks {
        eprintln!("{DIRECTORY}/README.md:{}", block.line);
        run.within(run.sandbox.step("sh", &["-euc", &block.text]))
            .run()?;
    }
    let status = run.sandbox.status(&run.stack)?;
    // The numbers of processes on the host mean others here: what is left there is looked for there.
    let leftovers = Leftovers::watch(&run.sandbox);
    run.addresses_are_right(&status)?;
    run.readings_arrive()?;
    let interfaces = run.interfaces()?;

    run.kill_daemon()?;
    let after = run.sandbox.status(&run.stack)?;
    run.addresses_are_right(&after)?;
    run.readings_arrive()?;
    let now = run.interfaces()?;
    expect(now == interfaces, "the tunnel outlives the daemon", now)?;

    run.within(run.sandbox.step("sh", &["-euc", &stop.text]))
        .run()?;
    run.sandbox.stop_daemon()?;
    leftovers.expect_none()?;
    run.expect_clean_hosts()?;
    Ok("readings of a package behind NAT reached a process and a container here through a WireGuard tunnel, also over a killed daemon".to_owned())
}

struct Run {
    sandbox: Sandbox,
    /// Of its own, because others may try the example on the same machine.
    stack: String,
    /// The first three numbers of its addresses.
    network: String,
    /// Where the hosts lie.
    hosts: PathBuf,
}

impl Run {
    fn new() -> Result<Self, Failure> {
        let sandbox = Sandbox::new()?;
        let stack = format!("mesh-{}", std::process::id());
        let hosts = hosts::up(&stack)?.into();
        Ok(Self {
            sandbox,
            network: format!("10.77.{}", std::process::id() % 250),
            stack,
            hosts,
        })
    }

    fn harness(&self, arguments: &[&str]) -> Step {
        self.within(self.sandbox.harness(arguments))
    }

    fn within(&self, step: Step) -> Step {
        step.within(&workspace::root().join(DIRECTORY))
            .with("HARNESS_PROJECT", &self.stack)
            .with("MESH_SUBNET", format!("{}.0/24", self.network))
            .with("MESH_PACKAGES", self.sandbox.home())
            .with("MESH_IMAGE", "harness-test/busybox")
    }

    /// Adds a host by the fingerprint that its owner tells.
    fn trust(&self, name: &str, host: &str, more: &[&str]) -> Result<(), Failure> {
        let key = "etc/ssh/ssh_host_ed25519_key.pub";
        let key = self.hosts.join("disk").join(host).join("files").join(key);
        let told = Step::new("ssh-keygen", [Path::new("-lf"), &key]).text()?;
        let fingerprint = told.split_whitespace().nth(1).unwrap_or_default();
        let address = workspace::read(&self.hosts.join(host).join("address"))?;
        let login = self.hosts.join("id_ed25519").display().to_string();
        let words = ["host", "add", name, "--address", address.trim()];
        let login = [
            "--user",
            "root",
            "--key",
            &login,
            "--fingerprint",
            fingerprint,
        ];
        self.harness(&[&words, &login[..], more].concat()).run()
    }

    /// Everything is ready, and both were told the address of the sensor's host on the mesh.
    fn addresses_are_right(&self, status: &Value) -> Result<(), Failure> {
        for name in ["sensor", "panel", "recorder"] {
            let claim = format!("`{name}` is ready");
            expect(item(status, name)?["ready"] == true, &claim, status)?;
        }
        for reader in READERS {
            let why = ["net", "why", reader, "sensor", "-o", "json"];
            let why = self.harness(&why).text()?;
            let claim = format!("a mesh leads `{reader}` to the sensor");
            expect(why.contains("\"code\":\"mesh\""), &claim, &why)?;
            let claim = format!("`{reader}` was told an address of {}.0/24", self.network);
            let told = format!("\"SENSOR_ADDR\":\"{}.", self.network);
            expect(why.contains(&told), &claim, &why)?;
        }
        Ok(())
    }

    /// Both have readings of the host behind NAT, and get more.
    fn readings_arrive(&self) -> Result<(), Failure> {
        for reader in READERS {
            let before = self.readings(reader)?;
            Sandbox::wait_for(&format!("readings reach `{reader}`"), || {
                match self.readings(reader) {
                    Ok(now) if now > before + 1 => Ok(()),
                    Ok(now) => Err(format!("{now} readings, and {before} before")),
                    Err(failure) => Err(failure.to_string()),
                }
            })?;
        }
        Ok(())
    }

    fn readings(&self, reader: &str) -> Result<usize, Failure> {
        let said = self.harness(&["logs", "--no-prefix", reader]).text()?;
        let ours = said.lines().filter(|line| line.contains("reading "));
        Ok(ours
            .filter(|line| line.ends_with(&format!(" of {SHED}")))
            .count())
    }

    /// The interfaces of meshes here and there, by their numbers.
    fn interfaces(&self) -> Result<String, Failure> {
        let here = Step::new("sh", ["-c", INTERFACES]).text()?;
        Ok(format!("here: {here}there: {}", self.on(SHED, INTERFACES)?))
    }

    fn on(&self, host: &str, script: &str) -> Result<String, Failure> {
        let config = self.hosts.join("ssh_config").display().to_string();
        Step::new("ssh", ["-F", &config, host, script]).text()
    }

    /// Neither an interface nor a key of a mesh is left, and nothing of ours runs there.
    fn expect_clean_hosts(&self) -> Result<(), Failure> {
        for host in [SHED, ROUTER] {
            Sandbox::wait_for(&format!("nothing is left on {host}"), || {
                match self.on(host, LOOK) {
                    Ok(left) if left.trim().is_empty() => Ok(()),
                    Ok(left) => Err(left),
                    Err(failure) => Err(failure.to_string()),
                }
            })?;
        }
        let routes = format!("ip route | grep -F '{}.' || true", self.network);
        let routes = Step::new("sh", ["-c", &routes]).text()?;
        expect(routes.trim().is_empty(), "no route is left here", routes)
    }

    /// As the kernel does when memory runs out; then waits until another one has taken over.
    fn kill_daemon(&self) -> Result<(), Failure> {
        let text = self.harness(&["daemon", "status", "-o", "json"]).text()?;
        let daemon: Value = serde_json::from_str(&text).unwrap_or_default();
        let pid = daemon["pid"].to_string();
        Step::new("kill", ["-KILL", &pid]).run()?;
        Sandbox::wait_for("the next daemon has found everything", || {
            let status = self.sandbox.status(&self.stack);
            let status = status.map_err(|failure| failure.to_string())?;
            let is_ready = |name| item(&status, name).is_ok_and(|one| one["ready"] == true);
            match ["sensor", "panel", "recorder"].into_iter().all(is_ready) {
                true => Ok(()),
                false => Err(status.to_string()),
            }
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Only when something failed half-way is there anything left to remove.
        if self.sandbox.home().join("h").exists() {
            self.harness(&["down", "--yes", "--volumes"]).succeeds();
        }
        if let Err(failure) = hosts::down(&self.stack) {
            eprintln!("hosts are left: {failure}");
        }
    }
}

const INTERFACES: &str = "ip -o link | grep -o '^[0-9]*: hm[0-9a-f]*' || true";

/// Names what of a mesh or of ours is there. The brackets: it does not find itself.
const LOOK: &str = "pgrep -fl '[h]arness-shim|[w]ireguard-go|[b]in/sensor'; ip -o link | grep -o 'hm[0-9a-f]*'; \
                    find /root/.local/state/harness/*/mesh -type f 2>/dev/null; true";
