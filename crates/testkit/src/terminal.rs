//! A terminal that a test holds.
//!
//! Owns: the side on which a user would sit. What runs at the other side is the test's own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal, and what was shown on it so far.
#[derive(Debug)]
pub struct Terminal {
    screen: File,
    line: OwnedFd,
    shown: String,
}

impl Terminal {
    /// With so many rows and columns.
    ///
    /// # Panics
    /// When the system has no terminal to give, as everything here does when it does not work.
    #[must_use]
    pub fn new(rows: u16, columns: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let screen = openpt(flags).expect("there is a terminal to be had");
        let usable = grantpt(&screen).and_then(|()| unlockpt(&screen));
        usable.expect("a new terminal is usable");
        let line = ioctl_tiocgptpeer(&screen, flags).expect("a terminal has two sides");
        let terminal = Self {
            screen: screen.into(),
            line,
            shown: String::new(),
        };
        terminal.resize(rows, columns);
        terminal
    }

    /// Changes the size of its window. What has it as its own terminal hears of that.
    ///
    /// # Panics
    /// When the system refuses.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(self.screen.as_fd(), size).expect("a terminal has a size");
    }

    /// A command with all standard streams on this terminal, which is its own: Ctrl-C and new sizes reach it.
    ///
    /// # Panics
    /// When there are no descriptors.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let stream = || -> Stdio {
            let copy = self.line.try_clone();
            copy.expect("there are descriptors").into()
        };
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", "--wait"])
            .args(words)
            .stdin(stream())
            .stdout(stream())
            .stderr(stream());
        command
    }

    /// Types this.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn type_in(&mut self, text: &str) {
        let typed = self.screen.write_all(text.as_bytes());
        typed.expect("the terminal is there");
    }

    /// Reads until this is on the screen, and gives all that was. The time limit is the test's own.
    ///
    /// # Panics
    /// When the terminal is gone before.
    pub fn until(&mut self, text: &str) -> &str {
        let mut piece = [0; 4096];
        while !self.shown.contains(text) {
            let length = self.screen.read(&mut piece).expect("the terminal is there");
            self.shown += &String::from_utf8_lossy(&piece[..length]);
        }
        &self.shown
    }
}
