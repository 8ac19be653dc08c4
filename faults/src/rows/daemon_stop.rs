//! The end of a daemon: asked once, twice, three times, and told to leave everything running.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::fault::{Fault, promise};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::wait::{Look, PATIENCE, pass, until, until_true};

/// SIGTERM once drains, twice hurries, three times leaves.
pub(crate) fn signals(_: &Order) -> Result<String, Fault> {
    let once = drained()?;
    let twice = hurried()?;
    left()?;
    Ok(format!(
        "once: drained in {} ms; twice: a deaf service gone in {} ms of its 60 s grace; thrice: left",
        once.as_millis(),
        twice.as_millis()
    ))
}

/// `daemon stop --keep`, and a daemon that takes over.
pub(crate) fn keep(_: &Order) -> Result<String, Fault> {
    let place = Place::new(WRITER)?;
    place.ok(&["start", "--wait"])?;
    let before = place.pid("a")?;
    for _ in 0..3 {
        place.ok(&["daemon", "stop", "--keep"])?;
        promise(
            proc::is_alive(before),
            "a service that is kept runs",
            String::new,
        )?;
        promise(place.pid("a")? == before, "and is taken over", String::new)?;
    }
    place.until_heard("a")?;
    let lines = place.exact(UNIT)?;
    let adopted = place.count_events("a", "service_adopted")?;
    promise(adopted == 3, "each take-over is told of", || {
        adopted.to_string()
    })?;
    place.finish()?;
    Ok(format!("3 daemons, one process, {lines} lines exact"))
}

fn drained() -> Result<Duration, Fault> {
    let place = Place::new(WRITER)?;
    let (mut daemon, service) = run(&place)?;
    let begun = Instant::now();
    proc::signal(daemon.id(), Signal::TERM);
    ends(&mut daemon, Duration::from_secs(10))?;
    promise(
        !proc::is_alive(service),
        "a daemon that is asked to end stops everything",
        String::new,
    )?;
    let took = begun.elapsed();
    place.finish()?;
    Ok(took)
}

fn hurried() -> Result<Duration, Fault> {
    let place = Place::new(DEAF)?;
    let (mut daemon, service) = run(&place)?;
    proc::signal(daemon.id(), Signal::TERM);
    place.until_state(UNIT, "stopping")?;
    promise(
        proc::is_alive(service),
        "once leaves a service its grace",
        String::new,
    )?;
    let begun = Instant::now();
    proc::signal(daemon.id(), Signal::TERM);
    ends(&mut daemon, Duration::from_secs(10))?;
    promise(
        !proc::is_alive(service),
        "asked twice, it kills what is left",
        String::new,
    )?;
    let took = begun.elapsed();
    place.finish()?;
    Ok(took)
}

/// The third comes while the second is being seen to: what the daemon looks after cannot be killed at once.
fn left() -> Result<(), Fault> {
    let place = Place::new(DEAF)?;
    let (mut daemon, service) = run(&place)?;
    // A shim that is stopped takes no order, so the second signal has nothing to show for itself.
    let shim = place.shim(UNIT)?;
    proc::signal(shim, Signal::STOP);
    for _ in 0..3 {
        proc::signal(daemon.id(), Signal::TERM);
        // Three that come at once may be one.
        pass(Duration::from_millis(150));
    }
    ends(&mut daemon, Duration::from_secs(5))?;
    promise(
        proc::is_alive(service),
        "asked three times, it leaves what runs",
        String::new,
    )?;
    proc::signal(shim, Signal::CONT);
    until_true(PATIENCE, "the next daemon ends what was to end", || {
        place
            .unit(UNIT)
            .is_ok_and(|unit| unit.is_settled() || !unit.is_up())
    })?;
    place.run(&["stop", "--force", "--timeout", "1s"])?;
    place.finish()
}

/// A daemon in the foreground, with its service.
fn run(place: &Place) -> Result<(Child, u32), Fault> {
    let mut command = place.command(&["daemon", "run"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let daemon = command.spawn().map_err(Fault::io("run", "harness"))?;
    until(PATIENCE, "the daemon answers", || {
        let pid = place.daemon()?;
        Ok(crate::wait::seen(pid == Some(daemon.id()), &"not yet"))
    })?;
    place.ok(&["start", "--wait"])?;
    Ok((daemon, place.pid(UNIT)?))
}

fn ends(daemon: &mut Child, limit: Duration) -> Result<(), Fault> {
    until(limit, "the daemon ends", || {
        let status = daemon.try_wait().map_err(Fault::io("await", "harness"))?;
        Ok(status.map_or_else(|| Look::NotYet("it runs".to_owned()), |_| Look::Holds(())))
    })
}

const UNIT: &str = "a";

const WRITER: &str = "\
name: ends
services:
  a: {type: process, command: [PLAYER, writer, --rate, \"100\"]}
";

const DEAF: &str = "\
name: ends
services:
  a: {type: process, command: [FIXTURE, ignore-term], stop: {grace: 60s}}
";
