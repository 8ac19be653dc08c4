//! Logs that are exact to the byte, whoever is killed while they are written.
//!
//! Owns: the kills, and the short-lived service whose exit code has to be right or unknown after each.

use std::path::Path;

use crate::chance::Chance;
use crate::fault::{Fault, promise};
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::tools;
use crate::wait::{Look, PATIENCE, pass, until, until_true};

/// Where the home lies.
#[derive(Clone, Copy, Debug)]
enum Disk {
    Ext4,
    Tmpfs,
}

/// The daemon is killed while five services write, on ext4.
pub(crate) fn daemon_ext4(order: &Order) -> Result<String, Fault> {
    daemon(order, Disk::Ext4)
}

/// The same on tmpfs.
pub(crate) fn daemon_tmpfs(order: &Order) -> Result<String, Fault> {
    daemon(order, Disk::Tmpfs)
}

/// Shims are killed while five services write, on ext4.
pub(crate) fn shim_ext4(order: &Order) -> Result<String, Fault> {
    shims(order, Disk::Ext4)
}

/// The same on tmpfs.
pub(crate) fn shim_tmpfs(order: &Order) -> Result<String, Fault> {
    shims(order, Disk::Tmpfs)
}

fn place_on(disk: Disk) -> Result<Place, Fault> {
    let place = Place::new(STACK)?;
    let home = place.home();
    std::fs::create_dir(&home).map_err(Fault::io("make", &home))?;
    mount(disk, &home)?;
    // A fresh ext4 is everybody's to read, which the program refuses for its home.
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700))
        .map_err(Fault::io("close", &home))?;
    Ok(place)
}

fn mount(disk: Disk, home: &Path) -> Result<(), Fault> {
    match disk {
        Disk::Ext4 => tools::mount_ext4(512, home),
        Disk::Tmpfs => tools::mount_tmpfs("size=512m", home),
    }
}

fn daemon(order: &Order, disk: Disk) -> Result<String, Fault> {
    let place = place_on(disk)?;
    let mut checker = Checker::new(&place, &WRITERS)?;
    place.ok(&["start", "--wait"])?;
    let kills = order.pick(10, 100);
    let mut chance = Chance::new(order.seed);
    let mut witnessed = 0;
    for round in 0..kills {
        let say = |fault: Fault| fault.at(format!("kill {}", round + 1));
        let before = running(&place)?;
        place.ok(&["start", "mayfly"]).map_err(say)?;
        pass(std::time::Duration::from_millis(chance.below(120) as u64));
        place.kill_daemon().map_err(say)?;
        let mayfly = place
            .until_unit("mayfly", "known to have ended", |unit| {
                !unit.is_up() && unit.is_settled()
            })
            .map_err(say)?;
        // Its shim saw it, whoever else was dead.
        promise(
            mayfly.0["exit_code"] == 7,
            "an exit that the shim saw is known",
            || mayfly.0.to_string(),
        )
        .map_err(say)?;
        witnessed += 1;
        promise(
            running(&place)? == before,
            "services notice nothing",
            || format!("{before:?}"),
        )
        .map_err(say)?;
        if round % 10 == 9 {
            checker
                .check(&place, Acknowledged::Up(&WRITERS))
                .map_err(say)?;
        }
    }
    finish(place, format!("{kills} kills, {witnessed} exits known"))
}

fn shims(order: &Order, disk: Disk) -> Result<String, Fault> {
    let place = place_on(disk)?;
    let mut checker = Checker::new(&place, &WRITERS)?;
    place.ok(&["start", "--wait"])?;
    let kills = order.pick(8, 50);
    let mut chance = Chance::new(order.seed);
    let (mut known, mut unknown) = (0, 0);
    for round in 0..kills {
        let say = |fault: Fault| fault.at(format!("kill {}", round + 1));
        let before = running(&place)?;
        // The shim of a writer, and that of a service that is about to end.
        let writer = *chance.of(&WRITERS);
        let victim = until(PATIENCE, "the writer has a shim", || {
            Ok(place
                .shim(writer)
                .map_or_else(|fault| Look::NotYet(fault.to_string()), Look::Holds))
        })
        .map_err(say)?;
        place.ok(&["start", "mayfly"]).map_err(say)?;
        if let Ok(mayfly) = place.shim("mayfly") {
            proc::kill(mayfly);
        }
        proc::kill(victim);
        until_true(PATIENCE, "the killed shim is gone", || {
            !proc::is_alive(victim)
        })
        .map_err(say)?;
        let mayfly = place
            .until_unit("mayfly", "known to have ended", |unit| {
                !unit.is_up() && unit.is_settled()
            })
            .map_err(say)?;
        match (&mayfly.0["exit_code"], mayfly.0["exit_unknown"] == true) {
            (code, false) if *code == 7 => known += 1,
            (code, true) if code.is_null() => unknown += 1,
            _ => {
                let found = mayfly.0.to_string();
                return Err(say(Fault::broken(
                    "an exit is right or unknown, never invented",
                    found,
                )));
            }
        }
        promise(
            running(&place)? == before,
            "services notice nothing",
            || format!("{before:?}"),
        )
        .map_err(say)?;
        if round % 10 == 9 {
            checker
                .check(&place, Acknowledged::Up(&WRITERS))
                .map_err(say)?;
        }
    }
    finish(
        place,
        format!("{kills} kills, {known} exits known, {unknown} unknown"),
    )
}

/// Everything that was written is there, and shown, once the writers have ended.
fn finish(place: Place, figure: String) -> Result<String, Fault> {
    for writer in WRITERS {
        place.until_heard(writer)?;
        place.exact_and_shown(writer)?;
    }
    place.ok(&["stop"])?;
    let mut lines = 0;
    for writer in WRITERS {
        lines += place.exact(writer)?;
    }
    place.finish()?;
    Ok(format!(
        "{figure}; {lines} lines, none lost, doubled or torn"
    ))
}

/// The processes of the writers.
fn running(place: &Place) -> Result<Vec<Option<u32>>, Fault> {
    let units = place.status()?.units();
    let is_writer = |name: &str| WRITERS.contains(&name);
    Ok(units
        .iter()
        .filter(|unit| is_writer(unit.name()))
        .map(crate::asked::Unit::pid)
        .collect())
}

const WRITERS: [&str; 5] = ["a", "b", "c", "d", "e"];

const STACK: &str = "\
name: exact
services:
  a: {type: process, command: [PLAYER, writer, --rate, \"2000\"], log: &log {max_size: 64MiB}}
  b: {type: process, command: [PLAYER, writer, --rate, \"500\"], log: *log}
  c: {type: process, command: [PLAYER, writer, --rate, \"100\"], log: *log}
  d: {type: process, command: [PLAYER, writer, --rate, \"1000\"], log: *log}
  e: {type: process, command: [PLAYER, writer, --rate, \"50\"], log: *log}
  mayfly: {type: process, command: [PLAYER, writer, --rate, \"400\", --count, \"20\", --exit, \"7\"], restart: \"no\", profiles: [short]}
";
