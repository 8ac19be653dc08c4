//! Client and server against each other, and each against peers that misbehave.

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

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let too_late = async {
        async_io::Timer::after(Duration::from_secs(10)).await;
        panic!("not done within ten seconds")
    };
    work.or(too_late).await
}

fn run<T>(work: impl Future<Output = T>) -> T {
    smol::block_on(in_time(work))
}

async fn beside<T>(background: impl Future, work: impl Future<Output = T>) -> T {
    let background = async {
        background.await;
        std::future::pending().await
    };
    work.or(background).await
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn quick() -> Limits {
    Limits {
        timeout: Duration::from_millis(200),
        ..Limits::default()
    }
}

fn ask(path: &str) -> Request<Bytes> {
    Request::get(path).body(Bytes::new()).unwrap()
}

/// `/` answers `hello`, `/big` 100,000 bytes, `/chunks` three pieces, `/endless` ticks, anything else echoes method, path and body.
async fn handle(request: Request<Bytes>) -> Response<Body> {
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
async fn serve(listener: &TcpListener, limits: &ServerLimits) {
    let serve_one = |stream: std::io::Result<TcpStream>| async {
        let _ = serve_connection(stream.unwrap(), limits, handle).await;
    };
    listener
        .incoming()
        .for_each_concurrent(None, serve_one)
        .await;
}

/// Runs `work` with the base URL of a server.
fn with_server<T>(work: impl AsyncFnOnce(String, SocketAddr) -> T) -> T {
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
fn with_answer<T>(answer: &[u8], work: impl AsyncFnOnce(String) -> T) -> T {
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

#[test]
fn any_status_is_an_answer() {
    with_server(async |url: String, _| {
        let answer = get(&url, &Limits::default()).await.unwrap();
        assert_eq!(
            (answer.status(), answer.body().as_ref()),
            (StatusCode::OK, b"hello".as_slice())
        );
        let answer = get(&format!("{url}/missing?x=1"), &Limits::default())
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(answer.body().as_ref(), b"GET /missing ");
    });
}

#[test]
fn one_connection_serves_many_requests() {
    with_server(async |_, address: SocketAddr| {
        let mut connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        for number in 0..50 {
            let posted = Request::post(format!("http://{address}/echo"))
                .body(Bytes::from(number.to_string()))
                .unwrap();
            let answer = connection
                .request(posted, &Limits::default())
                .await
                .unwrap();
            assert_eq!(
                answer.body().as_ref(),
                format!("POST /echo {number}").as_bytes()
            );
        }
        let chunked = connection
            .request(ask("/chunks"), &Limits::default())
            .await
            .unwrap();
        assert_eq!(chunked.body().as_ref(), b"one two three");
        let again = connection
            .request(ask("/"), &Limits::default())
            .await
            .unwrap();
        assert_eq!(again.body().as_ref(), b"hello");
    });
}

#[test]
fn a_body_over_the_limit_is_refused_or_cut() {
    with_server(async |url: String, address: SocketAddr| {
        let error = get(&format!("{url}/big"), &Limits::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, HttpError::BodyTooLarge { limit: 65_536 }),
            "{error:?}"
        );
        // Nothing announces the length of this one.
        let small = Limits {
            max_body_bytes: 6,
            ..Limits::default()
        };
        let error = get(&format!("{url}/chunks"), &small).await.unwrap_err();
        assert!(
            matches!(error, HttpError::BodyTooLarge { limit: 6 }),
            "{error:?}"
        );
        let cut = Limits {
            excess: Excess::Cut,
            ..small
        };
        let answer = get(&format!("{url}/chunks"), &cut).await.unwrap();
        assert_eq!(answer.body().as_ref(), b"one tw");
        let mut connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        assert_eq!(
            connection
                .request(ask("/big"), &cut)
                .await
                .unwrap()
                .body()
                .as_ref(),
            b"xxxxxx"
        );
        let error = connection.request(ask("/"), &cut).await.unwrap_err();
        assert!(matches!(error, HttpError::Spent), "{error:?}");
        let exact = Limits {
            max_body_bytes: 100_000,
            ..Limits::default()
        };
        assert_eq!(
            get(&format!("{url}/big"), &exact)
                .await
                .unwrap()
                .body()
                .len(),
            100_000
        );
    });
}

#[test]
fn a_body_can_be_followed_as_it_comes() {
    with_server(async |_, address: SocketAddr| {
        let connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        let answer = connection
            .stream(ask("/endless"), Duration::from_secs(5))
            .await
            .unwrap();
        let mut body = answer.into_body();
        for _ in 0..5 {
            assert_eq!(body.next().await.unwrap().unwrap().as_ref(), b"tick\n");
        }
        drop(body);
        let connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        let answer = connection
            .stream(ask("/chunks"), Duration::from_secs(5))
            .await
            .unwrap();
        let pieces: Vec<_> = answer.into_body().map(Result::unwrap).collect().await;
        assert_eq!(pieces.concat(), b"one two three");
    });
}

#[test]
fn a_body_that_breaks_off_is_no_answer() {
    with_answer(
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        async |url: String| {
            let error = get(&url, &Limits::default()).await.unwrap_err();
            assert!(matches!(error, HttpError::Body(_)), "{error:?}");
        },
    );
}

#[test]
fn garbage_and_silence_are_told_apart() {
    with_answer(b"SSH-2.0-OpenSSH_9.2\r\n", async |url: String| {
        let error = get(&url, &Limits::default()).await.unwrap_err();
        assert!(matches!(error, HttpError::Garbage(_)), "{error:?}");
    });
    with_answer(b"", async |url: String| {
        let error = get(&url, &Limits::default()).await.unwrap_err();
        assert!(matches!(error, HttpError::NoAnswer(_)), "{error:?}");
    });
    with_answer(
        &[b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 200_000]].concat(),
        async |url: String| {
            let error = get(&url, &Limits::default()).await.unwrap_err();
            assert!(
                matches!(error, HttpError::Garbage(_)),
                "an endless head: {error:?}"
            );
        },
    );
}

#[test]
fn a_server_that_speaks_first_is_no_http_server() {
    run(async {
        let (listener, address) = listen().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
        };
        let url = format!("http://{address}/");
        let error = beside(server, get(&url, &Limits::default()))
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Garbage(_)), "{error:?}");
    });
}

#[test]
fn the_step_that_took_too_long_is_named() {
    run(async {
        let (listener, address) = listen().await;
        let started = Instant::now();
        let error = get(&format!("http://{address}/"), &quick())
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::TimedOut {
                    step: Step::Answer,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(5));
        let server = async {
            // The first connection is the one that was given up above.
            let _given_up = listener.accept().await.unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                .await
                .unwrap();
            std::future::pending::<()>().await;
        };
        let error = beside(server, get(&format!("http://{address}/"), &quick()))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::TimedOut {
                    step: Step::Body,
                    ..
                }
            ),
            "{error:?}"
        );
    });
}

#[test]
fn nobody_there_and_no_such_name_are_told_apart() {
    run(async {
        let (listener, address) = listen().await;
        drop(listener);
        let error = get(&format!("http://{address}/"), &Limits::default())
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Connect { .. }), "{error:?}");
        let error = get("http://no-such-host.invalid/", &Limits::default())
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::Resolve { .. }
                    | HttpError::TimedOut {
                        step: Step::Resolve,
                        ..
                    }
            ),
            "{error:?}"
        );
        let error = get("https://localhost/", &Limits::default())
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Https { .. }), "{error:?}");
    });
}

#[test]
fn a_unix_socket_is_an_address_too() {
    run(async {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("engine.sock");
        let address = Address::Unix(path.clone());
        let error = send(&address, ask("/"), &Limits::default())
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Socket { .. }), "{error:?}");
        let limits = Limits::default();
        let listener = UnixListener::bind(&path).unwrap();
        let server = async {
            let (stream, _) = listener.accept().await.unwrap();
            serve_connection(stream, &ServerLimits::default(), handle)
                .await
                .unwrap();
        };
        let (answer, ()) = futures::join!(send(&address, ask("/version"), &limits), server);
        assert_eq!(answer.unwrap().body().as_ref(), b"GET /version ");
    });
}

#[test]
fn a_connection_can_be_taken_over() {
    run(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                theirs.read_exact(&mut byte).await.unwrap();
                head.push(byte[0]);
            }
            let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ";
            theirs.write_all(answer).await.unwrap();
            let mut received = [0; 4];
            theirs.read_exact(&mut received).await.unwrap();
            theirs.write_all(&received).await.unwrap();
            theirs.close().await.unwrap();
        };
        let client = async {
            let connection = Connection::new(ours).await.unwrap();
            let attach = Request::post("/attach")
                .header("Connection", "Upgrade")
                .header("Upgrade", "tcp");
            let attach = attach.body(Bytes::new()).unwrap();
            let (_, mut stream) = connection
                .upgrade(attach, Duration::from_secs(5))
                .await
                .unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut received = String::new();
            stream.read_to_string(&mut received).await.unwrap();
            assert_eq!(received, "first ping");
        };
        futures::join!(server, client);
    });
    with_server(async |_, address: SocketAddr| {
        let connection = Connection::new(TcpStream::connect(address).await.unwrap())
            .await
            .unwrap();
        let error = connection
            .upgrade(ask("/"), Duration::from_secs(5))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                HttpError::NotUpgraded {
                    status: StatusCode::OK
                }
            ),
            "{error:?}"
        );
    });
}

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
