//! Streams that end before their time.

use std::io;

use container_engine::{
    ContainerId, EngineError, EventsQuery, ExecConfig, ExecEnd, ExecLimits, LogsQuery,
};
use futures::StreamExt;
use harness_http::{Body, Bytes, Response};

use crate::support::{beside_engine, says};

/// An answer in pieces; then it ends, in order or not.
fn pieces(pieces: &[&[u8]], in_order: bool) -> Response<Body> {
    let mut all: Vec<_> = pieces
        .iter()
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    if !in_order {
        all.push(Err(io::Error::other("the engine dies")));
    }
    let one_by_one = futures::stream::iter(all).then(async |piece| {
        // What was given before goes out first.
        smol::future::yield_now().await;
        piece
    });
    Response::new(Body::stream(one_by_one))
}

fn frame(data: &str) -> Vec<u8> {
    let mut frame = vec![1, 0, 0, 0, 0, 0, 0, u8::try_from(data.len()).unwrap()];
    frame.extend(data.as_bytes());
    frame
}

const QUERY: LogsQuery = LogsQuery {
    since_ns: None,
    follow: true,
    tail: None,
    stdout: true,
    stderr: true,
    tty: Some(false),
};

#[test]
fn a_log_that_breaks_off_gives_what_came_before_and_one_error() {
    let record = frame("2026-11-21T06:21:25.000000001Z hello\n");
    for (last, in_order) in [
        (&record[..9], true),
        (&record[..9], false),
        (&[][..], false),
        (b"garbage!", true),
    ] {
        beside_engine(
            async |_| pieces(&[&record[..20], &record[20..], last], in_order),
            async |engine, _| {
                let logs = engine.logs(&ContainerId::new("0a"), &QUERY).await.unwrap();
                let records: Vec<_> = logs.collect().await;
                let [Ok(first), Err(error)] = &records[..] else {
                    panic!("{records:?}");
                };
                assert_eq!(first.bytes.as_ref(), b"hello\n");
                match error {
                    EngineError::Lost { .. } => assert!(!in_order),
                    EngineError::Malformed { .. } => assert!(in_order),
                    other => panic!("{other:?}"),
                }
            },
        );
    }
}

#[test]
fn events_that_break_off_end_with_an_error_and_those_that_end_in_order_without() {
    let event: &[u8] = br#"{"Type":"container","Action":"start","Actor":{"ID":"0a"}}"#;
    for in_order in [true, false] {
        beside_engine(
            async |_| pieces(&[&event[..10], &event[10..], b"\n", &event[..30]], in_order),
            async |engine, _| {
                let events = engine.events(&EventsQuery::default()).await.unwrap();
                let events: Vec<_> = events.collect().await;
                assert!(events[0].is_ok(), "{events:?}");
                match &events[1..] {
                    [] => assert!(in_order),
                    [Err(EngineError::Lost { .. })] => assert!(!in_order),
                    other => panic!("{other:?}"),
                }
            },
        );
    }
}

#[test]
fn a_stream_that_is_refused_says_why() {
    let message = r#"{"message":"configured logging driver does not support reading"}"#;
    beside_engine(
        async |_| says(501, message),
        async |engine, _| {
            let error = engine
                .logs(&ContainerId::new("0a"), &QUERY)
                .await
                .unwrap_err();
            assert!(
                error.to_string().contains("does not support reading"),
                "{error}"
            );
        },
    );
}

#[test]
fn an_exec_whose_end_is_noted_late_is_waited_for() {
    let asked = std::cell::Cell::new(0);
    beside_engine(
        async |request| match request.uri().path() {
            "/v1.41/containers/0a/exec" => says(201, r#"{"Id":"e1"}"#),
            "/v1.41/exec/e1/start" => pieces(&[&frame("out")], true),
            "/v1.41/exec/e1/json" => {
                asked.set(asked.get() + 1);
                if asked.get() < 3 {
                    says(200, r#"{"Running":true,"ExitCode":null,"Pid":7}"#)
                } else {
                    says(200, r#"{"Running":false,"ExitCode":2,"Pid":0}"#)
                }
            }
            other => panic!("{other}"),
        },
        async |engine, _| {
            let (id, config) = (ContainerId::new("0a"), ExecConfig::default());
            let limits = ExecLimits::default();
            let outcome = engine.exec(&id, &config, &limits).await.unwrap();
            assert_eq!(outcome.end, ExecEnd::Exited { code: 2 });
            assert_eq!(
                (outcome.stdout.as_slice(), asked.get()),
                (b"out".as_slice(), 3)
            );
        },
    );
}
