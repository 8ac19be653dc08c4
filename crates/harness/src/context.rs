//! What every verb knows: the global options, how things look, and the way to the daemon.
//!
//! Owns: reading them once. Nothing is read from the disk before a verb asks for it.

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use harness_core::client::{DaemonProgram, Remote};
use harness_core::{AutoStart, Dirs, HarnessClient};

use crate::cli::{Globals, ProgressWish};
use crate::failure::Failure;
use crate::render::{Look, Progress, Stream, note};

/// The surroundings of one run of the program.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) globals: Globals,
    /// How standard output looks.
    pub(crate) data: Look,
    /// How standard error looks.
    pub(crate) messages: Look,
    is_for_programs: OnceLock<bool>,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Self {
        Self {
            data: Look::of(Stream::Stdout, globals.color),
            messages: Look::of(Stream::Stderr, globals.color),
            globals,
            is_for_programs: OnceLock::new(),
        }
    }

    /// Whether errors are told as JSON.
    pub(crate) fn is_for_programs(&self) -> bool {
        self.is_for_programs.get().copied().unwrap_or(false)
    }

    /// Says once whether output is for programs.
    pub(crate) fn set_for_programs(&self, is_for_programs: bool) {
        let _first = self.is_for_programs.set(is_for_programs);
    }

    /// How progress is shown.
    pub(crate) fn progress(&self) -> Progress {
        let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
        match self.globals.progress {
            _ if self.globals.quiet => Progress::Quiet,
            ProgressWish::Quiet => Progress::Quiet,
            ProgressWish::Plain => Progress::Plain,
            ProgressWish::Tty => Progress::Live,
            ProgressWish::Auto if self.messages.can_move && !is_ci => Progress::Live,
            ProgressWish::Auto => Progress::Plain,
        }
    }

    /// Tells the user something on standard error, unless he wants to hear only of errors.
    pub(crate) fn tell(&self, text: &str) {
        if !self.globals.quiet {
            note(&format!("{text}\n"));
        }
    }

    /// Where everything lies.
    pub(crate) fn dirs(&self) -> Result<Dirs, Failure> {
        Ok(Dirs::from_env()?)
    }

    /// The same, for a verb that is about this machine's daemon and no other.
    ///
    /// # Errors
    /// [`Failure::OnlyHere`] when another one is meant.
    pub(crate) fn dirs_here(&self, verb: &'static str) -> Result<Dirs, Failure> {
        match &self.globals.context {
            None => self.dirs(),
            Some(context) => Err(Failure::OnlyHere {
                verb,
                context: context.clone(),
            }),
        }
    }

    /// The program that is the daemon: this one.
    pub(crate) fn daemon_program(&self, listen: Option<String>) -> Result<DaemonProgram, Failure> {
        let program = std::env::current_exe().map_err(Failure::io("find this program"))?;
        Ok(DaemonProgram {
            program,
            listen,
            allow_remote: false,
        })
    }

    /// The way to the daemon, which is brought up where `auto_start` says so.
    pub(crate) async fn client(&self, auto_start: AutoStart) -> Result<HarnessClient, Failure> {
        if let Some(name) = &self.globals.context {
            let remote = Remote::open(&self.dirs()?, name)?;
            return Ok(HarnessClient::connect_remote(&remote).await?);
        }
        let program = self.daemon_program(None)?;
        Ok(HarnessClient::open(&self.dirs()?, &program, auto_start).await?)
    }

    /// Asks the user to agree.
    ///
    /// # Errors
    /// [`Failure::NeedsYes`] when nobody can be asked, [`Failure::Declined`] when he does not agree.
    pub(crate) fn confirm(&self, action: &str, question: &str) -> Result<(), Failure> {
        if self.globals.yes {
            return Ok(());
        }
        if self.globals.no_input
            || !std::io::stdin().is_terminal()
            || !std::io::stderr().is_terminal()
        {
            return Err(Failure::NeedsYes {
                action: action.to_owned(),
            });
        }
        let mut answer = String::new();
        note(&format!("{question} [y/N] "));
        let _shown = std::io::stderr().flush();
        std::io::stdin()
            .read_line(&mut answer)
            .map_err(Failure::io("read the answer"))?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::Declined),
        }
    }
}
