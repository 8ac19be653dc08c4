//! s6: `s6-svscan` over a directory of services, each with a logger of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::contender::{Contender, find, run, script, spawn_quietly};
use crate::failure::Failure;
use crate::process::{Held, all_gone, trees};
use crate::service::Service;
use crate::stage::Stage;

/// s6 with its services.
#[derive(Debug)]
pub struct S6 {
    scan: PathBuf,
    services: Vec<Service>,
    scanner: Option<Child>,
}

impl S6 {
    /// Directories for these services; nothing runs yet.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn new(stage: &Stage, services: &[Service]) -> Result<Self, Failure> {
        let scan = stage.path().join("s6");
        // A logger makes its own directory, and no more.
        fs::create_dir_all(stage.path().join("s6-logs"))
            .map_err(Failure::io("make a directory for logs"))?;
        let program = |name: &str| find(name).unwrap_or_else(|| PathBuf::from(name));
        for service in services {
            let directory = scan.join(&service.name);
            script(
                &directory.join("run"),
                &format!("exec 2>&1\n{}", service.exec_line()),
            )?;
            // Five files of ten MiB, as we keep by default.
            let log = format!(
                "exec {} n5 s10485760 {}",
                program("s6-log").display(),
                log_directory(stage.path(), service).display()
            );
            script(&directory.join("log/run"), &log)?;
        }
        Ok(Self {
            scan,
            services: services.to_vec(),
            scanner: None,
        })
    }
}

impl Drop for S6 {
    fn drop(&mut self) {
        // After a benchmark that failed; whoever was closed has nothing left to stop.
        let _ = self.stop();
    }
}

impl Contender for S6 {
    fn start(&mut self) -> Result<(), Failure> {
        let mut command = Command::new("s6-svscan");
        // Room for each service and its logger.
        command
            .arg("-c")
            .arg((self.services.len() * 2 + 10).to_string())
            .arg(&self.scan);
        self.scanner = Some(spawn_quietly(&mut command)?);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut scanner) = self.scanner.take() else {
            return Ok(());
        };
        run(Command::new("s6-svscanctl").arg("-t").arg(&self.scan))?;
        scanner.wait().map_err(Failure::io("wait for s6-svscan"))?;
        Ok(())
    }

    fn status(&mut self) -> Result<bool, Failure> {
        // It has no command for all: a user loops.
        for service in &self.services {
            run(Command::new("s6-svstat").arg(self.scan.join(&service.name)))?;
        }
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

fn log_directory(stage: &Path, service: &Service) -> PathBuf {
    stage.join("s6-logs").join(&service.name)
}
