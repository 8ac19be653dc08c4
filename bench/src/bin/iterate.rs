//! How long a change of one service takes, from the saved file until the new version answers: `examples/mixed` with its
//! application as a process, and the same stack with everything in containers.
//!
//! Usage: `iterate [ROUNDS]`, by default 5. The ways take turns; each ratio is the median of the ratios of single rounds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use bench::compose::{Form, Project, docker, lacking, present};
use bench::contender::{Contender, Kind, is_wanted, run};
use bench::failure::Failure;
use bench::figures::Figures;
use bench::machine::Machine;
use bench::ours::Ours;
use bench::report::{Column, Report};
use bench::stage::Stage;

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    if let Some(why) = lacking(&[DATABASE, WORKER]) {
        eprintln!("iterate: not measured: {why}");
        return ExitCode::SUCCESS;
    }
    match measure(rounds.unwrap_or(ROUNDS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("iterate: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure(rounds: usize) -> Result<(), Failure> {
    let stage = Stage::new()?;
    let (forms, absent) = present();
    let mut ways: Vec<Way> = Vec::new();
    if is_wanted(Kind::Ours.name()) {
        ways.push(process(&stage)?);
    }
    if is_wanted(Column::Docker.name()) {
        ways.push(image(&stage)?);
        ways.push(mount(&stage)?);
    }
    for form in forms {
        ways.push(compose(&stage, form)?);
    }
    let mut took: Vec<Figures> = vec![Figures::new(); ways.len()];
    // One round more: the first finds caches cold, and does not count.
    for round in 0..=rounds {
        for (way, figures) in ways.iter().zip(&mut took) {
            let duration = way.change(&format!("{round}"))?;
            if round > 0 {
                figures.add_duration(duration);
            }
        }
    }
    let mut report = Report::new("iterate", Machine::here(stage.path()), absent);
    let own = ways
        .iter()
        .position(|way| way.column == Column::Of(Kind::Ours));
    for (way, figures) in ways.iter().zip(&took) {
        report.add(way.workload, "ms", way.column, figures.clone());
        if let Some(own) = own.filter(|_| way.column != Column::Of(Kind::Ours)) {
            let workload = format!("{}, times harness", way.workload);
            report.add(&workload, "×", way.column, figures.ratio_to(&took[own]));
        }
    }
    for way in ways {
        way.machinery.close()?;
    }
    report.finish()
}

/// One way to work on the application: a copy of the example, where it answers, and how a change comes into effect.
struct Way {
    workload: &'static str,
    column: Column,
    directory: PathBuf,
    address: String,
    machinery: Machinery,
}

enum Machinery {
    /// The process is started anew.
    Process(Box<Ours>),
    /// An image is built and its container replaced.
    Image(Container),
    /// The files are mounted; the container is started anew.
    Mount(Container),
    /// Compose builds an image and replaces the container.
    Compose(Project),
}

impl Way {
    /// Saves a new version, and brings it into effect; the saving is not timed.
    fn change(&self, version: &str) -> Result<Duration, Failure> {
        let file = self.directory.join("app/serve.sh");
        let attempt = || Failure::io(format!("change {}", file.display()));
        let text = std::fs::read_to_string(&file).map_err(attempt())?;
        let changed: Vec<String> = text
            .lines()
            .map(|line| match line.starts_with("export VERSION=") {
                true => format!("export VERSION=\"{version}\""),
                false => line.to_owned(),
            })
            .collect();
        std::fs::write(&file, changed.join("\n") + "\n").map_err(attempt())?;
        let begin = Instant::now();
        self.machinery.renew(&self.directory)?;
        self.answers(&format!("version {version}\n"))?;
        Ok(begin.elapsed())
    }

    /// Returns when the application answers with this.
    fn answers(&self, wanted: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !ask(&self.address).is_ok_and(|answer| answer.ends_with(wanted)) {
            if Instant::now() >= deadline {
                return Err(Failure::Late {
                    awaited: format!("`{}` from {}", wanted.trim(), self.address),
                    waited: PATIENCE,
                });
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Machinery {
    fn renew(&self, directory: &Path) -> Result<(), Failure> {
        match self {
            Self::Process(ours) => ours.run(&["restart", "app", "--wait"]).map(drop),
            Self::Image(container) => {
                build(directory, &container.image)?;
                docker(&["rm", "--force", &container.name])?;
                container.run(&[])
            }
            Self::Mount(container) => docker(&["restart", &container.name]).map(drop),
            Self::Compose(project) => {
                project.run(&["up", "--detach", "--build", "--no-deps", "app"])
            }
        }
    }

    fn close(self) -> Result<(), Failure> {
        match self {
            Self::Process(ours) => {
                ours.run(&["down", "--yes", "--volumes"])?;
                Contender::close(ours)
            }
            Self::Image(_) | Self::Mount(_) | Self::Compose(_) => Ok(()),
        }
    }
}

/// The application's container without Compose. It goes with this value, and its image.
struct Container {
    name: String,
    image: String,
    port: u16,
}

impl Container {
    fn run(&self, more: &[&str]) -> Result<(), Failure> {
        let publish = format!("127.0.0.1:{}:8080", self.port);
        let common = [
            "run",
            "--detach",
            "--init",
            "--name",
            &self.name,
            "--publish",
            &publish,
            "--env",
            "PORT=8080",
            "--env",
            "LISTEN=0.0.0.0",
        ];
        docker(&[&common[..], more, &[&self.image]].concat()).map(drop)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What is not there cannot be removed, which is as good.
        let _ = docker(&["rm", "--force", &self.name]);
        let _ = docker(&["image", "rm", &self.image]);
        let _ = docker(&["image", "prune", "--force", "--filter", LABEL]);
    }
}

fn process(stage: &Stage) -> Result<Way, Failure> {
    let directory = copy(stage, "process")?;
    let ours = Ours::of_file(stage, directory.join("harness.yaml"), &images())?;
    ours.run(&["start", "--wait"])?;
    let address = ours.address("app")?;
    Ok(Way {
        workload: "a change of a process",
        column: Column::Of(Kind::Ours),
        directory,
        address,
        machinery: Machinery::Process(Box::new(ours)),
    })
}

fn image(stage: &Stage) -> Result<Way, Failure> {
    let (directory, container) = container(stage, "image")?;
    container.run(&[])?;
    Ok(Way {
        workload: "a change of an image",
        column: Column::Docker,
        directory,
        address: format!("127.0.0.1:{}", container.port),
        machinery: Machinery::Image(container),
    })
}

fn mount(stage: &Stage) -> Result<Way, Failure> {
    let (directory, container) = container(stage, "mount")?;
    let files = format!("{}:/app:ro", directory.join("app").display());
    container.run(&["--volume", &files])?;
    Ok(Way {
        workload: "a change of mounted files, no image built",
        column: Column::Docker,
        directory,
        address: format!("127.0.0.1:{}", container.port),
        machinery: Machinery::Mount(container),
    })
}

fn compose(stage: &Stage, form: Form) -> Result<Way, Failure> {
    let directory = copy(stage, form.name())?;
    let port = free_port()?;
    let mut variables = images().to_vec();
    variables.push(("MIXED_PORT", port.to_string()));
    let file = directory.join("container-only/compose.yaml");
    let project = Project::new(form, &file, &variables);
    project.run(&["up", "--detach", "--build"])?;
    Ok(Way {
        workload: "a change of an image",
        column: Column::Compose(form),
        directory,
        address: format!("127.0.0.1:{port}"),
        machinery: Machinery::Compose(project),
    })
}

fn container(stage: &Stage, name: &str) -> Result<(PathBuf, Container), Failure> {
    let directory = copy(stage, name)?;
    let name = format!("bench-{name}-{}", std::process::id());
    let container = Container {
        image: name.clone(),
        name,
        port: free_port()?,
    };
    build(&directory, &container.image)?;
    Ok((directory, container))
}

fn build(directory: &Path, image: &str) -> Result<(), Failure> {
    let base = format!("BASE={DATABASE}");
    let file = directory.join("container-only/Dockerfile");
    let mut command = Command::new("docker");
    command.args([
        "build",
        "--quiet",
        "--tag",
        image,
        "--build-arg",
        &base,
        "--file",
    ]);
    run(command.arg(file).arg(directory)).map(drop)
}

/// The example, in a directory of its own.
fn copy(stage: &Stage, name: &str) -> Result<PathBuf, Failure> {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mixed");
    let to = stage.path().join(name.replace(' ', "-"));
    run(Command::new("cp").arg("-R").arg(from).arg(&to))?;
    Ok(to)
}

fn images() -> [(&'static str, String); 2] {
    [
        ("MIXED_DATABASE", DATABASE.to_owned()),
        ("MIXED_WORKER", WORKER.to_owned()),
    ]
}

fn free_port() -> Result<u16, Failure> {
    let attempt = "find a free port";
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Failure::io(attempt))?;
    Ok(listener.local_addr().map_err(Failure::io(attempt))?.port())
}

fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /cgi-bin/health HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

const DATABASE: &str = "harness-test/postgres";
const WORKER: &str = "harness-test/busybox";
const LABEL: &str = "label=org.harness.example=mixed";
const ROUNDS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(60);
/// From one question to the next, while nobody answers with the new version.
const PAUSE: Duration = Duration::from_millis(2);
