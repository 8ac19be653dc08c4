//! `harness`, through its program and its daemon, as a user runs it.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use harness_core::HarnessClient;
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use crate::contender::{Contender, run};
use crate::failure::Failure;
use crate::layout::Layout;
use crate::process::{Held, all_gone, parents, trees};
use crate::service::Service;
use crate::stage::Stage;

/// A home of its own with one stack.
#[derive(Debug)]
pub struct Ours {
    program: PathBuf,
    layout: Layout,
    file: PathBuf,
    variables: Vec<(&'static str, String)>,
    is_closed: bool,
}

impl Ours {
    /// Where the release build of `harness` lies: beside this program.
    ///
    /// # Errors
    /// When it is not there.
    pub fn program() -> Result<PathBuf, Failure> {
        let own = std::env::current_exe().map_err(Failure::io("find this program"))?;
        let program = own.with_file_name("harness");
        if program.is_file() {
            Ok(program)
        } else {
            Err(Failure::Wrong(format!(
                "{} is not built",
                program.display()
            )))
        }
    }

    /// A stack of these services, which come back at once when they die, and a daemon that runs.
    ///
    /// # Errors
    /// When the daemon does not come up.
    pub fn new(stage: &Stage, services: &[Service]) -> Result<Self, Failure> {
        Self::with(stage, services, |_, _| {})
    }

    /// The same; `refine` may add keys of the stack file to each service, by its number.
    ///
    /// # Errors
    /// When the daemon does not come up.
    pub fn with(
        stage: &Stage,
        services: &[Service],
        refine: impl Fn(usize, &mut Map<String, Value>),
    ) -> Result<Self, Failure> {
        let ours = Self::cold(stage, services, refine)?;
        ours.run(&["daemon", "start"])?;
        Ok(ours)
    }

    /// The same without a daemon: the first command brings it up.
    ///
    /// # Errors
    /// When the stack file cannot be written.
    pub fn cold(
        stage: &Stage,
        services: &[Service],
        refine: impl Fn(usize, &mut Map<String, Value>),
    ) -> Result<Self, Failure> {
        let file = stage.path().join("harness.yaml");
        // JSON is YAML, and needs no thought about quoting.
        let text = stack(services, refine).to_string();
        fs::write(&file, text).map_err(Failure::io("write the stack file"))?;
        Ok(Self {
            program: Self::program()?,
            layout: Layout::below(stage.path())?,
            file,
            variables: Vec::new(),
            is_closed: false,
        })
    }

    /// A stack file that is there already, with what it asks of the environment, and a daemon that runs.
    ///
    /// # Errors
    /// When the daemon does not come up.
    pub fn of_file(
        stage: &Stage,
        file: PathBuf,
        variables: &[(&'static str, String)],
    ) -> Result<Self, Failure> {
        let ours = Self {
            program: Self::program()?,
            layout: Layout::below(stage.path())?,
            file,
            variables: variables.to_vec(),
            is_closed: false,
        };
        ours.run(&["daemon", "start"])?;
        Ok(ours)
    }

    /// A command of `harness` on this stack, not started yet.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .envs(self.layout.variables())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("HARNESS_LISTEN", "127.0.0.1:0")
            .env("HARNESS_FILE", &self.file)
            .env("HARNESS_PROGRESS", "quiet");
        command
    }

    /// Runs a command of `harness` to its end.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        Ok(run(&mut self.command(arguments))?.stdout)
    }

    /// The daemon's process.
    ///
    /// # Errors
    /// When none answers.
    pub fn daemon(&self) -> Result<u32, Failure> {
        let status = self.json(&["daemon", "status", "-o", "json"])?;
        let pid = status["pid"]
            .as_u64()
            .and_then(|pid| u32::try_from(pid).ok());
        pid.ok_or_else(|| Failure::Wrong(format!("daemon status lacks a pid: {status}")))
    }

    /// The process of each service, by name, as `status` tells it.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn pids(&self) -> Result<HashMap<String, u64>, Failure> {
        let status = self.json(&["status", "-o", "json"])?;
        let items = status["items"].as_array().into_iter().flatten();
        Ok(items
            .filter_map(|item| Some((item["name"].as_str()?.to_owned(), item["pid"].as_u64()?)))
            .collect())
    }

    /// Where a service answers, as `status` tells it.
    ///
    /// # Errors
    /// When it tells none.
    pub fn address(&self, service: &str) -> Result<String, Failure> {
        let status = self.json(&["status", "-o", "json"])?;
        let mut items = status["items"].as_array().into_iter().flatten();
        let found = items.find(|item| item["name"] == service);
        found
            .and_then(|item| Some(item["address"].as_str()?.to_owned()))
            .ok_or_else(|| Failure::Wrong(format!("no address of {service}: {status}")))
    }

    /// A connection that is held.
    ///
    /// # Errors
    /// When the daemon does not let us in.
    pub fn connect(&self) -> Result<HarnessClient, Failure> {
        futures_lite::future::block_on(HarnessClient::connect(self.layout.dirs()))
            .map_err(|error| Failure::Wrong(format!("no connection: {error}")))
    }

    fn json(&self, arguments: &[&str]) -> Result<Value, Failure> {
        let text = self.run(arguments)?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::Wrong(format!(
                "`{}` printed no JSON: {error}",
                arguments.join(" ")
            ))
        })
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        if !self.is_closed {
            // After a benchmark that failed: nothing of it stays, if that can be had.
            let _ = self.run(&["daemon", "stop"]);
        }
    }
}

impl Contender for Ours {
    fn start(&mut self) -> Result<(), Failure> {
        self.run(&["start"]).map(drop)
    }

    fn stop(&mut self) -> Result<(), Failure> {
        self.run(&["stop"]).map(drop)
    }

    fn status(&mut self) -> Result<bool, Failure> {
        self.run(&["status"]).map(|_| true)
    }

    fn supervisors(&mut self, services: &[u32]) -> Result<Vec<u32>, Failure> {
        let parents = parents();
        let shims = services.iter().filter_map(|pid| parents.get(pid));
        let mut all: Vec<u32> = trees(&[self.daemon()?]);
        all.extend(shims.filter(|pid| **pid > 1));
        all.sort_unstable();
        all.dedup();
        all.retain(|pid| !services.contains(pid));
        Ok(all)
    }

    fn close(mut self: Box<Self>) -> Result<(), Failure> {
        self.is_closed = true;
        let daemon = Held::new(self.daemon()?)?;
        match self.run(&["daemon", "stop"]) {
            Ok(_) => all_gone(&[daemon]),
            Err(error) => {
                daemon.signal(Signal::KILL);
                Err(error)
            }
        }
    }
}

fn stack(services: &[Service], refine: impl Fn(usize, &mut Map<String, Value>)) -> Value {
    let mut all = Map::new();
    for (number, service) in services.iter().enumerate() {
        // A single `$` before `{` or `$` would be taken for a variable of the file.
        let words: Vec<String> = service
            .command
            .iter()
            .map(|word| word.replace('$', "$$"))
            .collect();
        let mut entry = Map::new();
        entry.insert("type".into(), json!("process"));
        entry.insert("binary".into(), json!(words[0]));
        entry.insert("args".into(), json!(words[1..]));
        entry.insert("restart".into(), json!("always"));
        refine(number, &mut entry);
        all.insert(service.name.clone(), Value::Object(entry));
    }
    json!({"name": STACK, "services": all})
}

/// The name of the stack.
pub const STACK: &str = "bench";
