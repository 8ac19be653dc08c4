//! What is compared: the floor, ours, and the peers that are installed.
//!
//! Owns: the list and what each must be able to do. How one does it stands in the file of its name.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::failure::Failure;
use crate::floor::Floor;
use crate::ours::Ours;
use crate::runit::Runit;
use crate::s6::S6;
use crate::service::Service;
use crate::stage::Stage;
use crate::supervisord::Supervisord;

/// Something that runs services, set up for some services of which none runs yet.
pub trait Contender {
    /// Starts all of them. May return before they run: what counts is when the last one tells so.
    ///
    /// # Errors
    /// When it refuses.
    fn start(&mut self) -> Result<(), Failure>;

    /// Stops all of them. May return before they are gone: what counts is when the last one is.
    ///
    /// # Errors
    /// When it refuses.
    fn stop(&mut self) -> Result<(), Failure>;

    /// Asks how all of them stand, as a user would; `false` where there is nothing to ask.
    ///
    /// # Errors
    /// When it does not answer.
    fn status(&mut self) -> Result<bool, Failure>;

    /// Does by hand what supervision does by itself elsewhere: waits for one service and starts it again.
    ///
    /// # Errors
    /// When it cannot.
    fn tend(&mut self, _killed: u32) -> Result<(), Failure> {
        Ok(())
    }

    /// Every process that supervises these services.
    ///
    /// # Errors
    /// When it cannot be told.
    fn supervisors(&mut self, services: &[u32]) -> Result<Vec<u32>, Failure>;

    /// Ends what was set up, services included.
    ///
    /// # Errors
    /// When it does not end.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// Which contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A `posix_spawn` loop; output straight to a file.
    Floor,
    /// `harness`.
    Ours,
    /// `s6-svscan` with an `s6-log` for each service.
    S6,
    /// `runsvdir` with an `svlogd` for each service.
    Runit,
    /// `supervisord`, which moves all output itself.
    Supervisord,
}

impl Kind {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 5] = [
        Self::Floor,
        Self::Ours,
        Self::S6,
        Self::Runit,
        Self::Supervisord,
    ];

    /// Its name in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Ours => "harness",
            Self::S6 => "s6",
            Self::Runit => "runit",
            Self::Supervisord => "supervisord",
        }
    }

    /// Whether its programs are here.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            Self::Floor => true,
            Self::Ours => Ours::program().is_ok(),
            Self::S6 => find("s6-svscan").is_some() && find("s6-log").is_some(),
            Self::Runit => find("runsvdir").is_some() && find("svlogd").is_some(),
            Self::Supervisord => find("supervisord").is_some(),
        }
    }

    /// Sets it up for these services, its own machinery running where it has some that stays.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn set_up(
        self,
        stage: &Stage,
        services: &[Service],
    ) -> Result<Box<dyn Contender>, Failure> {
        Ok(match self {
            Self::Floor => Box::new(Floor::new(stage, services)),
            Self::Ours => Box::new(Ours::new(stage, services)?),
            Self::S6 => Box::new(S6::new(stage, services)?),
            Self::Runit => Box::new(Runit::new(stage, services)?),
            Self::Supervisord => Box::new(Supervisord::new(stage, services)?),
        })
    }
}

/// Those that are here and wanted, and the names of those that are absent.
///
/// `BENCH_ONLY=floor,harness` in the environment leaves the others out.
#[must_use]
pub fn present() -> (Vec<Kind>, Vec<&'static str>) {
    let (here, absent): (Vec<Kind>, Vec<Kind>) =
        Kind::ALL.iter().copied().partition(|kind| kind.is_here());
    (
        here.into_iter()
            .filter(|kind| is_wanted(kind.name()))
            .collect(),
        absent.into_iter().map(Kind::name).collect(),
    )
}

/// Whether `BENCH_ONLY` leaves this one in.
#[must_use]
pub fn is_wanted(contender: &str) -> bool {
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    only.is_empty() || only.split(',').any(|name| name == contender)
}

/// Runs a command to its end and returns what it wrote.
///
/// # Errors
/// When it cannot be started or does not end with success.
pub fn run(command: &mut Command) -> Result<Output, Failure> {
    let line = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::io(format!("run {line}")))?;
    if output.status.success() {
        Ok(output)
    } else {
        Err(Failure::of_output(&line, &output))
    }
}

/// Starts a command without input or output.
///
/// # Errors
/// When it cannot be started.
pub fn spawn_quietly(command: &mut Command) -> Result<Child, Failure> {
    let line = format!("run {command:?}");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Failure::io(line))
}

/// Writes an executable shell script, with the directories above it.
///
/// # Errors
/// When it cannot be written.
pub fn script(path: &Path, body: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let attempt = || format!("write {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Failure::io(attempt()))?;
    }
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).map_err(Failure::io(attempt()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .map_err(Failure::io(attempt()))
}

/// Where a program lies, as a shell would find it.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
