//! A stream as a local socket, so that whoever speaks to a shim need not know where it is.
//!
//! Owns: the way of the bytes between the two. Each direction ends by itself; a failure ends both.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use async_io::Async;
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};

use super::stream::AgentStream;
use crate::driver;

/// Carries a stream to a socket, whose other end this is.
pub(super) fn carry(stream: AgentStream) -> io::Result<UnixStream> {
    let (near, far) = UnixStream::pair()?;
    let far = Async::new(far)?;
    driver::run(async move {
        // Whatever ended it: what is dropped here ends for both sides, and that is how they learn of it.
        drop(future::try_zip(send(&stream, &far), receive(&stream, &far)).await);
    });
    Ok(near)
}

/// It is over, for whichever reason.
struct Over;

async fn send(stream: &AgentStream, socket: &Async<UnixStream>) -> Result<(), Over> {
    let mut buffer = vec![0; PIECE];
    let mut from = socket;
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => {
                stream.end();
                return Ok(());
            }
            Ok(read) => stream.write(&buffer[..read]).await.map_err(|_| Over)?,
        }
    }
}

async fn receive(stream: &AgentStream, socket: &Async<UnixStream>) -> Result<(), Over> {
    let mut to = socket;
    while let Some(bytes) = stream.read().await.map_err(|_| Over)? {
        to.write_all(&bytes).await.map_err(|_| Over)?;
        stream.taken(bytes.len());
    }
    // Fails when nobody is there any more, which the other direction finds too.
    drop(socket.get_ref().shutdown(Shutdown::Write));
    Ok(())
}

/// Orders to shims are shorter, and what is longer goes in pieces.
const PIECE: usize = 16 * 1024;
