//! The server against peers that misbehave, and both under other runtimes.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::cell::Cell;
use std::time::Duration;

use async_net::TcpStream;
use async_net::unix::UnixStream;
use futures::{AsyncReadExt, AsyncWriteExt};
use harness_http::{
    Bytes, Connection, Limits, Request, ServeError, ServerLimits, StatusCode, get, request,
    serve_connection,
};
use support::*;

/// Serves one end of a pair with these limits while `client` uses the other.
fn against_limits<T>(
    limits: ServerLimits,
    client: impl AsyncFnOnce(UnixStream) -> T,
) -> (Result<(), ServeError>, usize, T) {
    run(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let handled = Cell::new(0);
        let server = serve_connection(theirs, &limits, |request| {
            handled.set(handled.get() + 1);
            handle(request)
        });
        let (served, output) = futures::join!(server, client(ours));
        (served, handled.get(), output)
    })
}

#[test]
fn a_request_body_over_the_limit_is_answered_with_413() {
    let limits = ServerLimits {
        max_body_bytes: 10,
        ..ServerLimits::default()
    };
    let (_, handled, answer) = against_limits(limits, async |stream| {
        let posted = Request::post("/echo")
            .body(Bytes::from_static(b"more than ten bytes"))
            .unwrap();
        request(stream, posted, &Limits::default()).await.unwrap()
    });
    assert_eq!(
        (answer.status(), handled),
        (StatusCode::PAYLOAD_TOO_LARGE, 0)
    );
}

#[test]
fn a_slow_request_is_given_up() {
    let limits = ServerLimits {
        head_timeout: Duration::from_millis(100),
        body_timeout: Duration::from_millis(100),
        ..ServerLimits::default()
    };
    let (served, handled, _) = against_limits(limits.clone(), async |mut stream: UnixStream| {
        stream.write_all(b"GET / HTTP/1.1\r\nHost").await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
    });
    assert!(
        matches!(served, Err(ServeError::TimedOut { .. })),
        "{served:?}"
    );
    assert_eq!(handled, 0);
    let (_, handled, answer) = against_limits(limits, async |mut stream: UnixStream| {
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    });
    assert!(
        answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(handled, 0);
}

#[test]
fn garbage_is_answered_with_400() {
    let (served, handled, answer) =
        against_limits(ServerLimits::default(), async |mut stream: UnixStream| {
            stream
                .write_all(b"\x16\x03\x01 not http\r\n\r\n")
                .await
                .unwrap();
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            answer
        });
    assert!(
        answer.starts_with(b"HTTP/1.1 400"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert!(matches!(served, Err(ServeError::Garbage(_))), "{served:?}");
    assert_eq!(handled, 0);
}

#[test]
fn it_runs_under_tokio_and_under_a_plain_executor() {
    async fn conversation() {
        let (listener, address) = listen().await;
        let limits = ServerLimits::default();
        let url = format!("http://{address}/");
        let answer = beside(serve(&listener, &limits), get(&url, &Limits::default()))
            .await
            .unwrap();
        assert_eq!(answer.body().as_ref(), b"hello");
    }
    tokio::runtime::Builder::new_multi_thread()
        .build()
        .unwrap()
        .block_on(in_time(conversation()));
    futures::executor::block_on(in_time(conversation()));
}

#[test]
fn every_future_may_move_between_threads() {
    fn assert_send<T: Send>(_: &T) {}
    let limits = Limits::default();
    assert_send(&get("http://localhost/", &limits));
    assert_send(&async {
        let stream = TcpStream::connect("127.0.0.1:1").await.unwrap();
        let mut connection = Connection::new(stream).await.unwrap();
        let _answer = connection.request(ask("/"), &Limits::default()).await;
        let _followed = connection.stream(ask("/"), Duration::from_secs(1)).await;
    });
    assert_send(&async {
        let stream = TcpStream::connect("127.0.0.1:1").await.unwrap();
        serve_connection(stream, &ServerLimits::default(), handle).await
    });
}
