//! The floor of captured output: one process for each service that moves a pipe to a file, by copying or by splicing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use rustix::process::Signal;

use crate::contender::Contender;
use crate::failure::Failure;
use crate::process::Held;
use crate::service::Service;
use crate::stage::Stage;

/// How bytes are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `read` and `write` of 64 KiB.
    Copy,
    /// `splice` of up to a MiB.
    Splice,
}

impl Way {
    /// The first argument that makes a benchmark's program a pump.
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::Copy => "__copy",
            Self::Splice => "__splice",
        }
    }

    /// Is the pump: standard input to standard output, until the input ends.
    ///
    /// # Errors
    /// When either breaks.
    pub fn play(self) -> io::Result<()> {
        match self {
            Self::Copy => copy(),
            Self::Splice => splice_all(),
        }
    }
}

/// Services with a pump each.
#[derive(Debug)]
pub struct Pump {
    way: Way,
    directory: PathBuf,
    services: Vec<Service>,
    running: Vec<Child>,
    pumps: Vec<Child>,
}

impl Pump {
    /// None runs yet.
    #[must_use]
    pub fn new(way: Way, stage: &Stage, services: &[Service]) -> Self {
        Self {
            way,
            directory: stage.path().to_path_buf(),
            services: services.to_vec(),
            running: Vec::new(),
            pumps: Vec::new(),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        // After a benchmark that failed; whoever was closed has nothing left to stop.
        let _ = self.stop();
    }
}

impl Contender for Pump {
    fn start(&mut self) -> Result<(), Failure> {
        let own = std::env::current_exe().map_err(Failure::io("find this program"))?;
        for service in &self.services {
            let mut child = Command::new(&service.command[0])
                .args(&service.command[1..])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(Failure::io("run a service"))?;
            let pipe = child.stdout.take().expect("stdout was piped above");
            let path = self.directory.join(format!("{}.pumped", service.name));
            let file = File::create(path).map_err(Failure::io("create a log"))?;
            let pump = Command::new(&own)
                .arg(self.way.verb())
                .stdin(pipe)
                .stdout(file)
                .spawn()
                .map_err(Failure::io("run a pump"))?;
            self.running.push(child);
            self.pumps.push(pump);
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<(), Failure> {
        for child in &self.running {
            Held::new(child.id())?.signal(Signal::TERM);
        }
        for mut child in self.running.drain(..).chain(self.pumps.drain(..)) {
            child.wait().map_err(Failure::io("wait for a service"))?;
        }
        Ok(())
    }

    fn status(&mut self) -> Result<bool, Failure> {
        Ok(false)
    }

    fn supervisors(&mut self, _services: &[u32]) -> Result<Vec<u32>, Failure> {
        Ok(self.pumps.iter().map(Child::id).collect())
    }

    fn close(mut self: Box<Self>) -> Result<(), Failure> {
        self.stop()
    }
}

fn copy() -> io::Result<()> {
    let mut from = File::from(rustix::io::dup(rustix::stdio::stdin())?);
    let mut to = File::from(rustix::io::dup(rustix::stdio::stdout())?);
    // The size of a pipe, so that one read can empty it.
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to.write_all(&buffer[..count])?,
        }
    }
}

fn splice_all() -> io::Result<()> {
    let (from, to) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    loop {
        match splice(from, None, to, None, 1 << 20, SpliceFlags::MOVE) {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
