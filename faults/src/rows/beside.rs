//! The same writer and the same trees under other programs, for a table of figures.
//!
//! Owns: how each program is set up, killed and asked to stop, and the line of the table. Promises nothing of others: a row
//! fails only when it cannot be tried. Installs nothing: what is missing is named with its Debian package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::fault::Fault;
use crate::place::Place;
use crate::player::Account;
use crate::proc;
use crate::row::Order;
use crate::wait::{PATIENCE, pass, until_true};

/// The head of the table.
pub(crate) const HEADER: &str = "\
| | killed with `kill -9` | the service then | lines told of and not kept | started again beside the living | of 6 processes after its stop |
|---|---|---|---|---|---|";

/// What came of a number of kills.
struct Line {
    who: &'static str,
    kills: String,
    /// How often the service was still the same process a moment later.
    survived: usize,
    tried: usize,
    lost: u64,
    told: u64,
    doubled: usize,
    left: usize,
}

impl Line {
    fn shown(&self) -> String {
        let then = match self.survived {
            count if count == self.tried => "goes on".to_owned(),
            0 => "ends each time".to_owned(),
            count => format!("goes on {count} times of {}", self.tried),
        };
        format!(
            "| {} | {} | {then} | {} of {} | {} | {} left |",
            self.who, self.kills, self.lost, self.told, self.doubled, self.left
        )
    }
}

pub(crate) fn harness_daemon(order: &Order) -> Result<String, Fault> {
    ours(order.pick(10, 100), "daemon", |place| {
        place.kill_daemon()?;
        Ok(())
    })
}

pub(crate) fn harness_shim(_: &Order) -> Result<String, Fault> {
    ours(8, "shim", |place| {
        let shim = place.shim("w")?;
        proc::kill(shim);
        until_true(PATIENCE, "the killed shim is gone", || {
            !proc::is_alive(shim)
        })
    })
}

fn ours(
    kills: usize,
    what: &str,
    kill: impl Fn(&Place) -> Result<(), Fault>,
) -> Result<String, Fault> {
    let place = Place::new(OURS)?;
    place.ok(&["start", "--wait"])?;
    let mut survived = 0;
    for _ in 0..kills {
        let pid = place.pid("w")?;
        pass(BETWEEN);
        kill(&place)?;
        pass(BETWEEN);
        survived += usize::from(place.pid("w")? == pid);
    }
    place.ok(&["stop"])?;
    let (told, lost) = balance(&place.account(), "w", &place.kept("w")?);
    let line = Line {
        who: "harness",
        kills: format!("{kills} times ({what})"),
        survived,
        tried: kills,
        lost,
        told,
        doubled: place.account().violations().len(),
        left: trees(),
    };
    place.finish()?;
    Ok(line.shown())
}

pub(crate) fn supervisord(_: &Order) -> Result<String, Fault> {
    let daemon = needed("supervisord", "install the Debian package supervisor")?;
    let control = needed("supervisorctl", "install the Debian package supervisor")?;
    let place = Place::new("name: beside\nservices: {}\n")?;
    let at = place.path().display().to_string();
    let (own, fixture) = programs(&place);
    let common = format!(
        "directory={at}\nstopasgroup=true\nkillasgroup=true\nstopwaitsecs=1\nstdout_logfile_maxbytes=0\n"
    );
    let mut text = format!(
        "[supervisord]\nlogfile={at}/s.log\npidfile={at}/s.pid\ndirectory={at}\n\
         [unix_http_server]\nfile={at}/s.sock\n[supervisorctl]\nserverurl=unix://{at}/s.sock\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [program:w]\ncommand=sh -c \"{}\"\nstdout_logfile={at}/w.out\n{common}",
        writer(&own)
    );
    for (name, arguments) in TREES {
        text.push_str(&format!(
            "[program:{name}]\ncommand={fixture} {arguments}\nautostart=false\n{common}"
        ));
    }
    place.write("s.conf", &text)?;
    let config = format!("{at}/s.conf");
    let start = || spawn(Command::new(&daemon).args(["-n", "-c", &config]));
    let kills = 10;
    let (mut child, mut survived) = (start()?, 0);
    for _ in 0..kills {
        let pid = writing(&place)?;
        pass(BETWEEN);
        end(&mut child)?;
        pass(BETWEEN * 4);
        survived += usize::from(proc::is_alive(pid));
        // Refused while its socket of before is thought to be in use.
        let _ = fs::remove_file(place.path().join("s.sock"));
        child = start()?;
    }
    writing(&place)?;
    // Only now: those of before each kill would be left over, too.
    let mut start = Command::new(&control);
    run(start.args(["-c", &config, "start", "twice", "deaf", "tree"]))?;
    let mut stop = Command::new(&control);
    run(stop.args(["-c", &config, "stop", "all"]))?;
    let line = finished(
        &place,
        "supervisord (`stopasgroup`, `killasgroup`)",
        kills,
        survived,
        "w.out",
    )?;
    end(&mut child)?;
    Ok(line)
}

pub(crate) fn runit(_: &Order) -> Result<String, Fault> {
    const PACKAGE: &str = "install the Debian package runit";
    let (runsv, sv) = (needed("runsv", PACKAGE)?, needed("sv", PACKAGE)?);
    let svlogd = needed("svlogd", PACKAGE)?;
    let place = Place::new("name: beside\nservices: {}\n")?;
    let (own, fixture) = programs(&place);
    let at = place.path();
    let mut names = vec![("w", format!("cd {}; {}", at.display(), writer(&own)))];
    names.extend(TREES.map(|(name, arguments)| (name, format!("exec {fixture} {arguments}"))));
    for (name, command) in &names {
        script(&at.join(name), command)?;
    }
    let kept = at.join("kept");
    fs::create_dir(&kept).map_err(Fault::io("make", &kept))?;
    // One file, however long.
    place.write("kept/config", "s0\nn0\n")?;
    let log = format!("exec {} {}", svlogd.display(), kept.display());
    script(&at.join("w/log"), &log)?;
    let start = |name: &str| spawn(Command::new(&runsv).arg(at.join(name)));
    let mut others = Vec::new();
    for (name, _) in TREES {
        others.push(start(name)?);
    }
    let kills = 5;
    let (mut child, mut survived) = (start("w")?, 0);
    for _ in 0..kills {
        let pid = writing(&place)?;
        pass(BETWEEN);
        end(&mut child)?;
        pass(BETWEEN * 4);
        survived += usize::from(proc::is_alive(pid));
        child = start("w")?;
        pass(BETWEEN * 8);
    }
    for (name, _) in &names {
        let mut stop = Command::new(&sv);
        // It says by its exit code that something is left.
        let _ = run(stop.args(["-w", "3", "force-stop"]).arg(at.join(name)));
    }
    let line = finished(
        &place,
        "runit (`runsv`, `svlogd`, `force-stop`)",
        kills,
        survived,
        "kept/current",
    )?;
    for child in others.iter_mut().chain([&mut child]) {
        end(child)?;
    }
    Ok(line)
}

/// What is to be said after the stop.
fn finished(
    place: &Place,
    who: &'static str,
    kills: usize,
    survived: usize,
    log: &str,
) -> Result<String, Fault> {
    pass(BETWEEN * 10);
    let left = trees();
    // One that still writes would be told of more than what was read a moment before.
    for process in proc::all() {
        if process.command.contains("play writer") {
            proc::kill(process.pid);
        }
    }
    pass(BETWEEN * 4);
    let log = place.path().join(log);
    let kept = fs::read(&log).map_err(Fault::io("read", &log))?;
    let (told, lost) = balance(&place.account(), "w", &kept);
    let line = Line {
        who,
        kills: format!("{kills} times"),
        survived,
        tried: kills,
        lost,
        told,
        doubled: place.account().violations().len(),
        left,
    };
    Ok(line.shown())
}

/// Lines that were told of, and how many of them are not in the log.
fn balance(account: &Account, unit: &str, kept: &[u8]) -> (u64, u64) {
    let kept = String::from_utf8_lossy(kept);
    let (mut all, mut lost) = (0, 0);
    for instance in account.attempts(unit) {
        let told = account.told(&instance);
        let mark = format!(" {instance} ");
        let there = kept.lines().filter(|line| line.contains(&mark)).count() as u64;
        all += told;
        lost += told.saturating_sub(there);
    }
    (all, lost)
}

/// How many processes of the trees live.
fn trees() -> usize {
    let names = ["fixture", "__deaf"];
    let is_tree = |it: &proc::Process| names.iter().any(|name| it.command.contains(name));
    let all = proc::all();
    all.iter()
        .filter(|it| !it.is_zombie() && is_tree(it))
        .count()
}

/// Waits until somebody writes; who.
fn writing(place: &Place) -> Result<u32, Fault> {
    let mut found = 0;
    until_true(PATIENCE, "the writer writes", || {
        let all = proc::all();
        let writer = all
            .iter()
            .find(|it| it.command.contains("play writer") && !it.is_zombie());
        found = writer.map_or(0, |it| it.pid);
        found != 0 && !place.account().attempts("w").is_empty()
    })?;
    Ok(found)
}

fn writer(own: &str) -> String {
    format!("HARNESS_SERVICE=w HARNESS_INSTANCE_ID=i$$ exec {own} play writer --rate 2000")
}

fn programs(place: &Place) -> (String, String) {
    let shown = |name: &str| place.program(name).display().to_string();
    (shown("faults"), shown("fixture"))
}

fn script(directory: &Path, command: &str) -> Result<(), Fault> {
    fs::create_dir_all(directory).map_err(Fault::io("make", directory))?;
    let path = directory.join("run");
    fs::write(&path, format!("#!/bin/sh\n{command}\n")).map_err(Fault::io("write", &path))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&path, mode).map_err(Fault::io("open up", &path))
}

fn needed(program: &'static str, advice: &'static str) -> Result<std::path::PathBuf, Fault> {
    crate::tools::find(program).map_err(|_| Fault::Missing {
        what: program.to_owned(),
        advice,
    })
}

fn spawn(command: &mut Command) -> Result<Child, Fault> {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null());
    let program = quiet.get_program().to_owned();
    let spawned = quiet.stderr(Stdio::null()).spawn();
    spawned.map_err(Fault::io("run", program))
}

fn run(command: &mut Command) -> Result<(), Fault> {
    let program = command.get_program().to_owned();
    spawn(command)?
        .wait()
        .map(drop)
        .map_err(Fault::io("await", program))
}

/// Kills it and takes it in.
fn end(child: &mut Child) -> Result<(), Fault> {
    proc::kill(child.id());
    child.wait().map(drop).map_err(Fault::io("await", "it"))
}

/// Long enough for a thousand lines.
const BETWEEN: Duration = Duration::from_millis(250);

/// Six processes: two of a double fork, a deaf one, three below one another.
const TREES: [(&str, &str); 3] = [
    ("twice", "daemonize --stay"),
    ("deaf", "ignore-term"),
    ("tree", "tree"),
];

const OURS: &str = "\
name: beside
x-stop: &stop {grace: 1s}
services:
  w: {type: process, command: [PLAYER, writer, --rate, \"2000\"]}
  twice: {type: process, command: [FIXTURE, daemonize, --stay], stop: *stop}
  deaf: {type: process, command: [FIXTURE, ignore-term], stop: *stop}
  tree: {type: process, command: [FIXTURE, tree], stop: *stop}
";
