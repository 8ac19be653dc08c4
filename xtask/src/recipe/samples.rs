//! Makes a sample of what the present version writes: `tests/samples/VERSION`, which later versions must load.
//!
//! Owns: which files belong to a sample. Never replaces one.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::Failure;
use crate::sandbox::{Sandbox, build_programs};
use crate::step::Step;
use crate::workspace;

/// Runs the stack of `tests/samples/stack.yaml` and keeps what is left of it when its daemon has ended.
///
/// # Errors
/// When there is such a sample already, something does not build, or the stack does not come as far as it should.
pub(crate) fn run(version: &str) -> Result<(), Failure> {
    let samples = workspace::root().join("tests/samples");
    let sample = samples.join(version);
    if sample.exists() {
        return Err(Failure::Unmet {
            claim: "a sample of a version that has none: samples are never edited".into(),
            found: sample.display().to_string(),
        });
    }
    build_programs()?;
    let place = Place::new(&samples.join("stack.yaml"))?;
    place.live()?;
    let kept = place.keep(&sample);
    place.harness(&["daemon", "stop"]).text()?;
    let kept = kept?;
    write(&sample.join("formats"), FORMATS.as_bytes())?;
    println!("{}: {kept} files", sample.display());
    Ok(())
}

/// Where the sample lives while it is made. Its path is part of what it writes, so it is the same on every machine.
struct Place {
    directory: PathBuf,
    program: PathBuf,
}

impl Place {
    fn new(stack: &Path) -> Result<Self, Failure> {
        let directory = PathBuf::from("/tmp/harness-sample");
        std::fs::create_dir(&directory).map_err(at(&directory))?;
        let place = Self {
            directory,
            program: workspace::programs()?.join("harness"),
        };
        let file = place.directory.join("harness.yaml");
        std::fs::copy(stack, &file).map_err(at(&file))?;
        Ok(place)
    }

    /// The program, with nothing of this process's environment.
    fn harness(&self, arguments: &[&str]) -> Step {
        let home = self.directory.display();
        let variables = [
            "-i".to_owned(),
            "PATH=/usr/bin:/bin".to_owned(),
            format!("HOME={home}"),
            format!("HARNESS_HOME={home}/home"),
            "HARNESS_LISTEN=127.0.0.1:0".to_owned(),
            self.program.display().to_string(),
        ];
        let words = variables
            .into_iter()
            .chain(arguments.iter().map(|&word| word.to_owned()));
        Step::new("env", words).within(&self.directory)
    }

    /// Starts everything, has units end in their several ways, and leaves the rest without a daemon.
    fn live(&self) -> Result<(), Failure> {
        self.harness(&["start"]).text()?;
        for (unit, state) in STATES {
            self.until(unit, state)?;
        }
        self.harness(&["restart", "left", "--wait"]).text()?;
        self.until("alive", "ready")?;
        self.harness(&["stop", "stopped"]).text()?;
        let invite = ["daemon", "invite", "--name", "guest", "--role", "observer"];
        self.harness(&invite).text()?;
        self.harness(&["daemon", "stop", "--keep"]).text()?;
        write(&self.directory.join("leave"), b"")?;
        let run = self.directory.join("home/run");
        Sandbox::wait_for("the end that no daemon saw is recorded", || {
            match files(&run).iter().any(|file| file.ends_with("exit.json")) {
                true => Ok(()),
                false => Err("it is not".to_owned()),
            }
        })
    }

    fn until(&self, unit: &str, state: &str) -> Result<(), Failure> {
        Sandbox::wait_for(&format!("{unit} is {state}"), || {
            let output = self.harness(&["status", "-o", "json"]).output();
            let output = output.map_err(|failure| failure.to_string())?;
            let status: Value =
                serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
            let items = status["items"].as_array().into_iter().flatten();
            let found = items.filter(|item| item["name"] == unit);
            match found.clone().any(|item| item["state"] == state) {
                true => Ok(()),
                false => Err(found.map(Value::to_string).collect()),
            }
        })
    }

    /// Copies what belongs to a sample; answers with how many files that is.
    fn keep(&self, sample: &Path) -> Result<usize, Failure> {
        let mut count = 0;
        for file in files(&self.directory.join("home")) {
            let below = file
                .strip_prefix(&self.directory)
                .expect("it was found below");
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let is_kept = below.starts_with("home/log/sample") || KEPT.contains(&name.as_ref());
            if !is_kept {
                continue;
            }
            let mut bytes = std::fs::read(&file).map_err(at(&file))?;
            if name == "identity.json" {
                bytes = on_no_machine(&bytes)?;
            }
            write(&sample.join(below), &bytes)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only when the recipe failed half-way does something still run; its own error is the one to report.
        let _ = self.harness(&["daemon", "stop"]).succeeds();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The same identity under a boot id that no machine has: nothing may look for the process.
fn on_no_machine(identity: &[u8]) -> Result<Vec<u8>, Failure> {
    let text = String::from_utf8_lossy(identity);
    let unreadable = || Failure::Unreadable {
        what: "identity.json".into(),
        detail: text.to_string(),
    };
    let value: Value = serde_json::from_str(&text).map_err(|_| unreadable())?;
    let boot = value["boot_id"].as_str().ok_or_else(unreadable)?;
    Ok(text.replace(boot, NO_BOOT).into_bytes())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            Ok(_) | Err(_) => {}
        }
    }
    found
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(parent).map_err(at(parent))?;
    std::fs::write(path, bytes).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_path_buf();
    move |source| Failure::File { path, source }
}

/// Raised with the formats themselves: the tests that read a sample compare.
const FORMATS: &str = "state 2\nlayout 1\nlog 1\nclients 1\n";

/// How far each unit has to come.
const STATES: [(&str, &str); 8] = [
    ("done", "done"),
    ("failed", "failed"),
    ("rotated", "done"),
    ("killed", "failed"),
    ("plain", "done"),
    ("again", "backoff"),
    ("stopped", "ready"),
    ("told", "ready"),
];

/// The files of a sample, beside all of the logs.
const KEPT: [&str; 10] = [
    "state.redb",
    "seal.key",
    "active",
    "audit.jsonl",
    "audit.head",
    "launch.json",
    "identity.json",
    "exit.json",
    "notify.json",
    "clients.json",
];
const NO_BOOT: &str = "00000000-0000-4000-8000-000000000000";
