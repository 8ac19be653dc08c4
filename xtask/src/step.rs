//! One program that a recipe runs.
//!
//! Owns: how it is announced, run and judged. Never decides what to do about a failure.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::failure::Failure;
use crate::tally::Tally;

/// A program with its arguments and surroundings, ready to run.
#[derive(Debug)]
pub(crate) struct Step {
    command: Command,
    line: String,
}

impl Step {
    /// `program arguments…`, in the directory and environment of this process.
    pub(crate) fn new<S: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new(&program);
        let mut line = program.as_ref().to_string_lossy().into_owned();
        for argument in arguments {
            line.push(' ');
            line.push_str(&argument.as_ref().to_string_lossy());
            command.arg(argument);
        }
        Self { command, line }
    }

    /// The `cargo` that runs this recipe.
    pub(crate) fn cargo(arguments: &[&str]) -> Self {
        let mut step = Self::new(
            std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            arguments,
        );
        step.line = format!("cargo {}", arguments.join(" "));
        step
    }

    /// In this directory.
    pub(crate) fn within(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// With this variable set.
    pub(crate) fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Without this variable.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it in view: its output is the recipe's.
    ///
    /// # Errors
    /// When it cannot be started or does not end with success.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        eprintln!("$ {}", self.line);
        let status = self.command.status().map_err(|source| self.lost(source))?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::Ended {
                line: self.line,
                status,
            })
        }
    }

    /// Runs it in view and counts the tests that it reports.
    ///
    /// The second part of the answer is the judgement: tests are counted also when some failed.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn run_counted(mut self) -> Result<(Tally, Result<(), Failure>), Failure> {
        eprintln!("$ {}", self.line);
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().map_err(|source| self.lost(source))?;
        let out = child.stdout.take().expect("stdout was piped above");
        let err = child.stderr.take().expect("stderr was piped above");
        let tally = std::thread::scope(|scope| {
            let on_stderr = scope.spawn(|| forward(err, std::io::stderr()));
            let on_stdout = forward(out, std::io::stdout());
            on_stdout + on_stderr.join().expect("forwarding does not panic")
        });
        let status = child.wait().map_err(|source| self.lost(source))?;
        let verdict = if status.success() {
            Ok(())
        } else {
            Err(Failure::Ended {
                line: self.line,
                status,
            })
        };
        Ok((tally, verdict))
    }

    /// Runs it out of view and returns what it wrote, whatever its exit code.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn output(mut self) -> Result<Output, Failure> {
        self.command.stdin(Stdio::null());
        self.command.output().map_err(|source| self.lost(source))
    }

    /// Runs it out of view and returns its standard output; what it wrote to standard error is shown when it fails.
    ///
    /// # Errors
    /// When it cannot be started or does not end with success.
    pub(crate) fn text(mut self) -> Result<String, Failure> {
        self.command.stdin(Stdio::null());
        let output = self.command.output().map_err(|source| self.lost(source))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        eprint!("{}", String::from_utf8_lossy(&output.stderr));
        Err(Failure::Ended {
            line: self.line,
            status: output.status,
        })
    }

    /// Whether it can be run and ends with success; its output is dropped.
    pub(crate) fn succeeds(mut self) -> bool {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    fn lost(&self, source: std::io::Error) -> Failure {
        Failure::NotStarted {
            line: self.line.clone(),
            source,
        }
    }
}

/// Passes lines on as they come and counts the test results among them. Ends with the stream, or when it breaks.
fn forward(from: impl Read, mut to: impl Write) -> Tally {
    let mut tally = Tally::default();
    let mut lines = BufReader::new(from);
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .is_ok_and(|read| read > 0)
    {
        // A closed terminal must not keep the tests from being run to their end.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        tally = tally + Tally::of_line(&String::from_utf8_lossy(&line));
        line.clear();
    }
    tally
}
