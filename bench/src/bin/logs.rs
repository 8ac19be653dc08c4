//! What captured output costs: how fast services may write, and what the supervisor spends on it.
//!
//! Usage: `logs [MIB]`: how much each workload writes, by default 512 MiB. A rate is from the moment when the services are
//! let go until the last write has returned.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{ChildStdout, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::contender::{Contender, Kind, present};
use bench::failure::Failure;
use bench::figures::{Figures, timed};
use bench::machine::Machine;
use bench::ours::{Ours, STACK};
use bench::process::Usage;
use bench::pump::{Pump, Way};
use bench::report::{Column, Report};
use bench::service::Service;
use bench::stage::Stage;
use bench::writer;
use serde_json::json;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match play(&arguments).or_else(|| measured(&arguments)) {
        Some(Ok(())) | None => ExitCode::SUCCESS,
        Some(Err(said)) => {
            eprintln!("logs: {said}");
            ExitCode::FAILURE
        }
    }
}

/// Is a writer or a pump, when asked to be one.
fn play(arguments: &[String]) -> Option<Result<(), String>> {
    let verb = arguments.first()?;
    let way = [Way::Copy, Way::Splice]
        .into_iter()
        .find(|way| way.verb() == verb);
    let played = match way {
        Some(way) => way.play(),
        None if verb == writer::VERB => writer::play(&arguments[1..]),
        None => return None,
    };
    Some(played.map_err(|error: io::Error| error.to_string()))
}

fn measured(arguments: &[String]) -> Option<Result<(), String>> {
    let mib = arguments
        .first()
        .and_then(|word| word.parse().ok())
        .unwrap_or(512);
    Some(measure(mib).map_err(|failure| failure.to_string()))
}

/// How much is written, by how many, in writes of what size.
#[derive(Clone, Copy)]
struct Load {
    title: &'static str,
    writers: usize,
    chunk: usize,
    bytes: usize,
}

fn measure(mib: usize) -> Result<(), Failure> {
    let loads = [
        Load {
            title: "one service, 64 KiB writes",
            writers: 1,
            chunk: 65_536,
            bytes: mib << 20,
        },
        Load {
            title: "one service, 200 B writes",
            writers: 1,
            chunk: 200,
            bytes: (mib / 4) << 20,
        },
        Load {
            title: "20 services, 64 KiB writes",
            writers: 20,
            chunk: 65_536,
            bytes: mib << 20,
        },
    ];
    let (kinds, absent) = present();
    let mut report = Report::new("logs", Machine::here(&std::env::temp_dir()), absent);
    let mut columns: Vec<Column> = kinds.iter().map(|kind| Column::Of(*kind)).collect();
    columns.extend([Column::Copy, Column::Splice]);
    for load in loads {
        for column in &columns {
            write_through(&mut report, load, *column)?;
        }
    }
    if kinds.contains(&Kind::Ours) {
        handed_over(&mut report, loads[0])?;
        followed(&mut report, loads[0])?;
        asked_meanwhile(&mut report, loads[0])?;
    }
    report.finish()
}

fn set_up(
    column: Column,
    stage: &Stage,
    services: &[Service],
) -> Result<Box<dyn Contender>, Failure> {
    Ok(match column {
        Column::Of(kind) => kind.set_up(stage, services)?,
        Column::Copy => Box::new(Pump::new(Way::Copy, stage, services)),
        Column::Splice => Box::new(Pump::new(Way::Splice, stage, services)),
        Column::Docker
        | Column::Compose(_)
        | Column::Ssh
        | Column::SharedSsh
        | Column::Link
        | Column::WireGuardGo => {
            return Err(Failure::Wrong(format!("no logs of {}", column.name())));
        }
    })
}

fn write_through(report: &mut Report, load: Load, column: Column) -> Result<(), Failure> {
    let (mut rates, mut costs) = (Figures::new(), Figures::new());
    for _ in 0..ROUNDS {
        let mut stage = Stage::new()?;
        let services = writers(&stage, load)?;
        let mut contender = set_up(column, &stage, &services)?;
        let (rate, cost) = one_run(&mut stage, contender.as_mut(), load)?;
        rates.add(rate);
        costs.add(cost);
        contender.close()?;
    }
    report.add(load.title, "MB/s", column, rates);
    report.add(
        &format!("{}: supervisor CPU", load.title),
        "s per GiB",
        column,
        costs,
    );
    Ok(())
}

fn writers(stage: &Stage, load: Load) -> Result<Vec<Service>, Failure> {
    (0..load.writers)
        .map(|number| {
            writer::service(
                stage,
                format!("w{number}"),
                load.chunk,
                load.bytes / load.writers,
            )
        })
        .collect()
}

/// MB per second, and seconds on a core that supervision takes for a GiB.
fn one_run(
    stage: &mut Stage,
    contender: &mut dyn Contender,
    load: Load,
) -> Result<(f64, f64), Failure> {
    contender.start()?;
    let told = stage.lines(load.writers)?;
    let pids = told
        .iter()
        .map(|line| line.pid())
        .collect::<Result<Vec<_>, _>>()?;
    let supervisors = contender.supervisors(&pids)?;
    let before = Usage::of(&supervisors);
    let begin = Instant::now();
    stage.go(load.writers)?;
    let last = stage
        .lines(load.writers)?
        .pop()
        .map_or(begin, |line| line.at);
    let seconds = last.duration_since(begin).as_secs_f64();
    // The rest of the pipes is moved, and paid for, after the last write.
    std::thread::sleep(DRAINING);
    let used = Usage::of(&supervisors).since(before).cpu.as_secs_f64();
    let gib = load.bytes as f64 / f64::from(1 << 30);
    Ok((load.bytes as f64 / 1e6 / seconds, used / gib))
}

/// `log: {mode: file}`: the service writes to its file itself.
fn handed_over(report: &mut Report, load: Load) -> Result<(), Failure> {
    for kind in [Kind::Floor, Kind::Ours] {
        let mut rates = Figures::new();
        for _ in 0..ROUNDS {
            let mut stage = Stage::new()?;
            let services = writers(&stage, load)?;
            let mut contender: Box<dyn Contender> = match kind {
                Kind::Ours => Box::new(Ours::with(&stage, &services, |_, entry| {
                    entry.insert("log".into(), json!({"mode": "file"}));
                })?),
                other => other.set_up(&stage, &services)?,
            };
            rates.add(one_run(&mut stage, contender.as_mut(), load)?.0);
            contender.close()?;
        }
        report.add(
            "log mode `file`, 64 KiB writes",
            "MB/s",
            Column::Of(kind),
            rates,
        );
    }
    Ok(())
}

/// With `harness logs --follow` reading all of it.
fn followed(report: &mut Report, load: Load) -> Result<(), Failure> {
    let (mut rates, mut read_rates, mut shares) = (Figures::new(), Figures::new(), Figures::new());
    for _ in 0..ROUNDS {
        let mut stage = Stage::new()?;
        let mut ours = Ours::new(&stage, &writers(&stage, load)?)?;
        ours.start()?;
        stage.lines(1)?;
        let mut command = ours.command(&["logs", "--follow", "--no-prefix", "w0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut follower = command.spawn().map_err(Failure::io("follow a log"))?;
        let mut reader = BufReader::new(follower.stdout.take().expect("stdout was piped above"));
        // The writer's first line shows that the follower has caught up with it.
        reader
            .read_line(&mut String::new())
            .map_err(Failure::io("read what is followed"))?;
        let begin = Instant::now();
        stage.go(1)?;
        let counter = Counter::new(reader);
        let done = stage.line()?;
        rates.add(load.bytes as f64 / 1e6 / done.at.duration_since(begin).as_secs_f64());
        let (read, took) = counter.settle(begin, load.bytes as u64);
        read_rates.add(read as f64 / 1e6 / took.as_secs_f64());
        shares.add(read as f64 * 100.0 / load.bytes as f64);
        Box::new(ours).close()?;
        follower.kill().map_err(Failure::io("end the follower"))?;
        follower
            .wait()
            .map_err(Failure::io("wait for the follower"))?;
        counter.join();
    }
    let column = Column::Of(Kind::Ours);
    report.add("with a follower: the service", "MB/s", column, rates);
    report.add("with a follower: the reader", "MB/s", column, read_rates);
    report.add(
        "with a follower: read, the rest told as a gap",
        "% of bytes",
        column,
        shares,
    );
    Ok(())
}

/// Counts what a follower prints.
struct Counter {
    bytes: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Counter {
    fn new(mut from: BufReader<ChildStdout>) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                seen.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
        Self { bytes, thread }
    }

    /// What it read, and until when: all of it, or as much as came before a pause.
    fn settle(&self, begin: Instant, all: u64) -> (u64, Duration) {
        let mut seen = (0, Instant::now());
        loop {
            let now = self.bytes.load(Ordering::Relaxed);
            if now > seen.0 {
                seen = (now, Instant::now());
            }
            if now >= all || seen.1.elapsed() > PAUSE {
                return (now, seen.1.duration_since(begin));
            }
            std::thread::sleep(GLANCE);
        }
    }

    fn join(self) {
        // It reads until the follower is gone, and has nothing that could panic.
        let _ = self.thread.join();
    }
}

/// Status in a held connection while a service floods its log.
fn asked_meanwhile(report: &mut Report, load: Load) -> Result<(), Failure> {
    let mut stage = Stage::new()?;
    let mut services = writers(&stage, load)?;
    services.extend(Service::idle_many(&stage, 99));
    let mut ours = Ours::new(&stage, &services)?;
    ours.start()?;
    stage.lines(100)?;
    let client = ours.connect()?;
    let stack = STACK
        .parse()
        .map_err(|error| Failure::Wrong(format!("{STACK} is no name: {error}")))?;
    let mut figures = Figures::new();
    stage.go(1)?;
    while stage.line_within(Duration::ZERO).is_err() {
        let ask = || futures_lite::future::block_on(client.status(&stack));
        let (_, took) =
            timed(ask).map_err(|error| Failure::Wrong(format!("no status: {error}")))?;
        figures.add_duration(took);
    }
    let workload = "status of 100 in a held connection while one floods";
    let slow = figures.quantile(0.99);
    report.add(workload, "ms", Column::Of(Kind::Ours), figures);
    report.add(
        &format!("{workload}, p99"),
        "ms",
        Column::Of(Kind::Ours),
        slow.into(),
    );
    Box::new(ours).close()
}

const ROUNDS: usize = 3;
const DRAINING: Duration = Duration::from_millis(200);
const PAUSE: Duration = Duration::from_secs(1);
const GLANCE: Duration = Duration::from_millis(1);
