//! The container engine of a row: its own, which it may break.
//!
//! Owns: how it is started, ended and asked. Never touches the engine that the machine has: a row that needs one runs by
//! `docker-test-env/isolated`, whose engine and networks nobody else sees.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fault::Fault;

/// The engine of this row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Engine;

/// A container of ours, as the engine tells.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `created`, `running`, `paused`, `exited` and the like.
    pub(crate) state: String,
    pub(crate) service: String,
}

impl Container {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.state.as_str(), "running" | "paused" | "restarting")
    }
}

impl Engine {
    /// The one that was started for this row alone.
    pub(crate) fn of_row() -> Result<Self, Fault> {
        let home = std::env::var_os("DOCKER_TEST_ENV_HOME").unwrap_or_default();
        let is_own = PathBuf::from(home)
            .parent()
            .is_some_and(|parent| parent.ends_with("isolated"));
        if !is_own {
            return Err(Fault::Missing {
                what: "an engine of its own".to_owned(),
                advice: "run it by `cargo xtask faults containers`; it breaks engines, and never the machine's own",
            });
        }
        Ok(Self)
    }

    /// Starts it, with these options; what it stored is there again.
    pub(crate) fn up(self, options: &[&str]) -> Result<(), Fault> {
        let mut words = vec!["up", "default"];
        if !options.is_empty() {
            words.push("--");
            words.extend(options);
        }
        script("engine", &words)
    }

    /// Ends it in order.
    pub(crate) fn stop(self) -> Result<(), Fault> {
        script("engine", &["stop", "default"])
    }

    /// Kills it.
    pub(crate) fn kill(self) -> Result<(), Fault> {
        script("engine", &["kill", "default"])
    }

    /// Asks it by docker's own command line, as a stranger would; it must succeed. What that said on standard output.
    pub(crate) fn docker(self, arguments: &[&str]) -> Result<String, Fault> {
        Ok(self.docker_both(arguments)?.0)
    }

    /// The same, with what it said on standard error.
    pub(crate) fn docker_both(self, arguments: &[&str]) -> Result<(String, String), Fault> {
        let output = Command::new("docker")
            .args(arguments)
            .env_remove("DOCKER_HOST")
            .stdin(Stdio::null())
            .output()
            .map_err(Fault::io("run", "docker"))?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            return Ok((stdout, stderr));
        }
        Err(Fault::Ended {
            line: format!("docker {}", arguments.join(" ")),
            code: output.status.code().unwrap_or(-1),
            said: stderr,
        })
    }

    /// Every container that carries a label of ours.
    pub(crate) fn ours(self) -> Result<Vec<Container>, Fault> {
        let format = "{{.ID}}\t{{.Names}}\t{{.State}}\t{{.Label \"org.harness.service\"}}";
        let said = self.docker(&[
            "ps",
            "--all",
            "--no-trunc",
            "--filter=label=org.harness.home",
            &format!("--format={format}"),
        ])?;
        let read = |line: &str| {
            let mut words = line.split('\t').map(str::to_owned);
            Some(Container {
                id: words.next()?,
                name: words.next()?,
                state: words.next()?,
                service: words.next()?,
            })
        };
        Ok(said.lines().filter_map(read).collect())
    }

    /// Containers, networks and volumes that carry a label of ours, by their names.
    pub(crate) fn left(self) -> Result<Vec<String>, Fault> {
        let mut left: Vec<String> = self.ours()?.into_iter().map(|found| found.name).collect();
        for kind in ["network", "volume"] {
            let said = self.docker(&[
                kind,
                "ls",
                "--filter=label=org.harness.home",
                "--format={{.Name}}",
            ])?;
            left.extend(said.lines().map(|name| format!("{kind} {name}")));
        }
        Ok(left)
    }
}

/// The words that run what follows beside an engine of its own, in namespaces of its own.
pub(crate) fn isolated() -> [String; 3] {
    let program = test_env().join("isolated").display().to_string();
    [program, "busybox".to_owned(), "--".to_owned()]
}

/// What `isolated` ends with when there is no engine to be had.
pub(crate) const NO_ENGINE: i32 = 125;

fn script(name: &str, words: &[&str]) -> Result<(), Fault> {
    let program = test_env().join(name);
    let output = Command::new(&program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(Fault::io("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Fault::Ended {
        line: format!("{name} {}", words.join(" ")),
        code: output.status.code().unwrap_or(-1),
        said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

fn test_env() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker-test-env")
}
