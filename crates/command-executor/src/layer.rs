//! Layers: a command in, the command that runs it one place further away out.
//!
//! Owns: the order of layers. A layer transforms and never executes. They nest in reading order: the first layer added
//! is the outermost place, the last one is nearest to the program. `with_layer(ssh).with_layer(docker)` runs the
//! command in the container on that host: the container's command is made first, and carried by SSH.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;

use async_trait::async_trait;

use crate::event::ProcessEventStream;
use crate::quote::QuoteError;
use crate::{Command, LaunchError, Launcher, Target};

/// A transformation of commands.
///
/// A layer that wraps starts from [`Command::wrapping`], which keeps the standard streams, and spells the inner command
/// with [`quote::command`](crate::quote::command) where a shell will read it.
pub trait ExecutionLayer: Debug + Send + Sync {
    /// The command that runs `command` in the place this layer stands for.
    ///
    /// # Errors
    /// [`LayerError`] when the command cannot be expressed there.
    fn apply(&self, command: Command) -> Result<Command, LayerError>;
}

/// Why a layer could not express a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// A word cannot be carried by a shell.
    #[error("a part of the command cannot be quoted")]
    Unquotable(#[from] QuoteError),
    /// The layer has no way to carry this part of a command.
    #[error("{layer} cannot carry {part}")]
    Inexpressible {
        /// Which layer.
        layer: &'static str,
        /// What it cannot carry, in words: "a directory", "a variable name with `=`".
        part: String,
    },
}

/// The command with variables that it neither sets nor removes itself.
pub(crate) fn with_defaults(
    mut command: Command,
    defaults: &BTreeMap<OsString, OsString>,
) -> Command {
    for (name, value) in defaults {
        if command.get_envs().all(|(own, _)| own != name) {
            command.env(name, value);
        }
    }
    command
}

/// Runs the command where it is, with variables added to its environment. What the command sets itself wins.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct LocalLayer {
    environment: BTreeMap<OsString, OsString>,
}

impl LocalLayer {
    /// A layer that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a variable.
    #[must_use]
    pub fn with_env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }
}

impl ExecutionLayer for LocalLayer {
    fn apply(&self, command: Command) -> Result<Command, LayerError> {
        Ok(with_defaults(command, &self.environment))
    }
}

impl Debug for LocalLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: values may be secrets.
        f.debug_struct("LocalLayer")
            .field("environment", &self.environment.keys())
            .finish()
    }
}

/// A launcher whose commands go through layers first.
#[derive(Debug)]
pub struct LayeredLauncher<L> {
    launcher: L,
    /// Outermost place first.
    layers: Vec<Box<dyn ExecutionLayer>>,
}

impl<L> LayeredLauncher<L> {
    /// A launcher without layers yet.
    pub fn new(launcher: L) -> Self {
        Self {
            launcher,
            layers: Vec::new(),
        }
    }

    /// Adds a layer *inside* those added before.
    #[must_use]
    pub fn with_layer(mut self, layer: impl ExecutionLayer + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// The command as it will be launched.
    ///
    /// # Errors
    /// [`LayerError`] of the layer that cannot express it.
    pub fn layered(&self, command: Command) -> Result<Command, LayerError> {
        self.layers
            .iter()
            .rev()
            .try_fold(command, |command, layer| layer.apply(command))
    }
}

#[async_trait]
impl<L: Launcher> Launcher for LayeredLauncher<L> {
    type Handle = L::Handle;

    async fn launch(
        &self,
        target: &Target,
        command: Command,
    ) -> Result<(ProcessEventStream, Self::Handle), LaunchError> {
        let program = command.program_text();
        let layered = self
            .layered(command)
            .map_err(|source| LaunchError::Layer { program, source })?;
        self.launcher.launch(target, layered).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for a place that is reached through a program.
    #[derive(Debug)]
    struct Through(&'static str);

    impl ExecutionLayer for Through {
        fn apply(&self, command: Command) -> Result<Command, LayerError> {
            let mut outer = Command::wrapping(self.0, &command);
            outer.arg(crate::quote::command(&command)?);
            Ok(outer)
        }
    }

    #[test]
    fn the_first_layer_added_is_the_outermost_place() {
        let launcher = LayeredLauncher::new(())
            .with_layer(Through("ssh"))
            .with_layer(Through("docker"));
        let command = launcher
            .layered(Command::new("ls"))
            .expect("it can be expressed");
        assert_eq!(command.get_program(), "ssh");
        let carried: Vec<_> = command.get_args().collect();
        assert_eq!(carried, ["exec env docker 'exec env ls'"]);
    }

    #[test]
    fn the_variables_of_a_local_layer_give_way_to_those_of_the_command() {
        let mut command = Command::new("env");
        command.env("A", "own").env_remove("B");
        let layer = LocalLayer::new()
            .with_env("A", "layer")
            .with_env("B", "layer")
            .with_env("C", "layer");
        let command = layer.apply(command).expect("nothing to refuse");
        let variables: Vec<_> = command.get_envs().collect();
        let expected: [(&OsStr, Option<&OsStr>); 3] = [
            ("A".as_ref(), Some("own".as_ref())),
            ("B".as_ref(), None),
            ("C".as_ref(), Some("layer".as_ref())),
        ];
        assert_eq!(variables, expected);
    }

    #[test]
    fn a_word_no_shell_can_carry_is_refused() {
        let launcher = LayeredLauncher::new(()).with_layer(Through("ssh"));
        let error = launcher
            .layered(Command::new("a\0b"))
            .expect_err("NUL is refused");
        assert!(matches!(error, LayerError::Unquotable(_)));
    }
}
