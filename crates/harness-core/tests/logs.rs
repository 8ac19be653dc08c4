//! Logs through the daemon, followed: every byte, of every unit, whatever happens in between and whoever asks.

mod common;

use std::time::SystemTime;

use common::{Home, SOON, name, stack, start, start_and_wait, unit};
use futures_lite::{StreamExt, future};
use harness_core::logs::{AttemptFilter, LogStream};
use harness_core::protocol::{ApplyParams, Done, LogBatch, LogParams, LogRecord, Mode};
use harness_core::{Endpoint, HarnessClient};
use harness_wire::{
    Acceptor, Client, ClientTls, ConnectOptions, Hello, Pki, Request, ServerNames, Subscription,
};
use service_orchestration::spec::StackSpec;

/// Lines with characters of several bytes and bytes that are no text, more than one block, the last one unfinished.
const SCRIPT: &str = "i=0; while [ $i -lt 1000 ]; do \
    printf '%s größer 日本 \\377\\200 %0400d\\n' $i $i; i=$((i+1)); done; \
    printf 'end'; exec sleep 1000";

fn expected() -> Vec<u8> {
    let mut all = Vec::new();
    for number in 0..1000 {
        all.extend(format!("{number} größer 日本 ").bytes());
        all.extend(b"\xff\x80 ");
        all.extend(format!("{number:0400}\n").bytes());
    }
    all.extend(b"end");
    all
}

/// A stack of one service that writes that, with a log that rotates on the way and loses nothing.
fn writer(home: &Home) -> StackSpec {
    let mut spec = stack("web", home.directory.path(), &[("api", SCRIPT)]);
    let log = &mut spec.units.get_mut(&unit("api")).expect("a unit").log;
    (log.max_size, log.max_files) = (64 << 10, 100);
    spec
}

fn add(bytes: &mut Vec<u8>, line: &LogRecord) {
    assert_eq!(line.gap, None);
    bytes.extend(&line.bytes);
    if !line.partial {
        bytes.push(b'\n');
    }
}

async fn next(reader: &mut harness_core::client::LogStreamReader) -> LogRecord {
    let line = testkit::within(SOON, "a line", reader.next()).await;
    line.expect("more").expect("readable")
}

#[test]
fn every_byte_is_followed_across_rotation_and_the_next_daemon() {
    async_io::block_on(async {
        let home = Home::new();
        let spec = writer(&home);
        let mut bytes = Vec::new();
        let mut follow = home
            .with_daemon(|_handle| async {
                let client = home.client().await;
                // Followed before there is anything, and left in the middle of a block.
                let mut apply = start(spec.clone());
                apply.units = Vec::new();
                client
                    .apply(&ApplyParams {
                        stack: apply.stack,
                        mode: Mode::Replace,
                        secrets: Default::default(),
                    })
                    .await
                    .expect("defined");
                let mut follow = client
                    .follow_logs(LogParams::all(name("web")))
                    .await
                    .expect("a subscription");
                start_and_wait(&client, spec.clone()).await;
                for _ in 0..300 {
                    add(&mut bytes, &next(&mut follow).await);
                }
                follow
            })
            .await;
        assert!(expected().starts_with(&bytes));
        home.with_daemon(|_handle| async {
            start_and_wait(&home.client().await, spec).await;
            // The rest of the first attempt, then all of the second.
            let mut second = Vec::new();
            while second.len() < expected().len() - 3 {
                let line = next(&mut follow).await;
                match line.attempt {
                    1 => add(&mut bytes, &line),
                    _ => add(&mut second, &line),
                }
            }
            assert!(expected().starts_with(&bytes), "{} bytes", bytes.len());
            assert!(expected().starts_with(&second), "{} bytes", second.len());
        })
        .await;
    });
}

#[test]
fn a_unit_that_is_added_to_the_stack_is_followed_too() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            let talk = "echo here; exec sleep 1000";
            let directory = home.directory.path();
            start_and_wait(&client, stack("web", directory, &[("api", talk)])).await;
            let mut follow = client
                .follow_logs(LogParams::all(name("web")))
                .await
                .expect("a subscription");
            assert_eq!(next(&mut follow).await.unit, "api");
            let both = stack("web", directory, &[("api", talk), ("late", talk)]);
            start_and_wait(&client, both).await;
            let line = next(&mut follow).await;
            assert_eq!((line.unit.as_str(), line.text().as_ref()), ("late", "here"));
        })
        .await;
    });
}

#[test]
fn the_last_attempt_of_an_empty_log_is_the_first_that_comes() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            let spec = stack(
                "web",
                home.directory.path(),
                &[("api", "echo one; exec sleep 1000")],
            );
            let params = ApplyParams {
                stack: Box::new(spec.clone()),
                mode: Mode::Replace,
                secrets: Default::default(),
            };
            client.apply(&params).await.expect("defined");
            let params = LogParams {
                attempt: Some(AttemptFilter::Last),
                ..LogParams::all(name("web"))
            };
            let mut follow = client.follow_logs(params).await.expect("a subscription");
            start_and_wait(&client, spec).await;
            assert_eq!(next(&mut follow).await.text(), "one");
        })
        .await;
    });
}

async fn read(client: &HarnessClient, params: LogParams) -> Vec<LogRecord> {
    let mut reader = client.read_logs(params).await.expect("a subscription");
    let mut lines = Vec::new();
    while let Some(line) = testkit::within(SOON, "the past", reader.next()).await {
        lines.push(line.expect("readable"));
    }
    lines
}

/// What a client that knows no blocks gets.
async fn read_batches(home: &Home, params: &LogParams) -> Vec<LogRecord> {
    let endpoint = std::fs::read(home.endpoint_file()).expect("a daemon");
    let endpoint: Endpoint = serde_json::from_slice(&endpoint).expect("an endpoint");
    let tls = ClientTls::load(home.dirs.pki(), "local").expect("certificates");
    let options = ConnectOptions::new(Hello::new("older", "0"));
    let (client, driver) = Client::connect(&endpoint.listen, &tls, &options)
        .await
        .expect("a daemon that answers");
    let work = async {
        let mut items: Subscription<LogBatch> = client
            .subscribe("logs.read", params)
            .await
            .expect("a subscription");
        let mut lines = Vec::new();
        while let Some(batch) = items.next().await {
            lines.extend(batch.expect("readable").lines);
        }
        lines
    };
    testkit::within(SOON, "all lines", driver.drive(work)).await
}

#[test]
fn blocks_and_batches_tell_the_same_lines_under_every_question() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            let script = "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; printf part; \
                          i=$((i+1)); done; exit 0";
            let spec = stack(
                "web",
                home.directory.path(),
                &[("api", script), ("db", script)],
            );
            client.start(&start(spec)).await.expect("started");
            let all = || LogParams::all(name("web"));
            let count = |lines: Vec<LogRecord>| {
                lines
                    .iter()
                    .filter(|line| line.bytes.ends_with(b"299"))
                    .count()
            };
            testkit::eventually_async(SOON, "all output", || async {
                count(read(&client, all()).await) >= 4
            })
            .await;
            let some = read(&client, all()).await;
            let questions = [
                all(),
                LogParams {
                    tail: Some(7),
                    ..all()
                },
                LogParams {
                    tail: Some(0),
                    ..all()
                },
                LogParams {
                    tail: Some(100_000),
                    ..all()
                },
                LogParams {
                    stream: Some(LogStream::Stderr),
                    tail: Some(5),
                    ..all()
                },
                LogParams {
                    since: Some(some[400].time),
                    ..all()
                },
                LogParams {
                    until: Some(some[400].time),
                    ..all()
                },
                LogParams {
                    units: vec!["db".into()],
                    attempt: Some(AttemptFilter::Last),
                    ..all()
                },
                LogParams {
                    attempt: Some(AttemptFilter::Previous),
                    ..all()
                },
                LogParams {
                    after: [(some[9].unit.clone(), some[9].cursor)].into(),
                    ..all()
                },
            ];
            for question in questions {
                let blocks = read(&client, question.clone()).await;
                let batches = read_batches(&home, &question).await;
                assert!(
                    blocks == batches,
                    "{question:?}: {} and {}",
                    blocks.len(),
                    batches.len()
                );
                // By the time of their ends; what never got one comes when that is certain.
                let whole = blocks.iter().filter(|line| !line.partial);
                assert!(whole.is_sorted_by_key(|line| line.time), "{question:?}");
            }
            let tail = read(
                &client,
                LogParams {
                    tail: Some(7),
                    ..all()
                },
            )
            .await;
            let of = |unit: &str| tail.iter().filter(|line| line.unit == unit).count();
            assert_eq!((of("api"), of("db")), (7, 7));
        })
        .await;
    });
}

#[test]
fn a_daemon_that_knows_no_blocks_is_asked_for_lines() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            std::fs::copy(home.endpoint_file(), home.directory.path().join("kept"))
                .expect("copied");
        })
        .await;
        let endpoint = std::fs::read(home.directory.path().join("kept")).expect("readable");
        let mut endpoint: Endpoint = serde_json::from_slice(&endpoint).expect("an endpoint");
        let listener = async_net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        endpoint.listen = listener.local_addr().expect("bound").to_string();
        let text = serde_json::to_vec(&endpoint).expect("JSON");
        std::fs::write(home.endpoint_file(), text).expect("written");
        let lock = std::fs::File::open(home.dirs.state().join("daemon.lock")).expect("there");
        lock.lock().expect("free");

        let pki = Pki::open_or_create(home.dirs.pki(), &ServerNames::loopback()).expect("there");
        let tls = pki.server_config(SystemTime::now()).expect("a certificate");
        let acceptor = Acceptor::new(tls, Hello::new("older", "0"));
        let line = r#"{"unit":"api","time":"2025-01-01T00:00:00Z","stream":"stdout","attempt":1,"text":"of old","cursor":{"segment":1,"record":2,"delivered":[7,null]}}"#;
        let line: LogRecord = serde_json::from_str(line).expect("a line of version 1");
        let serving = async {
            let (stream, _) = listener.accept().await.expect("a client");
            let (session, _) = acceptor.accept_tcp(stream).await.expect("let in");
            session
                .serve(|request: Request| {
                    assert_eq!(request.method, "logs.read");
                    let lines = vec![line.clone(), line.clone()];
                    async move {
                        let mut publisher = request.responder.subscribe(&Done {});
                        publisher.send(&LogBatch { lines }).await.expect("read");
                    }
                })
                .await
        };
        let asking = async {
            let client = HarnessClient::connect(&home.dirs).await.expect("an answer");
            read(&client, LogParams::all(name("web"))).await
        };
        let lines = future::or(asking, async {
            serving.await;
            Vec::new()
        });
        assert_eq!(lines.await, [line.clone(), line.clone()]);
    });
}
