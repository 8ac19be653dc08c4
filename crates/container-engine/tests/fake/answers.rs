//! Answers that no engine should give.

use std::cell::RefCell;
use std::time::Duration;

use container_engine::{ContainerConfig, ContainerId, EngineError, Filters};
use futures::StreamExt;
use harness_http::{Body, Bytes, Response};

use crate::support::{beside_engine, chain, says, version};

fn malformed(text: String) -> String {
    beside_engine(
        async |_| says(200, &text),
        async |engine, _| {
            let error = engine.list(&Filters::all()).await.unwrap_err();
            assert!(matches!(error, EngineError::Malformed { .. }), "{error:?}");
            assert!(!error.is_no_answer());
            error.to_string()
        },
    )
}

#[test]
fn what_is_no_json_of_the_right_shape_is_told_without_being_shown() {
    for text in [
        "",
        "[",
        "<html>",
        "{}",
        "[{\"Id\":\"geheim\"",
        "[{\"Id\":7}]",
        "[\"geheim\"]",
    ] {
        let told = malformed(text.to_owned());
        assert!(!told.contains("geheim"), "{told}");
    }
}

#[test]
fn json_of_any_depth_and_any_size_is_bounded() {
    let deep = format!("[{{\"Id\":\"0a\",\"Unknown\":{}", "[".repeat(1_000_000));
    malformed(deep);
    let endless = || {
        let pieces = futures::stream::repeat_with(|| Ok(Bytes::from(vec![b' '; 1 << 20])));
        Response::new(Body::stream(pieces.take(1000)))
    };
    beside_engine(
        async |_| endless(),
        async |engine, _| {
            let patient = engine.with_timeouts(container_engine::Timeouts::default());
            let error = patient.list(&Filters::all()).await.unwrap_err();
            assert!(
                error.to_string().contains("larger than 33554432 bytes"),
                "{error}"
            );
        },
    );
}

#[test]
fn a_refusal_is_one_line_of_bounded_length_without_values_of_variables() {
    let message = format!(
        r#"{{"message":"bad\nPASSWORD=geheim-1\u001b[2J{}"}}"#,
        "x".repeat(100_000)
    );
    beside_engine(
        async |_| says(400, &message),
        async |engine, _| {
            let config = ContainerConfig {
                environment: [("PASSWORD", "geheim-1")].into_iter().collect(),
                ..ContainerConfig::default()
            };
            let error = engine.create("db", &config).await.unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(
                !text.contains("geheim-1") && !text.contains('\u{1b}'),
                "{text}"
            );
            assert!(
                error.to_string().starts_with(
                    "the engine refuses about container `db` (400 Bad Request): bad; PASSWORD=***"
                ),
                "{error}"
            );
            assert!(text.len() < 3000);
        },
    );
}

#[test]
fn an_engine_of_another_time_is_refused_and_one_that_is_newer_is_met() {
    let speak = |newest: &'static str, oldest: &'static str| {
        let place = crate::support::Place::new();
        let listener = place.listen();
        let paths = RefCell::new(Vec::new());
        crate::support::run(async {
            let serving = async {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = async |request: harness_http::Request<Bytes>| {
                    paths.borrow_mut().push(request.uri().path().to_owned());
                    match request.uri().path() {
                        "/version" => version(newest, oldest),
                        _ => says(200, "[]"),
                    }
                };
                let limits = harness_http::ServerLimits::default();
                harness_http::serve_connection(stream, &limits, answer).await
            };
            let engine = place.engine();
            let asking = async {
                let outcome = engine.list(&Filters::all()).await;
                drop(engine);
                outcome
            };
            let (_, outcome) = futures::join!(serving, asking);
            outcome.map(|_| paths.take().pop().unwrap())
        })
    };
    assert_eq!(speak("1.41", "1.12").unwrap(), "/v1.41/containers/json");
    assert_eq!(speak("1.40", "1.12").unwrap(), "/v1.40/containers/json");
    assert_eq!(speak("1.51", "1.44").unwrap(), "/v1.44/containers/json");
    let error = speak("1.30", "1.12").unwrap_err();
    assert!(error.to_string().contains("update the engine"), "{error}");
}

#[test]
fn an_engine_that_is_replaced_is_asked_again_what_it_speaks() {
    let asked = RefCell::new(Vec::new());
    beside_engine(
        async |request| {
            asked.borrow_mut().push(request.uri().path().to_owned());
            let replaced = asked.borrow().len() == 2;
            let message = r#"{"message":"client version 1.41 is too old. Minimum supported API version is 1.44"}"#;
            if replaced {
                says(400, message)
            } else {
                says(200, "[]")
            }
        },
        async |engine, _| {
            engine.list(&Filters::all()).await.unwrap();
            engine.list(&Filters::all()).await.unwrap_err();
            engine.list(&Filters::all()).await.unwrap();
        },
    );
}

#[test]
fn an_engine_that_thinks_for_too_long_is_left() {
    beside_engine(
        async |_| futures::future::pending().await,
        async |engine, _| {
            let id = ContainerId::new("0a");
            let error = engine.inspect(&id).await.unwrap_err();
            assert!(
                matches!(error, EngineError::TimedOut { within, .. } if within == Duration::from_millis(300)),
                "{error:?}"
            );
            assert!(error.is_no_answer());
            let error = engine.start(&id).await.unwrap_err();
            assert!(chain(&error).contains("container `0a`"), "{error}");
        },
    );
}
