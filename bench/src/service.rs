//! What the contenders run.

use crate::failure::Failure;
use crate::stage::Stage;

/// One program with a name.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name, for the contender.
    pub name: String,
    /// Absolute path of the program, then its arguments.
    pub command: Vec<String>,
}

impl Service {
    /// A shell that says its process id and then blocks in the kernel, in one `exec`.
    #[must_use]
    pub fn idle(stage: &Stage, number: usize) -> Self {
        let script = format!(
            "echo $$ >{}; read x <{}",
            stage.voice().display(),
            stage.silence().display()
        );
        Self {
            name: format!("s{number:04}"),
            command: vec!["/bin/sh".into(), "-c".into(), script],
        }
    }

    /// So many of them.
    #[must_use]
    pub fn idle_many(stage: &Stage, count: usize) -> Vec<Self> {
        (0..count).map(|number| Self::idle(stage, number)).collect()
    }

    /// This program itself, with other arguments.
    ///
    /// # Errors
    /// When the system does not tell where this program is.
    pub fn own(name: impl Into<String>, arguments: &[String]) -> Result<Self, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("find this program"))?;
        let mut command = vec![program.to_string_lossy().into_owned()];
        command.extend_from_slice(arguments);
        Ok(Self {
            name: name.into(),
            command,
        })
    }

    /// As a line of shell that becomes the program.
    #[must_use]
    pub fn exec_line(&self) -> String {
        let quoted: Vec<String> = self
            .command
            .iter()
            .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
            .collect();
        format!("exec {}", quoted.join(" "))
    }
}
