//! Docker Compose, in either of its forms, and the engine that it and `harness` work on.
//!
//! Owns: how a project of one Compose file is brought up and taken down, and whether engine and images are there. Every
//! call is the whole program, as a user runs it. Never pulls.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contender::{find, is_wanted, run};
use crate::failure::Failure;

/// Which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// `docker-compose`, the program in Python; Debian's package.
    Program,
    /// `docker compose`, the plugin in Go.
    Plugin,
}

impl Form {
    /// Both, in the order of the table.
    pub const ALL: [Self; 2] = [Self::Program, Self::Plugin];

    /// Its name in the table, in `BENCH_ONLY`, and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Program => "docker-compose",
            Self::Plugin => "docker compose",
        }
    }

    /// Whether it is here.
    #[must_use]
    pub fn is_here(self) -> bool {
        match self {
            Self::Program => find("docker-compose").is_some(),
            Self::Plugin => run(Command::new("docker").args(["compose", "version"])).is_ok(),
        }
    }

    fn command(self) -> Command {
        match self {
            Self::Program => Command::new("docker-compose"),
            Self::Plugin => {
                let mut command = Command::new("docker");
                command.arg("compose");
                command
            }
        }
    }
}

/// The forms that are here and wanted, and the names of those that are absent.
#[must_use]
pub fn present() -> (Vec<Form>, Vec<&'static str>) {
    let (here, absent): (Vec<Form>, Vec<Form>) =
        Form::ALL.into_iter().partition(|form| form.is_here());
    (
        here.into_iter()
            .filter(|form| is_wanted(form.name()))
            .collect(),
        absent.into_iter().map(Form::name).collect(),
    )
}

/// One file under a project's name. What it made goes with this value.
#[derive(Debug)]
pub struct Project {
    form: Form,
    file: PathBuf,
    name: String,
    variables: Vec<(&'static str, String)>,
}

impl Project {
    /// Nothing is made yet.
    #[must_use]
    pub fn new(form: Form, file: &Path, variables: &[(&'static str, String)]) -> Self {
        let form_name = form.name().replace([' ', '-'], "");
        Self {
            form,
            file: file.to_owned(),
            name: format!("bench{form_name}{}", std::process::id()),
            variables: variables.to_vec(),
        }
    }

    /// The project's name: its network is `<name>_default`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command of Compose on this project to its end.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = self.form.command();
        command
            .args(["-p", &self.name, "-f"])
            .arg(&self.file)
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        run(&mut command).map(drop)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // What is not there cannot be removed, which is as good.
        let _ = self.run(&["down", "--volumes", "--rmi", "local", "--timeout", "0"]);
    }
}

/// Runs `docker` to its end.
///
/// # Errors
/// When it fails.
pub fn docker(arguments: &[&str]) -> Result<String, Failure> {
    let output = run(Command::new("docker").args(arguments))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Why containers cannot be measured here, if they cannot: no engine, or an image that is missing.
#[must_use]
pub fn lacking(images: &[&str]) -> Option<String> {
    if docker(&["version", "--format", "{{.Server.Version}}"]).is_err() {
        return Some("no Docker engine answers; `cargo xtask setup` brings one up".into());
    }
    let missing = images
        .iter()
        .find(|image| docker(&["image", "inspect", image]).is_err())?;
    Some(format!("no image {missing}; `cargo xtask setup` builds it"))
}
