//! The engine's bytes over the standard streams of a program, such as `docker system dial-stdio` or `ssh`.
//!
//! Owns: the program, one per connection; it is killed with the connection. What it complains of becomes the error of
//! the connection. Never understands a byte of what passes.

use std::ffi::{OsStr, OsString};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use futures::{AsyncRead, AsyncWrite};

/// A program whose standard streams are a connection.
pub(crate) struct ProgramStream {
    to: ChildStdin,
    from: ChildStdout,
    complaints: Option<ChildStderr>,
    said: Vec<u8>,
    has_spoken: bool,
    /// Dropping it kills the program.
    _child: Child,
}

impl ProgramStream {
    /// Starts the program.
    pub(crate) fn start(program: &OsStr, args: &[OsString]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let streams = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = streams else {
            return Err(io::Error::other("the program has no standard streams"));
        };
        Ok(Self {
            to,
            from,
            complaints: child.stderr.take(),
            said: Vec::new(),
            has_spoken: false,
            _child: child,
        })
    }

    /// Reads complaints, so that the program never waits for somebody to hear them. True once there will be no more.
    fn listen(&mut self, cx: &mut Context<'_>) -> bool {
        let mut buffer = [0; 1024];
        while let Some(complaints) = &mut self.complaints {
            match Pin::new(complaints).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(read @ 1..)) => {
                    let room = MAX_COMPLAINT_BYTES - self.said.len();
                    self.said.extend_from_slice(&buffer[..read.min(room)]);
                }
                Poll::Ready(_) => self.complaints = None,
                Poll::Pending => return false,
            }
        }
        true
    }

    fn complaint(&self) -> io::Error {
        let said = String::from_utf8_lossy(&self.said);
        let said = said.trim();
        io::Error::other(if said.is_empty() {
            "the program that leads to the engine ended without a word".to_owned()
        } else {
            format!("the program that leads to the engine said: {said}")
        })
    }
}

impl AsyncRead for ProgramStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let has_said_all = self.listen(cx);
        match Pin::new(&mut self.from).poll_read(cx, buffer) {
            // It never led anywhere: what it said on its way out is the reason.
            Poll::Ready(Ok(0)) if !self.has_spoken && !buffer.is_empty() => {
                if has_said_all {
                    Poll::Ready(Err(self.complaint()))
                } else {
                    Poll::Pending
                }
            }
            Poll::Ready(Ok(read)) => {
                self.has_spoken = true;
                Poll::Ready(Ok(read))
            }
            other => other,
        }
    }
}

impl AsyncWrite for ProgramStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.to).poll_write(cx, bytes) {
            // A program that has ended cannot be written to; why it ended is what its reader learns.
            Poll::Ready(Err(error))
                if error.kind() == io::ErrorKind::BrokenPipe && !self.has_spoken =>
            {
                Poll::Ready(Ok(bytes.len()))
            }
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_close(cx)
    }
}

/// What is kept of complaints: enough for the reason.
const MAX_COMPLAINT_BYTES: usize = 2 * 1024;
