//! Sockets that come, go, and are kept.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_net::unix::UnixStream;
use container_engine::{ByteStream, ContainerId, Dial, Engine, EngineError, Filters};
use futures::future::BoxFuture;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use harness_http::{Bytes, Request};

use crate::support::{Place, beside_engine, chain, run, says};

const VERSION: &str = r#"{"Version":"1","ApiVersion":"1.41"}"#;

#[test]
fn nobody_there_is_told_with_what_to_do() {
    run(async {
        let place = Place::new();
        let engine = place.engine();
        let error = engine.info().await.unwrap_err();
        assert!(
            matches!(error, EngineError::Unreachable { .. }),
            "{error:?}"
        );
        let text = chain(&error);
        assert!(
            text.contains(&place.socket().display().to_string()),
            "{text}"
        );
        assert!(
            text.contains("DOCKER_HOST") && text.contains("not there"),
            "{text}"
        );
        // A socket that nobody listens at any more.
        drop(place.listen());
        let error = engine.info().await.unwrap_err();
        assert!(error.is_no_answer());
        assert!(chain(&error).contains("nobody listens there"), "{error}");
    });
}

/// A way that its caller has, which is away at times.
struct OwnWay {
    socket: PathBuf,
    is_away: AtomicBool,
}

impl Dial for OwnWay {
    fn dial(&self) -> BoxFuture<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(io::Error::other("the tunnel is shut"));
            }
            let stream = UnixStream::connect(&self.socket).await?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }
}

#[test]
fn an_engine_is_reached_by_the_way_of_its_caller_and_what_is_wrong_with_that_is_told() {
    let place = Place::new();
    let way = Arc::new(OwnWay {
        socket: place.socket(),
        is_away: AtomicBool::new(true),
    });
    let dial = Arc::clone(&way) as Arc<dyn Dial>;
    let engine = Engine::over("host1", vec!["docker".into()], dial);
    assert_eq!(engine.address().to_string(), "host1");
    assert_eq!(engine.cli(), ["docker"]);
    run(async {
        let error = engine.list(&Filters::all()).await.expect_err("shut");
        assert!(error.is_no_answer());
        let text = chain(&error);
        assert!(text.contains("at host1: see whether the way"), "{text}");
        assert!(text.contains("the tunnel is shut"), "{text}");
        way.is_away.store(false, Ordering::Relaxed);
        let error = engine.list(&Filters::all()).await.expect_err("no socket");
        let text = chain(&error);
        assert!(text.contains("start docker or podman there"), "{text}");
        let listener = place.listen();
        let connections = Cell::new(0);
        let serving = crate::support::serve(&listener, &connections, &async |_| says(200, "[]"));
        let working = async {
            for _ in 0..5 {
                let other = engine.with_timeouts(container_engine::Timeouts::default());
                engine.list(&Filters::all()).await.expect("it answers");
                other.list(&Filters::all()).await.expect("it answers");
            }
        };
        futures::select_biased! {
            () = working.boxed_local().fuse() => {}
            () = serving.boxed_local().fuse() => unreachable!("it listens for ever"),
        }
        assert_eq!(engine.connections_opened(), 3, "one of them serves");
    });
}

#[test]
fn requests_in_a_row_share_a_connection_and_those_side_by_side_do_not_wait() {
    beside_engine(
        async |_| says(200, "[]"),
        async |engine, connections| {
            let everything = Filters::all();
            for _ in 0..10 {
                engine.list(&everything).await.unwrap();
            }
            assert_eq!(connections.get(), 1);
            let many = (0..20).map(|_| engine.list(&everything));
            futures::future::try_join_all(many).await.unwrap();
            assert!(connections.get() <= 20, "{}", connections.get());
            let before = connections.get();
            for _ in 0..3 {
                let some = (0..8).map(|_| engine.list(&everything));
                futures::future::try_join_all(some).await.unwrap();
            }
            assert_eq!(connections.get(), before);
            assert_eq!(u64::from(before), engine.connections_opened());
        },
    );
}

#[test]
fn an_engine_that_restarts_is_found_again_by_the_next_request() {
    let place = Place::new();
    let engine = place.engine();
    let answer = async |_: &Request<Bytes>| says(204, "");
    for _ in 0..3 {
        run(async {
            let listener = place.listen();
            let connections = Cell::new(0);
            let serving = crate::support::serve(&listener, &connections, &answer);
            // A request that changes something is not sent over a connection of which nobody knows whether it lives.
            let work = async { engine.start(&ContainerId::new("0a")).await.unwrap() };
            smol::future::or(work, serving).await;
            assert_eq!(connections.get(), 1);
        });
    }
}

/// Answers each request by the next of these, whole or not, and closes where the answer says so; in the end it is gone.
async fn scripted(place: &Place, script: &[(&str, bool)], work: impl AsyncFnOnce()) -> Vec<String> {
    let listener = place.listen();
    let heads = RefCell::new(Vec::new());
    let serving = async {
        let mut stream: Option<UnixStream> = None;
        for (answer, closes) in script {
            let mut open = match stream.take() {
                Some(stream) => stream,
                None => listener.accept().await.unwrap().0,
            };
            let mut buffer = [0; 4096];
            let read = open.read(&mut buffer).await.unwrap();
            let head = String::from_utf8_lossy(&buffer[..read]);
            let line = head.lines().next().unwrap_or_default().to_owned();
            heads.borrow_mut().push(line);
            open.write_all(answer.as_bytes()).await.unwrap();
            if !closes {
                stream = Some(open);
            }
        }
    };
    futures::join!(serving, work());
    heads.into_inner()
}

fn whole(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn an_answer_that_breaks_off_leaves_open_what_was_done() {
    let place = Place::new();
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Id\":";
    for broken in ["", "HTTP/1.1 20", half] {
        run(async {
            let engine = place.engine();
            let version = whole(VERSION);
            let script = [(version.as_str(), false), (broken, true)];
            let heads = scripted(&place, &script, async || {
                let error = engine.start(&ContainerId::new("0a")).await.unwrap_err();
                assert!(
                    matches!(error, EngineError::Lost { .. }),
                    "{broken}: {error:?}"
                );
                assert!(error.is_no_answer());
                assert!(
                    error
                        .to_string()
                        .contains("unknown until it is asked again"),
                    "{error}"
                );
            });
            // What changes something is sent once.
            assert_eq!(
                heads.await[1..],
                ["POST /v1.41/containers/0a/start HTTP/1.1"]
            );
        });
    }
}

#[test]
fn what_only_looks_is_asked_again_when_the_kept_connection_closes_in_that_instant() {
    run(async {
        let place = Place::new();
        let engine = place.engine();
        let (version, list) = (whole(VERSION), whole("[]"));
        let script = [(version.as_str(), false), ("", true), (list.as_str(), true)];
        let heads = scripted(&place, &script, async || {
            assert_eq!(engine.list(&Filters::all()).await.unwrap(), []);
        });
        let list = "GET /v1.41/containers/json?all=1 HTTP/1.1";
        assert_eq!(heads.await[1..], [list, list]);
    });
}

#[test]
fn what_is_not_http_is_told_as_that() {
    run(async {
        let place = Place::new();
        let engine = place.engine();
        let script = [("220 mail.example ESMTP\r\n", true)];
        let heads = scripted(&place, &script, async || {
            let error = engine.info().await.unwrap_err();
            assert!(matches!(error, EngineError::Malformed { .. }), "{error:?}");
        });
        assert_eq!(heads.await.len(), 1);
    });
}

#[test]
fn a_request_that_is_dropped_closes_its_connection_and_the_next_gets_another() {
    beside_engine(
        async |request| {
            if request.uri().path().ends_with("/slow/json") {
                futures::future::pending::<()>().await;
            }
            says(200, "[]")
        },
        async |engine, connections| {
            let slow = ContainerId::new("slow");
            let looking = engine.inspect(&slow);
            let arrived = async {
                while connections.get() == 0 {
                    smol::future::yield_now().await;
                }
            };
            let given_up = async {
                arrived.await;
                None
            };
            let outcome = smol::future::or(given_up, async { Some(looking.await) }).await;
            assert!(outcome.is_none());
            engine.list(&Filters::all()).await.unwrap();
            assert_eq!(connections.get(), 2);
        },
    );
}

#[test]
fn a_program_that_leads_nowhere_is_quoted_and_one_that_is_missing_named() {
    run(async {
        let shell =
            |line: &str| Engine::over_stdio("/bin/sh", ["-c", line].map(OsString::from).into());
        for line in [
            "echo me@host: no such key >&2; exit 255",
            "exec >&-; echo me@host: no such key >&2",
        ] {
            let error = shell(line).info().await.unwrap_err();
            assert!(
                matches!(error, EngineError::Unreachable { .. }),
                "{error:?}"
            );
            assert!(chain(&error).contains("no such key"), "{}", chain(&error));
        }
        let error = shell("exit 0").info().await.unwrap_err();
        assert!(
            chain(&error).contains("ended without a word"),
            "{}",
            chain(&error)
        );
        let error = Engine::over_stdio("/nowhere", vec![])
            .info()
            .await
            .unwrap_err();
        assert!(chain(&error).contains("not in PATH"), "{}", chain(&error));
    });
}
