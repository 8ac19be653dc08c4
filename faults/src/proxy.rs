//! A socket between the daemon and its engine that can be cut, closed, and made to kill the daemon at a request.
//!
//! Owns: the connections through it. It understands of HTTP where a request begins and which path it names, no more: the
//! client sends one request after the other on a connection, each beginning with a write of its own.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use crate::fault::Fault;
use crate::proc;

/// The socket, until it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    socket: PathBuf,
    state: Arc<Mutex<State>>,
}

/// Who is killed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) pid: u32,
    /// At the request of this number, counted from one since it was armed.
    pub(crate) at: usize,
    pub(crate) side: Side,
}

/// When of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// Before the engine has heard of it.
    Asked,
    /// When the engine begins to answer it.
    Answered,
}

/// Shared by the threads of all connections; never held while one of them waits.
#[derive(Debug, Default)]
struct State {
    connections: Vec<Connection>,
    next: u64,
    requests: Vec<String>,
    kill: Option<Kill>,
    listens: u64,
}

#[derive(Debug)]
struct Connection {
    number: u64,
    client: UnixStream,
    engine: UnixStream,
    /// Of its last request.
    line: String,
    /// Whether the daemon is to be killed at the next byte of the answer.
    is_fatal: bool,
}

impl Proxy {
    /// Listens at a socket in this directory.
    pub(crate) fn new(directory: &Path) -> Result<Self, Fault> {
        let proxy = Self {
            socket: directory.join("engine.sock"),
            state: Arc::default(),
        };
        proxy.open()?;
        Ok(proxy)
    }

    /// As `DOCKER_HOST` names it.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Is there (again).
    pub(crate) fn open(&self) -> Result<(), Fault> {
        let listener = UnixListener::bind(&self.socket);
        let listener = listener.map_err(Fault::io("listen at", &self.socket))?;
        let state = Arc::clone(&self.state);
        let own = {
            let mut state = lock(&state);
            state.listens += 1;
            state.listens
        };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if lock(&state).listens != own {
                    return;
                }
                carry(&state, client);
            }
        });
        Ok(())
    }

    /// Is gone, with every connection, as the engine's socket is when the engine is.
    pub(crate) fn close(&self) -> Result<(), Fault> {
        lock(&self.state).listens += 1;
        // Wakes the listener, which finds that its time is over.
        drop(UnixStream::connect(&self.socket));
        std::fs::remove_file(&self.socket).map_err(Fault::io("remove", &self.socket))?;
        self.cut("");
        Ok(())
    }

    /// Cuts every connection whose last request names this. How many these were.
    pub(crate) fn cut(&self, named: &str) -> usize {
        let state = lock(&self.state);
        let meant = state
            .connections
            .iter()
            .filter(|one| one.line.contains(named));
        meant
            .map(|one| {
                // One that has ended by itself is as cut as can be.
                let _ = one.client.shutdown(Shutdown::Both);
                let _ = one.engine.shutdown(Shutdown::Both);
            })
            .count()
    }

    /// Counts requests from here on, and kills at one of them.
    pub(crate) fn arm(&self, kill: Option<Kill>) {
        let mut state = lock(&self.state);
        state.requests.clear();
        state.kill = kill;
    }

    /// The first lines of the requests since then.
    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.close();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(|lock| lock.into_inner())
}

/// Carries a connection, by two threads that end with it.
fn carry(state: &Arc<Mutex<State>>, client: UnixStream) {
    let connected = UnixStream::connect(ENGINE).and_then(|engine| {
        let clones = (client.try_clone()?, engine.try_clone()?);
        Ok((engine.try_clone()?, engine, clones))
    });
    // Without an engine the client is hung up on.
    let Ok((to_engine, from_engine, (kept_client, kept_engine))) = connected else {
        return;
    };
    let Ok(from_client) = client.try_clone() else {
        return;
    };
    let number = {
        let mut state = lock(state);
        state.next += 1;
        let number = state.next;
        state.connections.push(Connection {
            number,
            client: kept_client,
            engine: kept_engine,
            line: String::new(),
            is_fatal: false,
        });
        number
    };
    let asked = Arc::clone(state);
    let asking = move || {
        pass(from_client, to_engine, |bytes| {
            lock(&asked).asked(number, bytes)
        });
    };
    let answered = Arc::clone(state);
    let answering = move || {
        pass(from_engine, client, |_| lock(&answered).answered(number));
        lock(&answered)
            .connections
            .retain(|one| one.number != number);
    };
    thread::spawn(asking);
    thread::spawn(answering);
}

/// Passes on what comes until it ends; what is refused is not passed on, and ends it.
fn pass(mut from: UnixStream, mut to: UnixStream, may: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if !may(&buffer[..length]) || to.write_all(&buffer[..length]).is_err() {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

impl State {
    /// Whether what the client says reaches the engine.
    fn asked(&mut self, number: u64, bytes: &[u8]) -> bool {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_OF_A_LINE)]).into_owned();
        let line = head.lines().next().unwrap_or_default();
        if !METHODS.iter().any(|method| line.starts_with(method)) {
            return true;
        }
        self.requests.push(line.to_owned());
        let is_it = self.kill.is_some_and(|kill| kill.at == self.requests.len());
        let Some(one) = self.connections.iter_mut().find(|one| one.number == number) else {
            return true;
        };
        one.line = line.to_owned();
        match self.kill.filter(|_| is_it) {
            Some(kill) if kill.side == Side::Asked => {
                proc::kill(kill.pid);
                false
            }
            Some(_) => {
                one.is_fatal = true;
                true
            }
            None => true,
        }
    }

    /// Whether what the engine says reaches the client.
    fn answered(&mut self, number: u64) -> bool {
        let mut all = self.connections.iter();
        let is_fatal = all.any(|one| one.number == number && one.is_fatal);
        if let (true, Some(kill)) = (is_fatal, self.kill) {
            proc::kill(kill.pid);
        }
        !is_fatal
    }
}

const ENGINE: &str = "/var/run/docker.sock";
const METHODS: [&str; 5] = ["GET /", "POST /", "DELETE /", "PUT /", "HEAD /"];
const MOST_OF_A_LINE: usize = 4096;
