//! What a gate costs: fifty services, each started when the one before is ready.
//!
//! Usage: `chain [COUNT]`. The floor starts each when the one before has told that it runs.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use bench::contender::{Contender, Kind, present};
use bench::failure::Failure;
use bench::figures::Figures;
use bench::machine::Machine;
use bench::ours::Ours;
use bench::process::Held;
use bench::report::{Column, Report};
use bench::service::Service;
use bench::stage::Stage;
use rustix::process::Signal;
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    let first = std::env::args().nth(1);
    let done = match first.as_deref() {
        Some(NOTIFY) => notify().map_err(|error| error.to_string()),
        first => measure(first.and_then(|word| word.parse().ok()).unwrap_or(50))
            .map_err(|failure| failure.to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(said) => {
            eprintln!("chain: {said}");
            ExitCode::FAILURE
        }
    }
}

/// How a service tells that it is ready.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    /// It says so itself, as `sd_notify` does.
    Notified,
    /// A command looks.
    Probed,
}

fn measure(count: usize) -> Result<(), Failure> {
    let (kinds, _) = present();
    let mut report = Report::new("chain", Machine::here(&std::env::temp_dir()), vec![]);
    for ready in [Ready::Notified, Ready::Probed] {
        let how = match ready {
            Ready::Notified => "notification",
            Ready::Probed => "command probe",
        };
        let workload = format!("chain of {count} by {how}, each link");
        for kind in [Kind::Floor, Kind::Ours] {
            if !kinds.contains(&kind) {
                continue;
            }
            let mut figures = Figures::new();
            for _ in 0..ROUNDS {
                let took = match kind {
                    Kind::Ours => ours(count, ready)?,
                    _ => floor(count, ready)?,
                };
                figures.add(took / count as f64);
            }
            report.add(&workload, "ms", Column::Of(kind), figures);
        }
    }
    report.finish()
}

/// Milliseconds from the command until the last link tells that it runs.
fn ours(count: usize, ready: Ready) -> Result<f64, Failure> {
    let stage = Stage::new()?;
    let services = links(&stage, count, ready)?;
    let gate = |number: usize, entry: &mut Map<String, Value>| {
        let probe = match ready {
            Ready::Notified => json!({"notify": true}),
            Ready::Probed => {
                json!({"command": "/usr/bin/test", "args": ["-e", mark(&stage, number)], "interval": "1s"})
            }
        };
        entry.insert("readiness".into(), probe);
        if number > 0 {
            entry.insert("depends_on".into(), json!([services[number - 1].name]));
        }
    };
    let mut ours = Ours::with(&stage, &services, gate)?;
    let begin = Instant::now();
    ours.start()?;
    let last = stage.lines(count)?.pop().map_or(begin, |line| line.at);
    Box::new(ours).close()?;
    Ok(last.duration_since(begin).as_secs_f64() * 1e3)
}

fn floor(count: usize, ready: Ready) -> Result<f64, Failure> {
    let stage = Stage::new()?;
    let services = links(&stage, count, ready)?;
    let begin = Instant::now();
    let mut running = Vec::new();
    let mut last = begin;
    for service in &services {
        let child = Command::new(&service.command[0])
            .args(&service.command[1..])
            .stdin(Stdio::null())
            .spawn()
            .map_err(Failure::io("run a link"))?;
        running.push(child);
        last = stage.line()?.at;
    }
    for mut child in running {
        Held::new(child.id())?.signal(Signal::TERM);
        child.wait().map_err(Failure::io("wait for a link"))?;
    }
    Ok(last.duration_since(begin).as_secs_f64() * 1e3)
}

fn links(stage: &Stage, count: usize, ready: Ready) -> Result<Vec<Service>, Failure> {
    let voice = stage.voice().to_string_lossy().into_owned();
    (0..count)
        .map(|number| match ready {
            Ready::Notified => {
                Service::own(format!("c{number:03}"), &[NOTIFY.into(), voice.clone()])
            }
            Ready::Probed => {
                let mut service = Service::idle(stage, number);
                service.command[2] = format!(">{}; {}", mark(stage, number), service.command[2]);
                Ok(service)
            }
        })
        .collect()
}

/// The file that shows that a link is ready.
fn mark(stage: &Stage, number: usize) -> String {
    stage
        .path()
        .join(format!("ready{number}"))
        .to_string_lossy()
        .into_owned()
}

/// Is a link: tells whoever asked for it, then the stage, and stays.
fn notify() -> io::Result<()> {
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET") {
        UnixDatagram::unbound()?.send_to(b"READY=1", socket)?;
    }
    let voice = std::env::args().nth(2).unwrap_or_default();
    std::fs::write(voice, format!("{}\n", std::process::id()))?;
    loop {
        std::thread::park();
    }
}

const NOTIFY: &str = "__notify";
const ROUNDS: usize = 5;
