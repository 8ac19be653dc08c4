//! Servers and deadlines for the tests of this crate.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]
#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_net::unix::{UnixListener, UnixStream};
use async_net::{TcpListener, TcpStream};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use futures_lite::FutureExt;
use harness_http::{
    Address, Body, Bytes, Connection, Excess, HttpError, Limits, Request, Response, ServeError,
    ServerLimits, StatusCode, Step, get, request, send, serve_connection,
};

pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let too_late = async {
        async_io::Timer::after(Duration::from_secs(10)).await;
        panic!("not done within ten seconds")
    };
    work.or(too_late).await
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    smol::block_on(in_time(work))
}

pub(crate) async fn beside<T>(background: impl Future, work: impl Future<Output = T>) -> T {
    let background = async {
        background.await;
        std::future::pending().await
    };
    work.or(background).await
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

pub(crate) fn quick() -> Limits {
    Limits {
        timeout: Duration::from_millis(200),
        ..Limits::default()
    }
}

pub(crate) fn ask(path: &str) -> Request<Bytes> {
    Request::get(path).body(Bytes::new()).unwrap()
}

/// `/` answers `hello`, `/big` 100,000 bytes, `/chunks` three pieces, `/endless` ticks, anything else echoes method, path and body.
pub(crate) async fn handle(request: Request<Bytes>) -> Response<Body> {
    match request.uri().path() {
        "/" => Response::new(Body::from("hello")),
        "/big" => Response::new(Body::from(vec![b'x'; 100_000])),
        "/chunks" => {
            let pieces =
                ["one ", "two ", "three"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
            Response::new(Body::stream(futures::stream::iter(pieces)))
        }
        "/endless" => {
            let ticks = futures::stream::unfold((), async |()| {
                async_io::Timer::after(Duration::from_millis(5)).await;
                Some((Ok(Bytes::from_static(b"tick\n")), ()))
            });
            Response::new(Body::stream(ticks))
        }
        path => {
            let text = format!(
                "{} {path} {}",
                request.method(),
                String::from_utf8_lossy(request.body())
            );
            let status = if path == "/missing" {
                StatusCode::NOT_FOUND
            } else {
                StatusCode::OK
            };
            Response::builder()
                .status(status)
                .body(Body::from(text))
                .unwrap()
        }
    }
}

/// Serves every connection to a listener, several at once, for as long as it is polled.
pub(crate) async fn serve(listener: &TcpListener, limits: &ServerLimits) {
    let serve_one = |stream: std::io::Result<TcpStream>| async {
        let _ = serve_connection(stream.unwrap(), limits, handle).await;
    };
    listener
        .incoming()
        .for_each_concurrent(None, serve_one)
        .await;
}

/// Runs `work` with the base URL of a server.
pub(crate) fn with_server<T>(work: impl AsyncFnOnce(String, SocketAddr) -> T) -> T {
    run(async {
        let (listener, address) = listen().await;
        beside(
            serve(&listener, &ServerLimits::default()),
            work(format!("http://{address}"), address),
        )
        .await
    })
}

/// Runs `work` with the URL of a server that reads a little, answers `answer` and closes.
pub(crate) fn with_answer<T>(answer: &[u8], work: impl AsyncFnOnce(String) -> T) -> T {
    run(async {
        let (listener, address) = listen().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            stream.write_all(answer).await.unwrap();
        };
        beside(server, work(format!("http://{address}/"))).await
    })
}
