//! Files of any length to a host.
//!
//! Owns: reading the file here, piece by piece, no faster than the host takes it. Memory does not depend on the file's length.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::link::AgentLink;
use super::stream::{AgentStream, StreamError};
use crate::blocking::unblock;

/// A file of this machine, and what the host shall make of it.
#[derive(Debug)]
pub struct PutFile<'a> {
    /// Where it goes there: an absolute path.
    pub to: &'a Path,
    /// Its permissions there.
    pub mode: u32,
    /// The SHA-256 that its content has, in hexadecimal. The host checks it.
    pub sha256: &'a str,
    /// Its length in bytes.
    pub size: u64,
}

/// Why a file is not on the host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PutError {
    /// It cannot be read here, or is shorter than was said.
    #[error("cannot read the file that is brought to the host")]
    Read(#[source] io::Error),
    /// The host did not take it, or is gone.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

impl AgentLink {
    /// Writes a file there, whole or not at all, from `file`, which is read from where it stands. `progress` is told after each piece
    /// how many bytes were sent so far.
    ///
    /// # Errors
    /// [`PutError`]. When the connection is lost, the file may be there.
    ///
    /// # Cancellation
    /// Nothing of it is left there.
    pub async fn put_file(
        &self,
        order: PutFile<'_>,
        mut file: File,
        mut progress: impl FnMut(u64),
    ) -> Result<(), PutError> {
        let stream = self.putting(order.to, order.mode, order.sha256, order.size);
        let stream: AgentStream = stream.await?;
        let mut piece = vec![0; PIECE];
        let mut sent = 0;
        while sent < order.size {
            let wanted = order.size - sent;
            let wanted = usize::try_from(wanted).map_or(PIECE, |left| left.min(PIECE));
            let read = unblock(move || {
                let read = fill(&mut file, &mut piece[..wanted]);
                (file, piece, read)
            });
            let (its_file, its_piece, read) = read.await;
            (file, piece) = (its_file, its_piece);
            let length = read.map_err(PutError::Read)?;
            if length == 0 {
                return Err(PutError::Read(ErrorKind::UnexpectedEof.into()));
            }
            stream.write(&piece[..length]).await?;
            if !stream.is_open() {
                break;
            }
            sent += u64::try_from(length).expect("a piece is short");
            progress(sent);
        }
        stream.end();
        // It ends once the file has its name, or tells why not.
        while stream.read().await?.is_some() {}
        Ok(())
    }
}

/// Reads until the piece is full, or the file at its end.
fn fill(file: &mut File, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match file.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What is read at a time: the most that a frame holds, a quarter of what a stream lets be under way.
const PIECE: usize = 64 << 10;
