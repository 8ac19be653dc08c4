//! supervisord: one process that starts, watches and reads everything.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};

use rustix::process::Signal;

use crate::contender::{Contender, run, spawn_quietly};
use crate::failure::Failure;
use crate::process::Held;
use crate::service::Service;
use crate::stage::Stage;

/// supervisord with its services.
#[derive(Debug)]
pub struct Supervisord {
    configuration: PathBuf,
    daemon: Option<Child>,
}

impl Supervisord {
    /// A configuration for these services; nothing runs yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(stage: &Stage, services: &[Service]) -> Result<Self, Failure> {
        let directory = stage.path().join("supervisord");
        fs::create_dir_all(&directory).map_err(Failure::io("make a directory"))?;
        let configuration = directory.join("supervisord.conf");
        fs::write(
            &configuration,
            configure(&directory.to_string_lossy(), services),
        )
        .map_err(Failure::io("configure supervisord"))?;
        Ok(Self {
            configuration,
            daemon: None,
        })
    }
}

impl Drop for Supervisord {
    fn drop(&mut self) {
        // After a benchmark that failed; whoever was closed has nothing left to stop.
        let _ = self.stop();
    }
}

impl Contender for Supervisord {
    fn start(&mut self) -> Result<(), Failure> {
        let mut command = Command::new("supervisord");
        command
            .arg("--nodaemon")
            .arg("--configuration")
            .arg(&self.configuration);
        self.daemon = Some(spawn_quietly(&mut command)?);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut daemon) = self.daemon.take() else {
            return Ok(());
        };
        Held::new(daemon.id())?.signal(Signal::TERM);
        daemon.wait().map_err(Failure::io("wait for supervisord"))?;
        Ok(())
    }

    fn status(&mut self) -> Result<bool, Failure> {
        run(Command::new("supervisorctl")
            .arg("--configuration")
            .arg(&self.configuration)
            .arg("status"))?;
        Ok(true)
    }

    fn supervisors(&mut self, _services: &[u32]) -> Result<Vec<u32>, Failure> {
        Ok(self.daemon.iter().map(Child::id).collect())
    }

    fn close(mut self: Box<Self>) -> Result<(), Failure> {
        self.stop()
    }
}

fn configure(directory: &str, services: &[Service]) -> String {
    let mut text = format!(
        "[supervisord]\nlogfile={directory}/main.log\npidfile={directory}/pid\nchildlogdir={directory}\nminfds=4096\n\
         [unix_http_server]\nfile={directory}/sock\n\
         [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{directory}/sock\n"
    );
    for service in services {
        let command: Vec<String> = service
            .command
            .iter()
            .map(|word| format!("\"{}\"", word.replace('"', "\\\"")).replace('%', "%%"))
            .collect();
        let name = &service.name;
        // Five files of ten MiB, as we keep by default; a service counts as started at once.
        let written = write!(
            text,
            "[program:{name}]\ncommand={}\nautorestart=true\nstartsecs=0\nredirect_stderr=true\n\
             stdout_logfile={directory}/{name}.log\nstdout_logfile_maxbytes=10MB\nstdout_logfile_backups=4\n",
            command.join(" ")
        );
        written.expect("text in memory takes whatever is written");
    }
    // Of groups it stops one after the other, of programs in one group all at once.
    let names: Vec<&str> = services
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    text + &format!("[group:all]\nprograms={}\n", names.join(","))
}
