//! Disks that are full: of bytes, or of files.
//!
//! Owns: which directory is full, and what must go on meanwhile. Each directory is a file system of its own in this row.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::fault::{Fault, promise};
use crate::invariants::{Acknowledged, Checker};
use crate::place::Place;
use crate::proc;
use crate::row::Order;
use crate::tools;
use crate::wait::{Look, PATIENCE, until};

/// The directory of the logs is full of bytes.
pub(crate) fn logs(_: &Order) -> Result<String, Fault> {
    let place = Place::new(LOGS)?;
    let log = own_disk(&place, "log", "size=3m")?;
    let account = place.account();
    let told = |unit: &str| -> u64 {
        account
            .attempts(unit)
            .iter()
            .map(|id| account.told(id))
            .sum()
    };
    place.ok(&["start", "--wait"])?;
    until(PATIENCE, "the disk is full", || {
        let free = free_bytes(&log)?;
        Ok(crate::wait::seen(
            free < 8192,
            &format!("{free} bytes are free"),
        ))
    })?;
    // One drops, and goes on; the other waits.
    let (drops, holds) = (told("drops"), told("holds"));
    until(
        PATIENCE,
        "a service whose output is dropped goes on",
        || {
            let now = told("drops");
            Ok(crate::wait::seen(now > drops + 10_000, &now))
        },
    )?;
    let held = told("holds");
    until(
        PATIENCE,
        "a service whose output may not be dropped waits",
        || {
            let before = told("holds");
            crate::wait::pass(std::time::Duration::from_millis(300));
            Ok(crate::wait::seen(told("holds") == before, &before))
        },
    )?;
    place.ok(&["stop", "drops"])?;
    place.status()?;
    // The disk grows.
    tools::run(
        "mount",
        &["-o", "remount,size=512m", &log.display().to_string()],
    )?;
    until(PATIENCE, "the one that waited goes on", || {
        let now = told("holds");
        Ok(crate::wait::seen(now > held + 20_000, &now))
    })?;
    place.ok(&["stop"])?;
    let lines = place.exact("holds")?;
    place.finish()?;
    Ok(format!(
        "dropping went on ({drops} to +10,000 lines), holding waited ({holds}) and lost none of {lines}"
    ))
}

/// The directory of the state is full of bytes, then of files.
pub(crate) fn state(_: &Order) -> Result<String, Fault> {
    let place = Place::new(PAIR)?;
    let state = own_disk(&place, "state", "size=8m,nr_inodes=40")?;
    let mut checker = Checker::new(&place, &["a", "b"])?;
    for full in [fill_bytes as fn(&Path) -> Result<Filler, Fault>, fill_files] {
        place.ok(&["start", "a", "--wait"])?;
        let filler = full(&state)?;
        // Waits for the store, if it has to.
        let mut starting = place.spawn(&["start", "b", "--wait"])?;
        let begun = until(PATIENCE, "the start is held back, or done", || {
            let status = place.status()?;
            let is_done = starting
                .try_wait()
                .map_err(Fault::io("await", "harness"))?
                .is_some();
            Ok(crate::wait::seen(
                is_done || status.storage().is_some(),
                &status.0,
            ))
        });
        begun?;
        if place.status()?.storage().is_some() {
            let is_up = proc::marked()
                .iter()
                .any(|process| process.service() == Some("b"));
            promise(
                !is_up,
                "nothing is started that cannot be kept",
                String::new,
            )?;
        }
        let mut stopping = place.spawn(&["stop", "a"])?;
        until(PATIENCE, "a is stopped on a full disk", || {
            let left = proc::marked();
            let is_up = left.iter().any(|process| process.service() == Some("a"));
            Ok(crate::wait::seen(!is_up, &"it runs"))
        })?;
        drop(filler);
        for child in [&mut starting, &mut stopping] {
            until(PATIENCE, "commands are answered once there is room", || {
                let status = child.try_wait().map_err(Fault::io("await", "harness"))?;
                Ok(status.map_or_else(|| Look::NotYet("it waits".to_owned()), |_| Look::Holds(())))
            })?;
        }
        checker.check(&place, Acknowledged::Nothing)?;
        place.ok(&["start", "--wait"])?;
        place.ok(&["stop"])?;
    }
    place.finish()?;
    Ok("full of bytes and of files: stop works, recovers".to_owned())
}

/// The directory of the attempts is full of bytes, then of files.
pub(crate) fn run(_: &Order) -> Result<String, Fault> {
    let place = Place::new(PAIR)?;
    let run = own_disk(&place, "run", "size=256k,nr_inodes=40")?;
    let mut checker = Checker::new(&place, &["a", "b"])?;
    let mut reasons = Vec::new();
    for full in [fill_bytes as fn(&Path) -> Result<Filler, Fault>, fill_files] {
        place.ok(&["start", "a", "--wait"])?;
        let filler = full(&run)?;
        let refused = place.run(&["start", "b", "--wait", "--wait-timeout", "5s"])?;
        promise(
            refused.code != 0,
            "what has no room to run is not started",
            || refused.line.clone(),
        )?;
        let unit = place.unit("b")?;
        promise(!unit.is_up(), "and not said to run", || unit.0.to_string())?;
        reasons.push(unit.0["reason"].as_str().unwrap_or("no reason").to_owned());
        // Its end is recorded where its launch was.
        place.ok(&["stop", "a"])?;
        drop(filler);
        place.ok(&["start", "--wait"])?;
        checker.check(&place, Acknowledged::Up(&["a", "b"]))?;
        place.ok(&["stop"])?;
        checker.check(&place, Acknowledged::Down(&["a", "b"]))?;
    }
    promise(
        reasons.iter().all(|reason| reason.contains("space")),
        "the reason is told",
        || reasons.join("; "),
    )?;
    place.finish()?;
    Ok("full of bytes and of files: refused with the reason, stop works, recovers".to_owned())
}

/// A service that writes more than its share.
pub(crate) fn cap(_: &Order) -> Result<String, Fault> {
    let place = Place::new(CAPPED)?;
    place.ok(&["start", "--wait"])?;
    place.until_state("a", "done")?;
    let bytes = place.kept("a")?.len();
    let written: u64 = 60 * 100_000;
    promise(
        bytes <= 5 * 65_536,
        "a service keeps no more than its cap",
        || bytes.to_string(),
    )?;
    place.finish()?;
    Ok(format!(
        "{written} bytes written, {bytes} kept, 5 segments of 64 KiB allowed"
    ))
}

/// A file system of its own for a directory of the home.
pub(super) fn own_disk(place: &Place, name: &str, options: &str) -> Result<PathBuf, Fault> {
    let directory = place.home().join(name);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)
        .map_err(Fault::io("make", &directory))?;
    tools::mount_tmpfs(options, &directory)?;
    Ok(directory)
}

/// What fills a disk; gone when this is dropped.
struct Filler(Vec<PathBuf>);

impl Drop for Filler {
    fn drop(&mut self) {
        for path in &self.0 {
            // The row goes on to look whether there is room.
            let _ = fs::remove_file(path);
        }
    }
}

fn fill_bytes(directory: &Path) -> Result<Filler, Fault> {
    let path = directory.join("filler");
    let mut file = fs::File::create(&path).map_err(Fault::io("make", &path))?;
    let filler = Filler(vec![path]);
    for block in [65_536, 4096] {
        while file.write_all(&vec![0; block]).is_ok() {}
    }
    Ok(filler)
}

fn fill_files(directory: &Path) -> Result<Filler, Fault> {
    let mut filler = Filler(Vec::new());
    loop {
        let path = directory.join(format!("filler-{}", filler.0.len()));
        if fs::File::create(&path).is_err() {
            return Ok(filler);
        }
        filler.0.push(path);
    }
}

pub(super) fn free_bytes(directory: &Path) -> Result<u64, Fault> {
    let stat = rustix::fs::statvfs(directory)
        .map_err(|errno| Fault::io("ask", directory)(errno.into()))?;
    Ok(stat.f_bavail * stat.f_bsize)
}

const LOGS: &str = "\
name: full
services:
  drops: {type: process, command: [PLAYER, writer, --rate, \"20000\"], log: {max_size: 64MiB}}
  holds: {type: process, command: [PLAYER, writer, --rate, \"20000\"], log: {max_size: 64MiB, on_full: block}}
";

const PAIR: &str = "\
name: full
services:
  a: {type: process, command: [PLAYER, writer, --rate, \"40\"]}
  b: {type: process, command: [PLAYER, writer, --rate, \"40\"], restart: \"no\"}
";

const CAPPED: &str = "\
name: cap
services:
  a: {type: process, command: [PLAYER, writer, --count, \"100000\"], restart: \"no\", log: {max_size: 64KiB, max_files: 5}}
";
