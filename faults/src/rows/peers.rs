//! What has gone wrong in other programs of this kind, each under the number of its report.
//!
//! Owns: scenarios that are no family of their own. What a family covers is not repeated here.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::wait::{Look, PATIENCE, pass, until, until_true};

/// process-compose 530: a restart while waiting for a dependency wedges, and later there are two.
pub(crate) fn process_compose_530(_: &Order) -> Result<String, Fault> {
    let place = Place::new(
        "\
name: peers
services:
  dep: {type: process, command: [FIXTURE, hold], readiness: {command: [test, -e, open], start_interval: 100ms}}
  app: {type: process, command: [PLAYER, writer, --rate, \"40\"], dependencies: [dep]}
",
    )?;
    let mut starting = place.spawn(&["start", "--wait"])?;
    until_true(PATIENCE, "the dependency runs", || {
        proc::marked()
            .iter()
            .any(|process| process.service() == Some("dep"))
    })?;
    let mut restarts = Vec::new();
    for _ in 0..3 {
        restarts.push(place.spawn(&["restart", "app"])?);
    }
    // They wait, for a gate that is shut; the daemon does not.
    promise(
        !place.unit("app")?.is_up(),
        "nothing starts before its gate opens",
        String::new,
    )?;
    std::fs::write(place.path().join("open"), "").map_err(Fault::io("write", "open"))?;
    for child in restarts.iter_mut().chain([&mut starting]) {
        until(PATIENCE, "a restart that waited is answered", || {
            let status = child.try_wait().map_err(Fault::io("await", "harness"))?;
            Ok(status.map_or_else(|| Look::NotYet("it waits".to_owned()), |_| Look::Holds(())))
        })?;
    }
    place.until_unit("app", "up", |unit| unit.is_up() && unit.is_settled())?;
    let living = proc::marked()
        .iter()
        .filter(|process| process.service() == Some("app"))
        .count();
    promise(living == 1, "one lives", || living.to_string())?;
    place.finish()?;
    Ok("3 restarts before the gate, one process behind it".to_owned())
}

/// process-compose 520, supervisor 1101: a grandchild survives, and the answer says that all is well.
pub(crate) fn process_compose_520(_: &Order) -> Result<String, Fault> {
    let place = Place::new(
        "\
name: peers
services:
  group: {type: process, command: \"setsid sh -c 'trap \\\"\\\" TERM; sleep 1000 & wait' & sleep 1000\", stop: {grace: 300ms}}
",
    )?;
    place.ok(&["start", "--wait"])?;
    until_true(PATIENCE, "the grandchildren are there", || {
        proc::marked().len() >= 4
    })?;
    place.ok(&["down", "--yes"])?;
    let left: Vec<String> = proc::marked()
        .iter()
        .map(proc::Process::described)
        .collect();
    promise(left.is_empty(), "`down` leaves nothing", || left.join(", "))?;
    place.finish()?;
    Ok("4 processes of two sessions, none left when `down` returns".to_owned())
}

/// process-compose 494, kurtosis 853: an update restarts what has not changed.
pub(crate) fn process_compose_494(_: &Order) -> Result<String, Fault> {
    let stack = |value: u32| {
        format!(
            "\
name: peers
services:
  same: {{type: process, command: [FIXTURE, hold]}}
  other: {{type: process, command: [FIXTURE, hold], env: {{VALUE: \"{value}\"}}}}
"
        )
    };
    let place = Place::new(&stack(0))?;
    place.ok(&["start", "--wait"])?;
    let (same, mut other) = (place.pid("same")?, place.pid("other")?);
    for value in 1..4 {
        place.write("harness.yaml", &stack(value))?;
        place.ok(&["start", "--wait"])?;
        promise(
            place.pid("same")? == same,
            "what has not changed is not touched",
            String::new,
        )?;
        let now = place.pid("other")?;
        promise(now != other, "what has changed is", || format!("{now}"))?;
        other = now;
    }
    place.finish()?;
    Ok("3 updates, the unchanged service is one process".to_owned())
}

/// process-compose 488: the probe of a stopped service goes on.
pub(crate) fn process_compose_488(_: &Order) -> Result<String, Fault> {
    let place = Place::new(
        "\
name: peers
services:
  a: {type: process, command: [FIXTURE, hold], readiness: {command: \"echo >> asked\", interval: 50ms}}
",
    )?;
    let asked = || {
        std::fs::read(place.path().join("asked"))
            .unwrap_or_default()
            .len()
    };
    place.ok(&["start", "--wait"])?;
    until_true(PATIENCE, "it is asked", || asked() > 5)?;
    place.ok(&["stop"])?;
    let before = asked();
    pass(Duration::from_millis(500));
    promise(
        asked() == before,
        "a stopped service is asked nothing",
        || (asked() - before).to_string(),
    )?;
    place.finish()?;
    Ok("0 questions in 10 intervals after the stop".to_owned())
}

/// containerd 9342 and 11511, moby 48890: output fills a pipe while the daemon is down, and the service hangs.
pub(crate) fn containerd_9342(_: &Order) -> Result<String, Fault> {
    let place = Place::new(
        "\
name: peers
services:
  a: {type: process, command: [PLAYER, writer, --count, \"200000\"], restart: \"no\", log: {max_size: 256MiB}}
",
    )?;
    place.ok(&["start"])?;
    place.kill_daemon()?;
    let account = place.account();
    until(
        PATIENCE,
        "it writes all it has to say without a daemon",
        || {
            let told: u64 = account
                .attempts("a")
                .iter()
                .map(|attempt| account.told(attempt))
                .sum();
            Ok(crate::wait::seen(told == 200_000, &told))
        },
    )?;
    place.until_unit("a", "known to have ended", |unit| unit.state() == "done")?;
    let lines = place.exact("a")?;
    place.finish()?;
    Ok(format!("{lines} lines while no daemon ran"))
}

/// supervisor 878, pm2 2607: a second start takes away what belongs to the first.
pub(crate) fn supervisor_878(_: &Order) -> Result<String, Fault> {
    let place =
        Place::new("name: peers\nservices:\n  a: {type: process, command: [FIXTURE, hold]}\n")?;
    place.ok(&["start", "--wait"])?;
    let (daemon, service) = (place.daemon()?, place.pid("a")?);
    for _ in 0..3 {
        let second = place.run(&["daemon", "run"])?;
        promise(second.code != 0, "a second daemon is refused", || {
            second.stderr.clone()
        })?;
    }
    promise(
        place.daemon()? == daemon && place.pid("a")? == service,
        "the first goes on as before",
        String::new,
    )?;
    place.finish()?;
    Ok("3 second daemons refused".to_owned())
}

/// nomad 6980: whoever stands beside the service dies, and its port stays taken.
pub(crate) fn nomad_6980(_: &Order) -> Result<String, Fault> {
    let place = Place::new(
        "\
name: peers
services:
  a: {type: process, command: [FIXTURE, serve, \"${a.port}\"], ports: [auto], readiness: {http: {path: /}}}
",
    )?;
    let mut ports = Vec::new();
    for _ in 0..3 {
        place.ok(&["start", "--wait"])?;
        let unit = place.unit("a")?;
        let address = unit.0["address"].as_str().unwrap_or_default().to_owned();
        let port: u16 = address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .unwrap_or(0);
        proc::kill(place.shim("a")?);
        place.kill_daemon()?;
        place.ok(&["stop"])?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        promise(free.is_ok(), "its port is free when it is stopped", || {
            address
        })?;
        ports.push(port);
    }
    place.finish()?;
    Ok(format!("{} ports free again", ports.len()))
}

/// nomad 27885: every restart of the daemon leaves descriptors behind.
pub(crate) fn nomad_27885(order: &Order) -> Result<String, Fault> {
    let place =
        Place::new("name: peers\nservices:\n  a: {type: process, command: [FIXTURE, hold]}\n")?;
    place.ok(&["start", "--wait"])?;
    let (service, shim) = (place.pid("a")?, place.shim("a")?);
    let count = || -> Result<[usize; 3], Fault> {
        let daemon = place.daemon_up()?;
        Ok([
            proc::descriptors(daemon),
            proc::descriptors(shim),
            proc::descriptors(service),
        ])
    };
    place.kill_daemon()?;
    let before = count()?;
    let rounds = order.pick(5, 30);
    for _ in 0..rounds {
        place.kill_daemon()?;
        place.status()?;
    }
    let after = count()?;
    let is_as_before = before
        .iter()
        .zip(after)
        .all(|(before, after)| after <= before + 2);
    promise(is_as_before, "descriptors stay where they were", || {
        format!("{before:?}, then {after:?}")
    })?;
    place.finish()?;
    Ok(format!(
        "daemon, shim, service: {before:?} before, {after:?} after {rounds} daemons"
    ))
}
