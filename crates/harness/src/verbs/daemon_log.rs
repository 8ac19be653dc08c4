//! `daemon logs`: what a detached daemon says.
//!
//! Owns: reading the file that it writes to, also while it grows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use futures_lite::future;
use harness_core::client::daemon_log;
use smol::Timer;

use crate::context::Context;
use crate::failure::Failure;
use crate::render::{escaped, print, reader_gone};

/// Show what a daemon in the background says
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct LogArgs {
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    // The global option under its long name, which means nothing here: -f means to follow.
    #[arg(id = "files", long = "file", value_name = "FILE", hide = true)]
    _files: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  harness daemon logs -n 50
  harness daemon logs -f
  HARNESS_LOG=debug harness daemon start     says more";

pub(super) async fn show(args: LogArgs, context: &Context) -> Result<(), Failure> {
    let path = daemon_log(&context.dirs_here("daemon logs")?);
    let mut file = File::open(&path).map_err(Failure::io(format!("open {}", path.display())))?;
    let text = rest(&mut file, &path)?;
    let lines: Vec<&str> = text.lines().collect();
    let first = args.tail.map_or(0, |tail| lines.len().saturating_sub(tail));
    print(&shown(&lines[first..]))?;
    if !args.follow {
        return Ok(());
    }
    future::race(follow(&mut file, &path), async { Err(reader_gone().await) }).await
}

async fn follow(file: &mut File, path: &Path) -> Result<(), Failure> {
    loop {
        Timer::after(BETWEEN_LOOKS).await;
        // Another daemon may have begun the file anew.
        let is_new = std::fs::metadata(path)
            .is_ok_and(|now| file.stream_position().is_ok_and(|at| now.len() < at));
        if is_new {
            *file = File::open(path).map_err(Failure::io(format!("open {}", path.display())))?;
        }
        let text = rest(file, path)?;
        print(&shown(&text.lines().collect::<Vec<_>>()))?;
    }
}

fn rest(file: &mut File, path: &Path) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(Failure::io(format!("read {}", path.display())))?;
    // The last line may still be being written; it is read again when it is whole.
    let whole = bytes
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let back = i64::try_from(bytes.len() - whole).unwrap_or_default();
    file.seek(SeekFrom::Current(-back))
        .map_err(Failure::io(format!("read {}", path.display())))?;
    bytes.truncate(whole);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn shown(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| format!("{}\n", escaped(line.as_bytes())))
        .collect()
}

/// Often enough to seem at once to somebody who watches.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
