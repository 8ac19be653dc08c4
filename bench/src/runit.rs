//! runit: `runsvdir` over a directory of services, each with a logger of its own.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::process::Signal;

use crate::contender::{Contender, run, script, spawn_quietly};
use crate::failure::Failure;
use crate::process::{Held, all_gone, trees};
use crate::service::Service;
use crate::stage::Stage;

/// runit with its services.
#[derive(Debug)]
pub struct Runit {
    scan: PathBuf,
    services: Vec<Service>,
    scanner: Option<Child>,
}

impl Runit {
    /// Directories for these services; nothing runs yet.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn new(stage: &Stage, services: &[Service]) -> Result<Self, Failure> {
        let scan = stage.path().join("runit");
        for service in services {
            let directory = scan.join(&service.name);
            let logs = stage.path().join("runit-logs").join(&service.name);
            script(
                &directory.join("run"),
                &format!("exec 2>&1\n{}", service.exec_line()),
            )?;
            script(
                &directory.join("log/run"),
                &format!("exec svlogd {}", logs.display()),
            )?;
            fs::create_dir_all(&logs).map_err(Failure::io("make a directory for logs"))?;
            // Five files of ten MiB, as we keep by default.
            fs::write(logs.join("config"), "s10485760\nn5\n")
                .map_err(Failure::io("configure svlogd"))?;
        }
        Ok(Self {
            scan,
            services: services.to_vec(),
            scanner: None,
        })
    }
}

impl Drop for Runit {
    fn drop(&mut self) {
        // After a benchmark that failed; whoever was closed has nothing left to stop.
        let _ = self.stop();
    }
}

impl Contender for Runit {
    fn start(&mut self) -> Result<(), Failure> {
        self.scanner = Some(spawn_quietly(Command::new("runsvdir").arg(&self.scan))?);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut scanner) = self.scanner.take() else {
            return Ok(());
        };
        Held::new(scanner.id())?.signal(Signal::HUP);
        scanner.wait().map_err(Failure::io("wait for runsvdir"))?;
        Ok(())
    }

    fn status(&mut self) -> Result<bool, Failure> {
        let paths = self
            .services
            .iter()
            .map(|service| self.scan.join(&service.name));
        run(Command::new("sv").arg("status").args(paths))?;
        Ok(true)
    }

    fn supervisors(&mut self, services: &[u32]) -> Result<Vec<u32>, Failure> {
        let roots: Vec<u32> = self.scanner.iter().map(Child::id).collect();
        let mut all = trees(&roots);
        all.retain(|pid| !services.contains(pid));
        Ok(all)
    }

    fn close(mut self: Box<Self>) -> Result<(), Failure> {
        let below = self.supervisors(&[])?;
        let held: Vec<Held> = below
            .into_iter()
            .filter_map(|pid| Held::new(pid).ok())
            .collect();
        self.stop()?;
        all_gone(&held)
    }
}
