//! The socket a service reports its readiness to (`sd_notify`).
//!
//! Owns: the datagram socket and what was said. Believes only processes of the attempt; a sender that has ended
//! already (`systemd-notify` is quick) is believed when it ran as the service's user.

use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, UCred};

use crate::protocol::NotifyState;
use crate::run_dir::{NOTIFY, RunDir};

/// Receives what the service says about itself.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    pub(super) state: NotifyState,
}

/// One message, and whoever the kernel says has sent it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) sender: Option<UCred>,
    text: Vec<u8>,
}

impl NotifySocket {
    /// Opens the socket of an attempt, and says what `NOTIFY_SOCKET` shall be.
    ///
    /// A path where the service can reach it; an abstract name when the run directory is closed to the service's
    /// user, or its path is too long for an address.
    pub(super) fn open(
        run: &RunDir,
        instance_id: &str,
        other_user: bool,
    ) -> io::Result<(NotifySocket, OsString)> {
        let path = run.path().join(NOTIFY);
        let fits = path.is_absolute() && path.as_os_str().as_bytes().len() < MAX_PATH;
        let (socket, address) = if fits && !other_user {
            run.unlink(NOTIFY);
            (
                UnixDatagram::bind(run.short_path(NOTIFY))?,
                path.into_os_string(),
            )
        } else {
            let name = format!("harness-notify-{instance_id}");
            let address = SocketAddr::from_abstract_name(name.as_bytes())?;
            (
                UnixDatagram::bind_addr(&address)?,
                OsString::from(format!("@{name}")),
            )
        };
        socket.set_nonblocking(true)?;
        rustix::net::sockopt::set_socket_passcred(&socket, true)?;
        Ok((
            NotifySocket {
                socket,
                state: NotifyState::default(),
            },
            address,
        ))
    }

    /// The next message; none when there is none now.
    pub(super) fn receive(&self) -> Option<Message> {
        let mut text = vec![0u8; MAX_MESSAGE];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let mut parts = [IoSliceMut::new(&mut text)];
        let received = rustix::net::recvmsg(&self.socket, &mut parts, &mut control, flags).ok()?;
        let mut sender = None;
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmCredentials(credentials) => sender = Some(credentials),
                // Closing what came along is the answer a sender of BARRIER=1 waits for.
                RecvAncillaryMessage::ScmRights(descriptors) => drop(descriptors),
                _ => {}
            }
        }
        text.truncate(received.bytes);
        Some(Message { sender, text })
    }

    /// Takes a believed message in; returns what subscribers shall hear, if anything.
    pub(super) fn apply(&mut self, message: &Message) -> Option<NotifyState> {
        let mut news = false;
        let mut watchdog = false;
        for line in message.text.split(|byte| *byte == b'\n') {
            match line {
                b"READY=1" => (self.state.ready, news) = (true, true),
                b"STOPPING=1" => (self.state.stopping, news) = (true, true),
                b"WATCHDOG=1" => (watchdog, news) = (true, true),
                _ => {
                    if let Some(status) = line.strip_prefix(b"STATUS=") {
                        self.state.status = Some(String::from_utf8_lossy(status).into_owned());
                        news = true;
                    }
                }
            }
        }
        news.then(|| NotifyState {
            watchdog,
            ..self.state.clone()
        })
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

// sun_path holds 108 bytes, the last of them zero.
const MAX_PATH: usize = 108;
// What systemd accepts.
const MAX_MESSAGE: usize = 4096;
