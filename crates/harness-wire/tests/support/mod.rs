//! A server and a client of one throw-away installation, wired together in this process.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use async_net::{TcpListener, TcpStream};
use futures_lite::FutureExt;
use harness_wire::{
    AcceptError, Acceptor, Client, ClientTls, ConnectError, ConnectOptions, Driver, Hello, Limits,
    PeerIdentity, Pki, Role, RpcError, ServerNames, Session,
};

/// Keys of one installation, and the directory they vanish with.
pub(crate) struct Installation {
    pub(crate) pki: Pki,
    pub(crate) directory: tempfile::TempDir,
}

impl Installation {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let pki = Pki::open_or_create(directory.path().join("pki"), &ServerNames::loopback())
            .expect("new keys");
        Self { pki, directory }
    }

    pub(crate) fn acceptor(&self) -> Acceptor {
        let tls = self
            .pki
            .server_config(SystemTime::now())
            .expect("a server certificate");
        Acceptor::new(
            tls,
            Hello::new("test-server", "1.0").with_features(["logs"]),
        )
    }

    pub(crate) fn client_tls(&self) -> ClientTls {
        self.pki
            .client_config("owner", Role::Admin, SystemTime::now())
            .expect("a client certificate")
    }
}

/// A listener on a free port, and its address.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

pub(crate) fn options() -> ConnectOptions {
    ConnectOptions::new(Hello::new("test-client", "1.0"))
}

pub(crate) fn quick(limits: Limits) -> Limits {
    Limits {
        handshake: Duration::from_millis(300),
        ..limits
    }
}

/// Accepts the next connection of a listener.
pub(crate) async fn accept(
    listener: &TcpListener,
    acceptor: &Acceptor,
) -> Result<(Session, PeerIdentity), AcceptError> {
    let (stream, _) = listener.accept().await.expect("a connection");
    acceptor.accept_tcp(stream).await
}

/// A session and a client that talk to each other.
pub(crate) async fn pair(limits: Limits) -> (Session, Client, Driver) {
    let installation = Installation::new();
    let acceptor = installation.acceptor().with_limits(limits);
    let (listener, address) = listen().await;
    let client = async {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let tls = installation.client_tls();
        Client::over(stream, &address.to_string(), &tls, &options())
            .await
            .expect("a client")
    };
    // The answer to `hello` goes out once the session is polled.
    let server = async {
        let (mut session, _) = accept(&listener, &acceptor).await.expect("a session");
        futures_lite::future::poll_once(session.next_request()).await;
        session
    };
    let (session, (client, driver)) = futures::join!(server, client);
    (session, client, driver)
}

/// Runs `work` beside `background`, which may end first.
pub(crate) async fn beside<T>(background: impl Future, work: impl Future<Output = T>) -> T {
    let background = async {
        background.await;
        std::future::pending().await
    };
    work.or(background).await
}

/// Fails the test when `work` takes longer than ten seconds.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    if_in_time(work).await.expect("done within ten seconds")
}

/// What `work` comes to, if it does within ten seconds.
pub(crate) async fn if_in_time<T>(work: impl Future<Output = T>) -> Option<T> {
    let too_late = async {
        async_io::Timer::after(Duration::from_secs(10)).await;
        None
    };
    // On the heap: without optimisation each of these futures is copied into the next, on the stack of a test.
    let work = Box::pin(work);
    async { Some(work.await) }.or(too_late).await
}

/// Runs a test on smol's executor of one thread, under a deadline.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    smol::block_on(in_time(Box::pin(work)))
}

pub(crate) fn remote(error: harness_wire::CallError) -> RpcError {
    match error {
        harness_wire::CallError::Remote { error, .. } => error,
        other => panic!("expected the server's refusal, got {other:?}"),
    }
}

pub(crate) fn refused(result: Result<(Client, Driver), ConnectError>) -> ConnectError {
    match result {
        Ok(_) => panic!("expected to be refused"),
        Err(error) => error,
    }
}
