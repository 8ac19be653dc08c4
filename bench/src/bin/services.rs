//! What supervision of many services costs: start, stop, status, recovery, adoption, and doing nothing.
//!
//! Usage: `services [COUNT…]`, by default 100 200 500. Each figure is the median of several runs.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bench::contender::{Contender, Kind, present};
use bench::failure::Failure;
use bench::figures::{Figures, timed};
use bench::machine::Machine;
use bench::ours::{Ours, STACK};
use bench::process::{Held, Usage, all_gone, pss, rss};
use bench::report::{Column, Report};
use bench::service::Service;
use bench::stage::Stage;
use rustix::process::Signal;

fn main() -> ExitCode {
    let counts: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let counts = if counts.is_empty() {
        vec![100, 200, 500]
    } else {
        counts
    };
    match measure(&counts) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("services: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(counts: &[usize]) -> Result<(), Failure> {
    let (kinds, absent) = present();
    let mut report = Report::new("services", Machine::here(&std::env::temp_dir()), absent);
    if kinds.contains(&Kind::Ours) {
        one_service(&mut report)?;
    }
    for count in counts {
        for kind in &kinds {
            many(&mut report, *kind, *count)?;
        }
    }
    report.finish()
}

/// One service by a daemon that runs, and by one that must be brought up first.
fn one_service(report: &mut Report) -> Result<(), Failure> {
    let (mut floor, mut warm, mut cold) = (Figures::new(), Figures::new(), Figures::new());
    for _ in 0..ROUNDS {
        let stage = Stage::new()?;
        let services = Service::idle_many(&stage, 1);
        let mut ours: Box<dyn Contender> = Box::new(Ours::cold(&stage, &services, |_, _| {})?);
        cold.add_duration(up(&stage, ours.as_mut(), 1)?.0);
        ours.stop()?;
        warm.add_duration(up(&stage, ours.as_mut(), 1)?.0);
        ours.close()?;
        let mut bare = Kind::Floor.set_up(&stage, &services)?;
        floor.add_duration(up(&stage, bare.as_mut(), 1)?.0);
        bare.close()?;
    }
    for (workload, figures) in [
        ("one service, daemon running", warm),
        ("one service, no daemon yet", cold),
    ] {
        report.add(workload, "ms", Column::Of(Kind::Floor), floor.clone());
        report.add(workload, "ms", Column::Of(Kind::Ours), figures);
    }
    Ok(())
}

fn many(report: &mut Report, kind: Kind, count: usize) -> Result<(), Failure> {
    let (mut starts, mut stops, mut asked) = (Figures::new(), Figures::new(), Figures::new());
    for round in 0..ROUNDS {
        let stage = Stage::new()?;
        let mut contender = kind.set_up(&stage, &Service::idle_many(&stage, count))?;
        let (took, pids) = up(&stage, contender.as_mut(), count)?;
        starts.add_duration(took);
        for _ in 0..ROUNDS {
            let (answered, took) = timed(|| contender.status())?;
            if answered {
                asked.add_duration(took);
            }
        }
        let mut pids = pids;
        if round == 0 {
            at_rest(report, kind, contender.as_mut(), &pids)?;
            pids = recover(report, kind, &stage, contender.as_mut(), pids)?;
        }
        let held = pids
            .iter()
            .map(|pid| Held::new(*pid))
            .collect::<Result<Vec<_>, _>>()?;
        let begin = Instant::now();
        contender.stop()?;
        all_gone(&held)?;
        stops.add_duration(begin.elapsed());
        contender.close()?;
    }
    report.add(&format!("start of {count}"), "ms", Column::Of(kind), starts);
    report.add(
        &format!("stop of {count}, gone"),
        "ms",
        Column::Of(kind),
        stops,
    );
    if !asked.all().is_empty() {
        report.add(
            &format!("status of {count}, whole process"),
            "ms",
            Column::Of(kind),
            asked,
        );
    }
    if kind == Kind::Ours {
        held_and_adopted(report, count)?;
    }
    Ok(())
}

/// From the command until the last service tells that it runs.
fn up(
    stage: &Stage,
    contender: &mut dyn Contender,
    count: usize,
) -> Result<(Duration, Vec<u32>), Failure> {
    stage.hush();
    let begin = Instant::now();
    contender.start()?;
    let lines = stage.lines(count)?;
    let last = lines.iter().map(|line| line.at).max().unwrap_or(begin);
    let pids = lines
        .iter()
        .map(|line| line.pid())
        .collect::<Result<Vec<_>, _>>()?;
    Ok((last.duration_since(begin), pids))
}

/// Memory and wakeups while nothing happens.
fn at_rest(
    report: &mut Report,
    kind: Kind,
    contender: &mut dyn Contender,
    services: &[u32],
) -> Result<(), Failure> {
    let supervisors = contender.supervisors(services)?;
    // What was begun by asking may end first.
    std::thread::sleep(SETTLING);
    let before = Usage::of(&supervisors);
    std::thread::sleep(REST);
    let used = Usage::of(&supervisors).since(before);
    let count = services.len();
    let column = Column::Of(kind);
    let memory = pss(&supervisors) as f64 / 1e6;
    let seconds = REST.as_secs_f64();
    report.add(
        &format!("idle {count}: PSS of all that supervises"),
        "MB",
        column,
        memory.into(),
    );
    report.add(
        &format!("idle {count}: wakeups"),
        "per s",
        column,
        (used.wakeups as f64 / seconds).into(),
    );
    let cpu = used.cpu.as_secs_f64() * 1e3 / seconds;
    report.add(
        &format!("idle {count}: CPU"),
        "ms per s",
        column,
        cpu.into(),
    );
    if kind == Kind::Ours {
        let largest = supervisors.iter().map(|pid| rss(*pid)).max().unwrap_or(0);
        report.add(
            &format!("idle {count}: RSS of the daemon"),
            "MB",
            column,
            (largest as f64 / 1e6).into(),
        );
        let shims = supervisors.len().saturating_sub(1).max(1) as f64;
        let others: Vec<u32> = supervisors
            .iter()
            .copied()
            .filter(|pid| rss(*pid) != largest)
            .collect();
        let each = pss(&others) as f64 / 1e3 / shims;
        report.add(
            &format!("idle {count}: PSS of a shim"),
            "kB",
            column,
            each.into(),
        );
    }
    Ok(())
}

/// From `kill -9` of a service until its next instance runs, each service once.
fn recover(
    report: &mut Report,
    kind: Kind,
    stage: &Stage,
    contender: &mut dyn Contender,
    mut pids: Vec<u32>,
) -> Result<Vec<u32>, Failure> {
    let mut figures = Figures::new();
    let began = Instant::now();
    for pid in pids.iter_mut().take(KILLS) {
        let victim = Held::new(*pid)?;
        stage.hush();
        let begin = Instant::now();
        victim.signal(Signal::KILL);
        contender.tend(victim.pid())?;
        let next = stage.line()?;
        *pid = next.pid()?;
        figures.add_duration(next.at.duration_since(begin));
        // Who waits a second before each is known well enough by then.
        if began.elapsed() > ENOUGH {
            break;
        }
    }
    let workload = format!("kill to next instance, of {}", pids.len());
    report.add(&workload, "ms", Column::Of(kind), figures.clone());
    report.add(
        &format!("{workload}, slowest"),
        "ms",
        Column::Of(kind),
        figures.quantile(1.0).into(),
    );
    Ok(pids)
}

/// Status in a held connection, and all services taken over by a second daemon when the first was killed.
fn held_and_adopted(report: &mut Report, count: usize) -> Result<(), Failure> {
    let stage = Stage::new()?;
    let mut ours = Ours::new(&stage, &Service::idle_many(&stage, count))?;
    up(&stage, &mut ours, count)?;
    held_status(report, &ours, count)?;
    let pids = ours.pids()?;
    let mut figures = Figures::new();
    for _ in 0..ROUNDS {
        let daemon = Held::new(ours.daemon()?)?;
        daemon.signal(Signal::KILL);
        all_gone(std::slice::from_ref(&daemon))?;
        // A daemon answers only when it has adopted everything.
        let (_, took) = timed(|| ours.run(&["daemon", "start"]))?;
        figures.add_duration(took);
        if ours.pids()? != pids {
            return Err(Failure::Wrong(
                "adoption lost a service or started one twice".into(),
            ));
        }
    }
    let workload = format!("adoption of {count}, daemon start included");
    report.add(&workload, "ms", Column::Of(Kind::Ours), figures);
    Box::new(ours).close()
}

fn held_status(report: &mut Report, ours: &Ours, count: usize) -> Result<(), Failure> {
    let client = ours.connect()?;
    let stack = STACK
        .parse()
        .map_err(|error| Failure::Wrong(format!("{STACK} is no name: {error}")))?;
    let mut figures = Figures::new();
    for _ in 0..HELD_CALLS {
        let ask = || futures_lite::future::block_on(client.status(&stack));
        let (_, took) =
            timed(ask).map_err(|error| Failure::Wrong(format!("no status: {error}")))?;
        figures.add_duration(took);
    }
    let workload = format!("status of {count}, held connection");
    report.add(&workload, "ms", Column::Of(Kind::Ours), figures.clone());
    let slow = figures.quantile(0.99);
    report.add(
        &format!("{workload}, p99"),
        "ms",
        Column::Of(Kind::Ours),
        slow.into(),
    );
    Ok(())
}

const ROUNDS: usize = 5;
const KILLS: usize = 100;
const HELD_CALLS: usize = 1000;
const ENOUGH: Duration = Duration::from_secs(5);
const SETTLING: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(5);
