//! Where services play: a directory of one benchmark, and the FIFO on which they tell that they run.
//!
//! Owns: both, and the thread that notes when a line came. Never starts a service. A line is written in one piece by one
//! `write`, so lines of many writers do not mix (shorter than `PIPE_BUF`).

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode};
use tempfile::TempDir;

use crate::failure::Failure;

/// The directory of one benchmark. It goes with this value.
#[derive(Debug)]
pub struct Stage {
    directory: TempDir,
    lines: Receiver<Line>,
    listener: Option<JoinHandle<()>>,
    // Held open both ways, so that opening it never waits.
    gate: File,
    // The same: services that block on it do so until they are ended.
    _silence: File,
    end: File,
}

/// What a service said, and when.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its words, without the newline.
    pub text: String,
    /// When it was read.
    pub at: Instant,
}

impl Line {
    /// The number that the line consists of: a service's process id.
    ///
    /// # Errors
    /// When it is no number.
    pub fn pid(&self) -> Result<u32, Failure> {
        let wrong = || Failure::Wrong(format!("a service said `{}`", self.text));
        self.text.trim().parse().map_err(|_| wrong())
    }
}

impl Stage {
    /// An empty stage in the directory for temporary files.
    ///
    /// # Errors
    /// When files or FIFOs cannot be made there.
    pub fn new() -> Result<Self, Failure> {
        let directory = TempDir::with_prefix("hb").map_err(Failure::io("make a directory"))?;
        let voice = fifo(&directory.path().join(VOICE))?;
        let end = voice.try_clone().map_err(Failure::io("copy a FIFO"))?;
        let gate = fifo(&directory.path().join(GATE))?;
        let silence = fifo(&directory.path().join(SILENCE))?;
        let (sender, lines) = channel();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(voice).lines().map_while(Result::ok) {
                let at = Instant::now();
                if line == LAST || sender.send(Line { text: line, at }).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            directory,
            lines,
            listener: Some(listener),
            gate,
            _silence: silence,
            end,
        })
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where services write their lines.
    #[must_use]
    pub fn voice(&self) -> PathBuf {
        self.path().join(VOICE)
    }

    /// What never has anything to read.
    #[must_use]
    pub fn silence(&self) -> PathBuf {
        self.path().join(SILENCE)
    }

    /// Where services read a byte before they go on.
    #[must_use]
    pub fn gate(&self) -> PathBuf {
        self.path().join(GATE)
    }

    /// The next line.
    ///
    /// # Errors
    /// When none comes within [`PATIENCE`].
    pub fn line(&self) -> Result<Line, Failure> {
        self.line_within(PATIENCE)
    }

    /// The next line, or nothing when none comes in this time.
    ///
    /// # Errors
    /// [`Failure::Late`] when none comes.
    pub fn line_within(&self, patience: Duration) -> Result<Line, Failure> {
        self.lines
            .recv_timeout(patience)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected => Failure::Late {
                    awaited: "word from a service".into(),
                    waited: patience,
                },
            })
    }

    /// The next so many lines.
    ///
    /// # Errors
    /// When one does not come within [`PATIENCE`] of the one before.
    pub fn lines(&self, count: usize) -> Result<Vec<Line>, Failure> {
        (0..count).map(|_| self.line()).collect()
    }

    /// Lets so many services go on that read a byte of [`Stage::gate`].
    ///
    /// # Errors
    /// When the FIFO takes no more.
    pub fn go(&mut self, count: usize) -> Result<(), Failure> {
        let attempt = Failure::io("let services go on");
        self.gate.write_all(&vec![b'g'; count]).map_err(attempt)
    }

    /// How many lines have come and were not heard; they are now.
    #[must_use]
    pub fn lines_now(&self) -> u64 {
        self.lines.try_iter().count() as u64
    }

    /// Forgets what was said and not heard.
    pub fn hush(&self) {
        self.lines.try_iter().for_each(drop);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let told = self.end.write_all(format!("{LAST}\n").as_bytes());
        if let (Ok(()), Some(listener)) = (told, self.listener.take()) {
            // It has nothing that could panic, and nobody left to tell.
            let _ = listener.join();
        }
    }
}

fn fifo(path: &Path) -> Result<File, Failure> {
    let attempt = format!("make the FIFO {}", path.display());
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o666), 0)
        .map_err(|errno| Failure::io(&attempt)(errno.into()))?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(Failure::io(attempt))
}

const VOICE: &str = "voice";
const GATE: &str = "gate";
const SILENCE: &str = "silence";
const LAST: &str = "the stage is taken down";
/// Longer than the slowest peer takes for anything.
const PATIENCE: Duration = Duration::from_secs(60);
