//! Drives the forwarder as a program, between 127.0.0.2 and 127.0.0.1.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A forwarder that has said that it is ready.
pub(crate) struct Forwarder {
    pub(crate) address: SocketAddr,
    child: Child,
}

/// A target that listens, and the address of the same port to forward from. Nobody else has that port on 127.0.0.1.
pub(crate) fn target() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    (listener, SocketAddr::from(([127, 0, 0, 2], port)))
}

/// An address that is taken, at which nobody listens yet.
pub(crate) fn deaf_target() -> (OwnedFd, SocketAddr, SocketAddr) {
    let socket = rustix::net::socket(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
        None,
    )
    .expect("a socket");
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let bound = rustix::net::getsockname(&socket).expect("bound");
    let to = SocketAddr::try_from(bound).expect("of the internet");
    (socket, SocketAddr::from(([127, 0, 0, 2], to.port())), to)
}

impl Forwarder {
    pub(crate) fn start(listen: SocketAddr, to: SocketAddr) -> Forwarder {
        Forwarder::start_by(Command::new(env!("CARGO_BIN_EXE_service-shim")), listen, to)
    }

    /// With a limit of its descriptors.
    pub(crate) fn start_with_descriptors(
        limit: u32,
        listen: SocketAddr,
        to: SocketAddr,
    ) -> Forwarder {
        let mut command = Command::new("/bin/sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_service-shim"));
        Forwarder::start_by(command, listen, to)
    }

    fn start_by(mut command: Command, listen: SocketAddr, to: SocketAddr) -> Forwarder {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a fresh path");
        command
            .arg("forward")
            .arg(listen.to_string())
            .arg(to.to_string());
        let child = command
            .env("NOTIFY_SOCKET", &path)
            .spawn()
            .expect("the program");
        let forwarder = Forwarder {
            address: listen,
            child,
        };
        assert_eq!(message(&socket), "READY=1");
        forwarder
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    pub(crate) fn pid(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// How often it was given the processor.
    pub(crate) fn turns(&self) -> u64 {
        let text = self.proc("schedstat");
        let last = text.split_whitespace().next_back().expect("three numbers");
        last.parse().expect("a number")
    }

    /// What it has in memory, in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        let text = self.proc("status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.expect("a process").parse().expect("a number")
    }

    pub(crate) fn descriptors(&self) -> usize {
        let dir = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(dir).expect("procfs").count()
    }

    pub(crate) fn terminate(mut self) -> ExitStatus {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).expect("own");
        self.child.wait().expect("own child")
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("procfs")
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One that is expected to end by itself.
pub(crate) fn refused(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_service-shim"))
        .arg("forward")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the program")
}

/// Starts one that reports to a name, and returns what it said.
pub(crate) fn first_words(notify: &OsStr, socket: &UnixDatagram) -> String {
    let (target, listen) = target();
    let child = Command::new(env!("CARGO_BIN_EXE_service-shim"))
        .arg("forward")
        .arg(listen.to_string())
        .arg(target.local_addr().expect("bound").to_string())
        .env("NOTIFY_SOCKET", notify)
        .spawn()
        .expect("the program");
    let _ended_with_us = Forwarder {
        address: listen,
        child,
    };
    message(socket)
}

fn message(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut buffer = [0u8; 256];
    let length = socket.recv(&mut buffer).expect("a word in time");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).expect("48 bits") % bound
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// Writes in parts of all sizes, and ends this direction.
pub(crate) fn say(mut stream: &TcpStream, mut bytes: &[u8], dice: &mut Dice) {
    while !bytes.is_empty() {
        let bound = [2, 600, 200_000][dice.below(3)];
        let part = (1 + dice.below(bound)).min(bytes.len());
        stream.write_all(&bytes[..part]).expect("it is read");
        bytes = &bytes[part..];
    }
    stream.shutdown(Shutdown::Write).expect("connected");
}

/// Everything to the end of the other direction.
pub(crate) fn hear(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an orderly end");
    all
}

/// Sends a word and waits for it to come back.
pub(crate) fn echoes(mut stream: &TcpStream, word: &[u8]) {
    stream.write_all(word).expect("it is read");
    let mut back = vec![0u8; word.len()];
    stream.read_exact(&mut back).expect("an answer");
    assert_eq!(back, word);
}

/// Serves as an echo for as long as the test runs.
pub(crate) fn echo(target: TcpListener) {
    std::thread::spawn(move || {
        for stream in target.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = &stream;
                let mut writer = &stream;
                let _ = std::io::copy(&mut reader, &mut writer);
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
}
