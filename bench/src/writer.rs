//! A service that writes: the same bytes, in writes of the same size, for every contender.
//!
//! It tells its process id, writes one line, waits for a byte of the stage's gate, writes, tells that it is done, and
//! stays until it is ended.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::failure::Failure;
use crate::service::Service;
use crate::stage::Stage;

/// The first argument that makes a benchmark's program a writer.
pub const VERB: &str = "__write";

/// What a writer says when the last write has returned.
pub const DONE: &str = "done";

/// A service that is this program as a writer of `bytes`, in writes of `chunk` bytes.
///
/// # Errors
/// When this program cannot be found.
pub fn service(
    stage: &Stage,
    name: String,
    chunk: usize,
    bytes: usize,
) -> Result<Service, Failure> {
    let arguments = [
        VERB.to_owned(),
        chunk.to_string(),
        (bytes / chunk).to_string(),
        stage.voice().to_string_lossy().into_owned(),
        stage.gate().to_string_lossy().into_owned(),
    ];
    Service::own(name, &arguments)
}

/// Is the writer; the arguments are those after [`VERB`].
///
/// # Errors
/// When a FIFO or standard output breaks.
pub fn play(arguments: &[String]) -> io::Result<()> {
    let number = |at: usize| arguments.get(at).and_then(|word| word.parse().ok());
    let (Some(chunk), Some(writes), [_, _, voice, gate, ..]) = (number(0), number(1), arguments)
    else {
        return Err(io::Error::other("usage: __write CHUNK WRITES VOICE GATE"));
    };
    let mut voice = OpenOptions::new().write(true).open(Path::new(voice))?;
    let mut output = File::from(rustix::io::dup(rustix::stdio::stdout())?);
    output.write_all(b"ready\n")?;
    voice.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    File::open(gate)?.read_exact(&mut [0])?;
    let text = text(chunk);
    for _ in 0..writes {
        output.write_all(&text)?;
    }
    voice.write_all(format!("{DONE}\n").as_bytes())?;
    loop {
        std::thread::park();
    }
}

/// Lines of 100 bytes that end with the chunk.
fn text(chunk: usize) -> Vec<u8> {
    let mut text: Vec<u8> = (0..chunk)
        .map(|at| {
            if at % 100 == 99 {
                b'\n'
            } else {
                b'a' + (at % 26) as u8
            }
        })
        .collect();
    if let Some(last) = text.last_mut() {
        *last = b'\n';
    }
    text
}
