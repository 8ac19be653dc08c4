//! What containers cost: start and stop of many small ones, beside Docker Compose on the same engine.
//!
//! Usage: `containers [COUNT] [ROUNDS]`, by default 20 and 5. The sides take turns; each figure is a median, and each ratio the
//! median of the ratios of single rounds. The floor is as many `docker run` at once, and one `docker rm --force`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use bench::compose::{Form, Project, docker, lacking, present};
use bench::contender::{Kind, is_wanted};
use bench::failure::Failure;
use bench::figures::{Figures, timed};
use bench::machine::Machine;
use bench::ours::Ours;
use bench::report::{Column, Report};
use bench::service::Service;
use bench::stage::Stage;
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok());
    let (count, rounds) = (
        numbers.next().unwrap_or(COUNT),
        numbers.next().unwrap_or(ROUNDS),
    );
    if let Some(why) = lacking(&[IMAGE]) {
        eprintln!("containers: not measured: {why}");
        return ExitCode::SUCCESS;
    }
    match measure(count, rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("containers: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(count: usize, rounds: usize) -> Result<(), Failure> {
    let stage = Stage::new()?;
    let (forms, absent) = present();
    let mut sides: Vec<Side> = Vec::new();
    if is_wanted(Kind::Floor.name()) {
        sides.push(Side::Engine(format!("bench-floor-{}", std::process::id())));
    }
    if is_wanted(Kind::Ours.name()) {
        sides.push(Side::Ours(ours(&stage, count)?));
    }
    let file = compose_file(&stage, count)?;
    let project = |form| Side::Compose(form, Project::new(form, &file, &[]));
    sides.extend(forms.into_iter().map(project));

    let mut took: BTreeMap<(usize, Column), Figures> = BTreeMap::new();
    // One round more: the first finds caches cold, and does not count.
    for round in 0..=rounds {
        for side in &sides {
            for (step, duration) in one_round(side, &stage, count)?.into_iter().enumerate() {
                // The floor leaves nothing to be removed.
                if round > 0 && (step < 2 || !matches!(side, Side::Engine(_))) {
                    let key = (step, side.column());
                    took.entry(key).or_default().add_duration(duration);
                }
            }
        }
    }
    let mut report = Report::new("containers", Machine::here(stage.path()), absent);
    for ((step, column), figures) in &took {
        let workload = STEPS[*step].replace("COUNT", &count.to_string());
        report.add(&workload, "ms", *column, figures.clone());
        let own = took.get(&(*step, Column::Of(Kind::Ours)));
        if let (Column::Compose(_), Some(own)) = (column, own) {
            let ratio = figures.ratio_to(own);
            report.add(&format!("{workload}, times harness"), "×", *column, ratio);
        }
    }
    for side in sides {
        side.close()?;
    }
    report.finish()
}

/// Start, stop, and removal of what is left after a stop.
fn one_round(side: &Side, stage: &Stage, count: usize) -> Result<[Duration; 3], Failure> {
    stage.hush();
    let begin = Instant::now();
    side.start(stage.path(), count)?;
    let answered = begin.elapsed();
    let lines = stage.lines(count)?;
    let last = lines.iter().map(|line| line.at).max().unwrap_or(begin);
    // Both: the last container tells that it runs, and the command has returned.
    let started = answered.max(last.duration_since(begin));
    let ((), stopped) = timed(|| side.stop())?;
    let ((), removed) = timed(|| side.remove())?;
    Ok([started, stopped, removed])
}

/// What runs the containers.
enum Side {
    /// The engine's own program, as a floor; the label by which its containers are found.
    Engine(String),
    Ours(Box<Ours>),
    Compose(Form, Project),
}

impl Side {
    fn column(&self) -> Column {
        match self {
            Self::Engine(_) => Column::Of(Kind::Floor),
            Self::Ours(_) => Column::Of(Kind::Ours),
            Self::Compose(form, _) => Column::Compose(*form),
        }
    }

    fn start(&self, stage: &Path, count: usize) -> Result<(), Failure> {
        match self {
            Self::Engine(label) => run_at_once(label, stage, count),
            Self::Ours(ours) => ours.run(&["start", "--wait"]).map(drop),
            Self::Compose(_, project) => project.run(&["up", "--detach"]),
        }
    }

    fn stop(&self) -> Result<(), Failure> {
        match self {
            Self::Engine(label) => {
                let filter = format!("label={label}");
                let ids = docker(&["ps", "--quiet", "--filter", &filter])?;
                let remove = ["rm", "--force"].into_iter().chain(ids.lines());
                docker(&remove.collect::<Vec<_>>()).map(drop)
            }
            Self::Ours(ours) => ours.run(&["stop"]).map(drop),
            Self::Compose(_, project) => project.run(&["stop"]),
        }
    }

    /// What the next start would find: containers that have ended (ours are gone by then), and the network.
    fn remove(&self) -> Result<(), Failure> {
        match self {
            Self::Engine(_) => Ok(()),
            Self::Ours(ours) => ours.run(&["down", "--yes"]).map(drop),
            Self::Compose(_, project) => project.run(&["down"]),
        }
    }

    fn close(self) -> Result<(), Failure> {
        match self {
            Self::Engine(_) | Self::Compose(..) => Ok(()),
            Self::Ours(ours) => bench::contender::Contender::close(ours),
        }
    }
}

fn run_at_once(label: &str, stage: &Path, count: usize) -> Result<(), Failure> {
    let mount = format!("{}:/stage", stage.display());
    let start = |number: usize| {
        let mut command = Command::new("docker");
        command
            .args(["run", "--detach", "--pull=never", "--label", label])
            .args(["--volume", &mount, IMAGE])
            .args(words(number));
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        spawned.map_err(Failure::io("run docker"))
    };
    let children = (0..count).map(start).collect::<Result<Vec<_>, _>>()?;
    for mut child in children {
        let status = child.wait().map_err(Failure::io("wait for docker"))?;
        if !status.success() {
            return Err(Failure::Wrong(format!("docker run ended with {status}")));
        }
    }
    Ok(())
}

/// A stack of containers in place of processes, and a daemon that runs.
fn ours(stage: &Stage, count: usize) -> Result<Box<Ours>, Failure> {
    let services: Vec<Service> = Service::idle_many(stage, count);
    let ours = Ours::with(stage, &services, |number, entry| {
        entry.clear();
        entry.insert("type".into(), json!("docker"));
        entry.insert("image".into(), json!(IMAGE));
        entry.insert("pull".into(), json!("never"));
        entry.insert("command".into(), json!(words(number)));
        let mount = format!("{}:/stage", stage.path().display());
        entry.insert("volumes".into(), json!([mount]));
        entry.insert("stop_signal".into(), json!("SIGKILL"));
    })?;
    Ok(Box::new(ours))
}

fn compose_file(stage: &Stage, count: usize) -> Result<std::path::PathBuf, Failure> {
    let mount = format!("{}:/stage", stage.path().display());
    let service = |number| {
        let service: Value = json!({
            "image": IMAGE,
            "command": words(number),
            "volumes": [mount],
            "stop_signal": "SIGKILL",
        });
        (format!("s{number}"), service)
    };
    let services: serde_json::Map<String, Value> = (0..count).map(service).collect();
    let file = stage.path().join("compose.yaml");
    // JSON is YAML; docker-compose wants to be told which of its formats it is.
    let text = json!({"version": "3.8", "services": services}).to_string();
    std::fs::write(&file, text).map_err(Failure::io("write the Compose file"))?;
    Ok(file)
}

/// Tells that it runs, and does nothing.
fn words(number: usize) -> [String; 3] {
    let script = format!("echo {number} >/stage/voice; exec sleep 86400");
    ["sh".into(), "-c".into(), script]
}

const IMAGE: &str = "harness-test/busybox";
const COUNT: usize = 20;
const ROUNDS: usize = 5;
const STEPS: [&str; 3] = [
    "start of COUNT containers",
    "stop of COUNT containers",
    "removal of what is left of COUNT",
];
