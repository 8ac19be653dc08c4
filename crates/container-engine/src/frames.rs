//! Output of containers as the engine sends it: frames, each of one stream, cut anywhere on the way.
//!
//! Owns: putting the frames together again, and reading the times before their data. Pure: bytes in, records out, the
//! same whichever way the bytes were cut. Never holds more than one frame that is not whole.

use bytes::{Buf, Bytes, BytesMut};

use crate::time;

/// Which of a program's outputs it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogSource {
    /// Standard output; everything, where there is a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One piece of output, as the engine keeps it: a line with its end, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// From which output.
    pub source: LogSource,
    /// When the engine read it, in nanoseconds since 1970. Not unique: several records may bear one time.
    pub time_ns: u64,
    /// The bytes, exactly. Without a line's end it is a part of a line, and the next record of the same source goes on.
    pub bytes: Bytes,
}

/// The bytes are not what an engine sends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is of a kind that does not exist.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// The frame is longer than any honest one.
    #[error("a frame of {0} bytes")]
    Length(u64),
    /// A record does not begin with a time.
    #[error("a record without a time")]
    NoTime,
    /// The bytes end within a frame.
    #[error("the output breaks off within a frame")]
    BrokenOff,
    /// The engine says that it could not go on.
    #[error("the engine could not read the output: {0}")]
    Engine(String),
}

/// Puts frames together.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// More bytes have come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame that is whole; `None`: more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; nothing sensible comes afterwards.
    pub fn next_frame(&mut self) -> Result<Option<(LogSource, Bytes)>, FrameError> {
        let Some((head, rest)) = self.buffer.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let [kind, _, _, _, length @ ..] = *head;
        let source = match kind {
            // What was typed is echoed as output.
            0 | 1 => Some(LogSource::Stdout),
            2 => Some(LogSource::Stderr),
            3 => None,
            kind => return Err(FrameError::Kind(kind)),
        };
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(FrameError::Length(length as u64));
        }
        if rest.len() < length {
            self.buffer.reserve(HEAD_BYTES + length - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        let data = self.buffer.split_to(length).freeze();
        match source {
            Some(source) => Ok(Some((source, data))),
            None => Err(FrameError::Engine(
                String::from_utf8_lossy(&data).into_owned(),
            )),
        }
    }

    /// Whether nothing is left of a frame that has begun.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}

/// Reads the records of a log.
#[derive(Debug)]
pub struct Records {
    form: Form,
}

#[derive(Debug)]
enum Form {
    Framed(Frames),
    /// A terminal's output has no frames: each line begins with its time.
    Lines {
        buffer: BytesMut,
        /// How much of the buffer holds no end of a line.
        searched: usize,
        /// The time of a line that was too long to be kept whole, and goes on.
        going_on: Option<u64>,
    },
}

impl Records {
    /// For output of a container without (`framed`) or with a terminal.
    #[must_use]
    pub fn new(framed: bool) -> Self {
        let form = if framed {
            Form::Framed(Frames::default())
        } else {
            Form::Lines {
                buffer: BytesMut::new(),
                searched: 0,
                going_on: None,
            }
        };
        Self { form }
    }

    /// More bytes have come.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Form::Framed(frames) => frames.push(bytes),
            Form::Lines { buffer, .. } => buffer.extend_from_slice(bytes),
        }
    }

    /// The next record that is whole; `None`: more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]; nothing sensible comes afterwards.
    pub fn next_record(&mut self) -> Result<Option<LogRecord>, FrameError> {
        match &mut self.form {
            Form::Framed(frames) => {
                let Some((source, mut bytes)) = frames.next_frame()? else {
                    return Ok(None);
                };
                let time_ns = take_time(&mut bytes)?;
                Ok(Some(LogRecord {
                    source,
                    time_ns,
                    bytes,
                }))
            }
            Form::Lines {
                buffer,
                searched,
                going_on,
            } => {
                let end = buffer[*searched..].iter().position(|byte| *byte == b'\n');
                let length = match end {
                    Some(end) => *searched + end + 1,
                    None if buffer.len() >= MAX_LINE_BYTES => MAX_LINE_BYTES,
                    None => {
                        *searched = buffer.len();
                        return Ok(None);
                    }
                };
                // A line that ends beyond the bound is cut there, too: however the bytes came, the records are the same.
                let length = length.min(MAX_LINE_BYTES);
                *searched = 0;
                take_line(buffer, length, going_on).map(Some)
            }
        }
    }

    /// There will be no more bytes: what is left of a line.
    ///
    /// # Errors
    /// [`FrameError::BrokenOff`] within a frame.
    pub fn finish(&mut self) -> Result<Option<LogRecord>, FrameError> {
        match &mut self.form {
            Form::Framed(frames) if frames.is_empty() => Ok(None),
            Form::Framed(_) => Err(FrameError::BrokenOff),
            Form::Lines { buffer, .. } if buffer.is_empty() => Ok(None),
            Form::Lines {
                buffer, going_on, ..
            } => take_line(buffer, buffer.len(), going_on).map(Some),
        }
    }
}

fn take_line(
    buffer: &mut BytesMut,
    length: usize,
    going_on: &mut Option<u64>,
) -> Result<LogRecord, FrameError> {
    let mut bytes = buffer.split_to(length).freeze();
    let time_ns = match *going_on {
        Some(time_ns) => time_ns,
        None => take_time(&mut bytes)?,
    };
    *going_on = (!bytes.ends_with(b"\n")).then_some(time_ns);
    Ok(LogRecord {
        source: LogSource::Stdout,
        time_ns,
        bytes,
    })
}

/// Takes the time and the space behind it from the front.
fn take_time(bytes: &mut Bytes) -> Result<u64, FrameError> {
    let (time_ns, length) = time::leading(bytes).ok_or(FrameError::NoTime)?;
    // An engine that trims what it sends leaves no space behind the time of an empty line.
    match bytes.get(length) {
        Some(b' ') => bytes.advance(length + 1),
        None | Some(b'\n' | b'\r') => bytes.advance(length),
        Some(_) => return Err(FrameError::NoTime),
    }
    Ok(time_ns)
}

const HEAD_BYTES: usize = 8;

/// The engine cuts lines at 16 KiB; other drivers may not.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;

/// A terminal's line beyond this comes in parts.
const MAX_LINE_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests;
