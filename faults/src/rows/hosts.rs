//! Services on another host, whatever becomes of the way there, of the host, and of the daemon.
//!
//! Owns: what is done, and what has to hold after each. The host is one of `docker-test-env/hosts`; what its services say of
//! themselves lies in its root's home, which is a directory here, too.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::Hosts;

use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::row::Order;
use crate::talk::Ends;
use crate::tools;
use crate::wait::{Look, PATIENCE, pass, until};

/// One after the other, in an order of chance.
pub(crate) fn storm(order: &Order) -> Result<String, Fault> {
    let mut stage = Stage::new()?;
    let mut chance = Chance::new(order.seed);
    let acts = match order.quick {
        true => vec![Act::Loss, Act::Agent, Act::CutAndStop, Act::Power],
        false => chance.fairly(&ALL, ALL.len(), |act| *act),
    };
    for (round, act) in acts.iter().enumerate() {
        stage
            .suffer(*act, &mut chance)
            .map_err(|fault| fault.at(format!("{act:?}, number {}", round + 1)))?;
    }
    let said: Vec<String> = acts.iter().map(|act| format!("{act:?}")).collect();
    let lines = stage.finish()?;
    Ok(format!("{}; {lines} lines exact", said.join(", ")))
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// The cable is pulled for less time than it takes to be missed.
    Blink,
    /// It is pulled until the host is missed, and the daemon is killed meanwhile.
    CutAndKill,
    /// The same, and a stop is ordered meanwhile.
    CutAndStop,
    /// Three of ten packets are lost, while a service is restarted.
    Loss,
    /// Whatever serves SSH there is killed.
    Sshd,
    /// Our agent there is killed.
    Agent,
    /// The daemon here is killed.
    Daemon,
    /// The host has no power for a moment.
    Power,
}

const ALL: [Act; 8] = [
    Act::Blink,
    Act::CutAndKill,
    Act::CutAndStop,
    Act::Loss,
    Act::Sshd,
    Act::Agent,
    Act::Daemon,
    Act::Power,
];

struct Stage {
    place: Place,
    hosts: Hosts,
    /// The attempts that a power loss has ended: what was in their pipes is gone with it.
    cut_off: BTreeMap<String, u32>,
}

impl Stage {
    fn new() -> Result<Self, Fault> {
        let hosts = Hosts::own(1, 0);
        let place = Place::new("")?;
        let program = place.program("faults").display().to_string();
        place.write("harness.yaml", &STACK.replace("PROGRAM", &program))?;
        let account = hosts.directory().join("disk").join(HOST);
        let account = account.join("root-home/faults/account");
        std::fs::create_dir_all(&account).map_err(Fault::io("make", &account))?;
        let here = place.path().join("account");
        symlink(&account, &here).map_err(Fault::io("make", &here))?;
        let stage = Self {
            place,
            hosts,
            cut_off: BTreeMap::new(),
        };
        let (address, print) = (stage.hosts.address(HOST), stage.fingerprint()?);
        let key = stage.hosts.directory().join("id_ed25519");
        let key = key.display().to_string();
        let words = [
            "host",
            "add",
            HOST,
            "--address",
            &address,
            "--user",
            "root",
            "--key",
            &key,
            "--fingerprint",
            &print,
        ];
        stage.place.ok(&words)?;
        stage.place.ok(&["start", "--wait"])?;
        Ok(stage)
    }

    fn fingerprint(&self) -> Result<String, Fault> {
        let known = self.hosts.directory().join("known_hosts");
        let known = known.display().to_string();
        let address = self.hosts.address(HOST);
        let said = tools::text("ssh-keygen", &["-l", "-F", &address, "-f", &known])?;
        let mut words = said.split_whitespace();
        let found = words.find(|word| word.starts_with("SHA256:"));
        found
            .map(str::to_owned)
            .ok_or_else(|| Fault::broken("the key of the host is known", said.clone()))
    }

    /// A shell there runs this, whatever comes of it.
    fn there(&self, script: &str) -> Result<(), Fault> {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.hosts.directory().join("ssh_config"));
        ssh.args([HOST, script]).stdin(Stdio::null());
        ssh.stdout(Stdio::null()).stderr(Stdio::null());
        ssh.status().map(drop).map_err(Fault::io("run", "ssh"))
    }

    fn suffer(&mut self, act: Act, chance: &mut Chance) -> Result<(), Fault> {
        let before = self.until_well(&TALKERS)?;
        let mut same: Vec<&str> = TALKERS.into();
        match act {
            Act::Blink => {
                self.hosts.act("cut", HOST, &[]);
                pass(Duration::from_millis(500 + chance.below(5_000) as u64));
                self.hosts.act("heal", HOST, &[]);
            }
            Act::CutAndKill => {
                self.cut_until_missed()?;
                self.place.kill_daemon()?;
                self.place.daemon_up()?;
                pass(Duration::from_millis(chance.below(3_000) as u64));
                self.nobody_ended()?;
                self.hosts.act("heal", HOST, &[]);
            }
            Act::CutAndStop => {
                self.cut_until_missed()?;
                let mut stop = self.place.spawn(&["stop", "b"])?;
                pass(Duration::from_millis(chance.below(3_000) as u64));
                self.hosts.act("heal", HOST, &[]);
                succeeded(&mut stop, "a stop that was ordered meanwhile")?;
                self.place
                    .until_unit("b", "stopped", |unit| !unit.is_up())?;
                self.place.ok(&["start", "b", "--wait"])?;
                same = vec!["a"];
            }
            Act::Loss => {
                self.hosts.act("loss", HOST, &["30"]);
                let mut restart = self.place.spawn(&["restart", "b"])?;
                pass(LOSSY);
                self.hosts.act("loss", HOST, &["0"]);
                succeeded(&mut restart, "a restart that was ordered meanwhile")?;
                same = vec!["a"];
            }
            Act::Sshd => self.there("pkill -KILL sshd")?,
            Act::Agent => self.there("pkill -KILL -f 'harness-shim agent'")?,
            Act::Daemon => self.place.kill_daemon()?,
            Act::Power => {
                let running = before.values().cloned();
                self.cut_off.extend(running.map(|instance| (instance, 1)));
                self.hosts.act("kill", HOST, &[]);
                self.until_missed()?;
                self.hosts.act("boot", HOST, &[]);
                same.clear();
            }
        }
        let after = self.until_well(&TALKERS)?;
        for unit in same {
            promise(
                before.get(unit) == after.get(unit),
                "what runs on the host goes on",
                || format!("{unit}: {before:?}, then {after:?}"),
            )?;
        }
        Ok(())
    }

    fn cut_until_missed(&self) -> Result<(), Fault> {
        self.hosts.act("cut", HOST, &[]);
        self.until_missed()
    }

    fn until_missed(&self) -> Result<(), Fault> {
        until(LONG, "the host is missed", || {
            let unit = self.place.unit("a")?;
            let reason = unit.0["reason"].as_str().unwrap_or_default();
            Ok(match reason.contains("cannot be reached") {
                true => Look::Holds(()),
                false => Look::NotYet(unit.0.to_string()),
            })
        })
    }

    /// What cannot be asked is not said to have ended.
    fn nobody_ended(&self) -> Result<(), Fault> {
        for name in TALKERS {
            let unit = self.place.unit(name)?;
            promise(
                unit.state() == "ready",
                "who cannot be asked has not ended",
                || unit.0.to_string(),
            )?;
        }
        Ok(())
    }

    /// Waits until these are ready, nothing is said against them, and they are heard; their attempts.
    fn until_well(&self, units: &[&str]) -> Result<BTreeMap<String, String>, Fault> {
        let attempts = until(LONG, "all is well", || {
            let mut attempts = BTreeMap::new();
            for name in units {
                let unit = self.place.unit(name)?;
                let is_well = unit.0["state"] == "ready" && unit.0["reason"].is_null();
                match unit.instance().filter(|_| is_well) {
                    Some(instance) => attempts.insert((*name).to_owned(), instance.to_owned()),
                    None => return Ok(Look::NotYet(unit.0.to_string())),
                };
            }
            Ok(Look::Holds(attempts))
        })?;
        for name in units {
            let ends = Ends::But(self.cut_off.clone());
            let had = self.place.talks(name, &ends)?;
            until(PATIENCE, "what they say comes here", || {
                let now = self.place.talks(name, &ends)?;
                Ok(crate::wait::seen(now > had, &now))
            })?;
        }
        let violations = self.place.account().violations();
        promise(violations.is_empty(), "no unit ever lives twice", || {
            violations.join(", ")
        })?;
        Ok(attempts)
    }

    fn finish(self) -> Result<u64, Fault> {
        self.place.ok(&["stop"])?;
        let mut lines = 0;
        let ends = Ends::But(self.cut_off);
        for talker in TALKERS {
            lines += self.place.talked(talker, &ends)?;
        }
        self.place.ok(&["down", "--yes"])?;
        self.place.finish()?;
        Ok(lines)
    }
}

fn succeeded(child: &mut std::process::Child, what: &str) -> Result<(), Fault> {
    let status = until(LONG, &format!("{what} is done"), || {
        let status = child.try_wait().map_err(Fault::io("await", "harness"))?;
        Ok(status.map_or_else(|| Look::NotYet("it runs".to_owned()), Look::Holds))
    })?;
    promise(status.success(), &format!("{what} succeeds"), || {
        status.to_string()
    })
}

const HOST: &str = "host1";
const TALKERS: [&str; 2] = ["a", "b"];

/// A connection is given up after 15 seconds, and tried again after 5 at most.
const LONG: Duration = Duration::from_secs(90);
const LOSSY: Duration = Duration::from_secs(8);

const STACK: &str = "\
name: hosts
services:
  a: &talker {type: remote, host: host1, working_dir: /root/faults, binary: PROGRAM, args: [play, writer, --talk, --rate, \"100\"], restart: always, log: {max_size: 64MiB}}
  b: *talker
";
