//! The floor: a `posix_spawn` loop with output to a file, and a `wait` for each.
//!
//! The least that runs services at all. No supervision, no capture, no memory.

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::contender::Contender;
use crate::failure::Failure;
use crate::process::Held;
use crate::service::Service;
use crate::stage::Stage;

/// The floor with its services.
#[derive(Debug)]
pub struct Floor {
    directory: PathBuf,
    services: Vec<Service>,
    running: HashMap<u32, (usize, Child)>,
}

impl Floor {
    /// None runs yet.
    #[must_use]
    pub fn new(stage: &Stage, services: &[Service]) -> Self {
        Self {
            directory: stage.path().to_path_buf(),
            services: services.to_vec(),
            running: HashMap::new(),
        }
    }

    fn spawn(&mut self, number: usize) -> Result<(), Failure> {
        let service = &self.services[number];
        let path = self.directory.join(format!("{}.out", service.name));
        let output =
            File::create(&path).map_err(Failure::io(format!("create {}", path.display())))?;
        let errors = output
            .try_clone()
            .map_err(Failure::io("copy a descriptor"))?;
        // Without `pre_exec` and the like the standard library stays on `posix_spawn`.
        let child = Command::new(&service.command[0])
            .args(&service.command[1..])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Failure::io(format!("run {}", service.command[0])))?;
        self.running.insert(child.id(), (number, child));
        Ok(())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // After a benchmark that failed; whoever was closed has nothing left to stop.
        let _ = self.stop();
    }
}

impl Contender for Floor {
    fn start(&mut self) -> Result<(), Failure> {
        (0..self.services.len()).try_for_each(|number| self.spawn(number))
    }

    fn stop(&mut self) -> Result<(), Failure> {
        for pid in self.running.keys() {
            Held::new(*pid)?.signal(Signal::TERM);
        }
        for (_, (_, mut child)) in self.running.drain() {
            child.wait().map_err(Failure::io("wait for a service"))?;
        }
        Ok(())
    }

    fn status(&mut self) -> Result<bool, Failure> {
        Ok(false)
    }

    fn tend(&mut self, killed: u32) -> Result<(), Failure> {
        let unknown = || Failure::Wrong(format!("{killed} is no service"));
        let (number, mut child) = self.running.remove(&killed).ok_or_else(unknown)?;
        child.wait().map_err(Failure::io("wait for a service"))?;
        self.spawn(number)
    }

    fn supervisors(&mut self, _services: &[u32]) -> Result<Vec<u32>, Failure> {
        // The loop needs no process of its own to stay: what counts is nothing at all.
        Ok(vec![])
    }

    fn close(mut self: Box<Self>) -> Result<(), Failure> {
        self.stop()
    }
}
