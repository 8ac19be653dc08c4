//! What happens once a client is in: calls, cancellation, subscriptions, ends.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::cell::RefCell;
use std::rc::Rc;

use futures::StreamExt;
use futures::channel::oneshot;
use futures::stream::FuturesUnordered;
use harness_wire::{CallError, Incoming, Limits, LinkError, Request, RpcError, code};
use serde_json::{Value, json};
use support::{beside, pair, remote, run};

/// Answers `echo` with its parameters, and `size` with their length.
async fn echo(request: Request) {
    match request.method.as_str() {
        "echo" => request.responder.answer(request.params.parse::<Value>()),
        "size" => {
            let size = request.params.as_json().map_or(0, str::len);
            request.responder.ok(&size);
        }
        "typed" => {
            let parsed = request.params.parse::<[u8; 2]>();
            request.responder.answer(parsed);
        }
        "dropped" => drop(request.responder),
        other => request.responder.error(&RpcError::method_not_found(other)),
    }
}

#[test]
fn calls_return_results_and_errors() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let work = async {
            let echoed: Value = client.call("echo", &json!({"a": [1, "ü"]})).await.unwrap();
            assert_eq!(echoed, json!({"a": [1, "ü"]}));
            let unknown = remote(client.call::<_, Value>("nope", &()).await.unwrap_err());
            assert_eq!(unknown.code, code::METHOD_NOT_FOUND);
            let unsuitable = remote(
                client
                    .call::<_, Value>("typed", &json!({"x": 1}))
                    .await
                    .unwrap_err(),
            );
            assert_eq!(unsuitable.code, code::INVALID_PARAMS);
            let dropped = remote(client.call::<_, Value>("dropped", &()).await.unwrap_err());
            assert_eq!(dropped.code, code::INTERNAL_ERROR);
            let unreadable = client.call::<_, String>("size", &()).await.unwrap_err();
            assert!(
                matches!(unreadable, CallError::Unreadable { .. }),
                "{unreadable:?}"
            );
            let scalar = client.call::<_, Value>("echo", &5).await.unwrap_err();
            assert!(matches!(scalar, CallError::Unsendable { .. }), "{scalar:?}");
        };
        beside(session.serve(echo), driver.drive(work)).await;
    });
}

#[test]
fn answers_may_come_out_of_order() {
    run(async {
        let (mut session, client, driver) = pair(Limits::default()).await;
        let server = async {
            let mut waiting = Vec::new();
            loop {
                let Incoming::Request(request) = session.next_request().await.unwrap() else {
                    continue;
                };
                waiting.push(request);
                if waiting.len() == 3 {
                    for request in waiting.drain(..).rev() {
                        request.responder.answer(request.params.parse::<[u32; 1]>());
                    }
                }
            }
        };
        let calls: FuturesUnordered<_> = (1..=3)
            .map(|number| client.call::<_, [u32; 1]>("echo", &[number]))
            .collect();
        let work = calls.map(|answer| answer.unwrap()[0]).collect::<Vec<_>>();
        assert_eq!(beside(server, driver.drive(work)).await, [3, 2, 1]);
    });
}

#[test]
fn large_messages_pass_and_oversized_ones_are_refused_before_they_are_sent() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let work = async {
            let large = "x".repeat(8 * 1024 * 1024);
            let echoed: [String; 1] = client.call("echo", &[&large]).await.unwrap();
            assert_eq!(echoed[0].len(), large.len());
            let too_large = "x".repeat(17 * 1024 * 1024);
            let refused = client
                .call::<_, Value>("echo", &[&too_large])
                .await
                .unwrap_err();
            assert!(
                matches!(refused, CallError::Unsendable { .. }),
                "{refused:?}"
            );
            assert_eq!(client.call::<_, usize>("size", &[1]).await.unwrap(), 3);
        };
        beside(session.serve(echo), driver.drive(work)).await;
    });
}

#[test]
fn a_message_over_the_servers_limit_ends_the_connection_with_the_reason() {
    run(async {
        let limits = Limits {
            max_message_bytes: 1000,
            max_frame_bytes: 1000,
            ..Limits::default()
        };
        let (session, client, driver) = pair(limits).await;
        let work = driver.drive(async {
            client
                .call::<_, Value>("echo", &["x".repeat(2000)])
                .await
                .unwrap_err()
        });
        let (end, error) = futures::join!(session.serve(echo), work);
        assert!(
            matches!(end, LinkError::TooLarge { limit: 1000 }),
            "{end:?}"
        );
        let CallError::Lost { end, .. } = error else {
            panic!("{error:?}")
        };
        assert!(end.to_string().contains("larger than 1000 bytes"), "{end}");
    });
}

#[test]
fn an_answer_over_the_limit_becomes_an_error() {
    run(async {
        let limits = Limits {
            max_message_bytes: 1000,
            max_frame_bytes: 1000,
            ..Limits::default()
        };
        let (session, client, driver) = pair(limits).await;
        let serve = session
            .serve(|request: Request| async move { request.responder.ok(&"x".repeat(2000)) });
        let work = driver.drive(async { client.call::<_, Value>("any", &()).await.unwrap_err() });
        assert_eq!(
            remote(beside(serve, work).await).code,
            code::ANSWER_TOO_LARGE
        );
    });
}

#[test]
fn a_dropped_call_is_cancelled_at_the_server() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let (dropped, saw_drop) = oneshot::channel::<()>();
        let dropped = Rc::new(RefCell::new(Some(dropped)));
        let serve = session.serve(move |request: Request| {
            let dropped = Rc::clone(&dropped);
            async move {
                if request.method == "slow" {
                    // Dropped with this handler, which tells the other end.
                    let _guard = dropped.borrow_mut().take();
                    std::future::pending::<()>().await;
                } else {
                    echo(request).await;
                }
            }
        });
        let work = async {
            let mut slow = Box::pin(client.call::<_, Value>("slow", &()));
            assert!(futures_lite::future::poll_once(&mut slow).await.is_none());
            // The call has arrived once a later one is answered.
            let _: Value = client.call("echo", &[1]).await.unwrap();
            drop(slow);
            assert!(saw_drop.await.is_err(), "the handler was dropped");
            let _: Value = client.call("echo", &[1]).await.unwrap();
        };
        beside(serve, driver.drive(work)).await;
    });
}

#[test]
fn a_lost_server_fails_the_calls_under_way() {
    run(async {
        let (mut session, client, driver) = pair(Limits::default()).await;
        let server = async move {
            let incoming = session.next_request().await.unwrap();
            drop(session);
            incoming
        };
        let work = driver.drive(async {
            let first = client.call::<_, Value>("echo", &()).await.unwrap_err();
            let second = client.call::<_, Value>("echo", &()).await.unwrap_err();
            (first, second)
        });
        let (_incoming, (first, second)) = futures::join!(server, work);
        assert!(matches!(first, CallError::Lost { .. }), "{first:?}");
        assert!(matches!(second, CallError::Lost { .. }), "{second:?}");
    });
}

#[test]
fn a_client_dropped_mid_call_ends_the_session_and_its_handlers() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let serve = session.serve(|request: Request| async move {
            std::future::pending::<()>().await;
            drop(request);
        });
        let leave = async move {
            let call = client.call::<_, Value>("slow", &());
            let mut work = Box::pin(driver.drive(call));
            for _ in 0..3 {
                assert!(futures_lite::future::poll_once(&mut work).await.is_none());
                futures_lite::future::yield_now().await;
            }
        };
        let (end, ()) = futures::join!(serve, leave);
        assert!(matches!(end, LinkError::Gone), "{end:?}");
    });
}

#[test]
fn a_notification_goes_out_even_when_nothing_follows() {
    run(async {
        let (mut session, client, driver) = pair(Limits::default()).await;
        driver
            .drive(async { client.notify("note", &json!({"text": "bye"})).unwrap() })
            .await;
        let incoming = session.next_request().await.unwrap();
        assert!(
            matches!(incoming, Incoming::Notification { .. }),
            "{incoming:?}"
        );
        let end = session.next_request().await.unwrap_err();
        assert!(matches!(end, LinkError::Gone), "{end:?}");
    });
}

#[test]
fn the_connection_ends_in_order_when_no_client_is_left() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        drop(client);
        let (end, driver) = futures::join!(session.serve(echo), driver);
        assert!(matches!(end, LinkError::Closed { .. }), "{end:?}");
        assert!(matches!(*driver, LinkError::Abandoned), "{driver:?}");
    });
}

#[test]
fn a_stopping_server_sends_what_is_queued() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let (stop, stopped) = oneshot::channel();
        let stop = RefCell::new(Some(stop));
        let serve = session.serve_until(
            async {
                let _ = stopped.await;
            },
            |request: Request| {
                request.responder.ok(&"last words");
                stop.borrow_mut().take().map(|stop| stop.send(()));
                std::future::ready(())
            },
        );
        let work = driver.drive(async { client.call::<_, String>("any", &()).await });
        let (end, answer) = futures::join!(serve, work);
        assert!(matches!(end, LinkError::Abandoned), "{end:?}");
        assert_eq!(answer.unwrap(), "last words");
    });
}

#[test]
fn too_many_requests_at_once_are_refused_as_overload() {
    run(async {
        let (mut session, client, driver) = pair(Limits {
            max_in_flight: 2,
            ..Limits::default()
        })
        .await;
        let server = async {
            let mut held = Vec::new();
            loop {
                held.push(session.next_request().await.unwrap());
            }
        };
        let work = async {
            let mut first = Box::pin(client.call::<_, Value>("a", &()));
            let mut second = Box::pin(client.call::<_, Value>("b", &()));
            assert!(futures_lite::future::poll_once(&mut first).await.is_none());
            assert!(futures_lite::future::poll_once(&mut second).await.is_none());
            remote(client.call::<_, Value>("c", &()).await.unwrap_err())
        };
        assert_eq!(
            beside(server, driver.drive(work)).await.code,
            code::OVERLOADED
        );
    });
}
