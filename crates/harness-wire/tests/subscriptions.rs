//! Subscriptions: credit, slow readers, ends; and peers that say nothing.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::cell::RefCell;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::oneshot;
use harness_wire::limits::INITIAL_CREDIT;
use harness_wire::{
    Incoming, Limits, LinkError, PublishError, Request, RpcError, Session, Subscription,
    SubscriptionError, code,
};
use serde_json::{Value, json};
use support::{beside, pair, run};

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

/// Publishes the numbers from 0 up to the requested one, waiting for the reader, then ends.
async fn count(request: Request) {
    let Ok([until]) = request.params.parse::<[u32; 1]>() else {
        return;
    };
    let mut publisher = request.responder.subscribe(&json!({"until": until}));
    for number in 0..until {
        if publisher.send(&number).await.is_err() {
            return;
        }
    }
}

#[test]
fn a_subscription_delivers_every_item_in_order_and_then_ends() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let work = async {
            let numbers: Subscription<u32> = client.subscribe("count", &[5000]).await.unwrap();
            assert_eq!(numbers.greeting::<Value>().unwrap(), json!({"until": 5000}));
            let received: Vec<u32> = numbers.map(Result::unwrap).collect().await;
            assert!(received.into_iter().eq(0..5000));
        };
        beside(session.serve(count), driver.drive(work)).await;
    });
}

#[test]
fn a_slow_reader_holds_up_nothing_but_its_own_subscription() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let serve = session.serve(|request: Request| async move {
            if request.method == "count" {
                count(request).await
            } else {
                echo(request).await
            }
        });
        let work = async {
            let mut unread: Subscription<u32> =
                client.subscribe("count", &[100_000]).await.unwrap();
            for _ in 0..1000 {
                let _: Value = client.call("echo", &[1]).await.unwrap();
            }
            assert_eq!(unread.next().await.unwrap().unwrap(), 0);
        };
        beside(serve, driver.drive(work)).await;
    });
}

#[test]
fn a_reader_that_is_behind_is_told_to_the_publisher() {
    run(async {
        let (mut session, client, driver) = pair(Limits::default()).await;
        let server = async {
            let Incoming::Request(request) = session.next_request().await.unwrap() else {
                panic!("no request")
            };
            let mut publisher = request.responder.subscribe(&());
            let mut sent = 0;
            let refused = loop {
                match publisher.publish(&sent) {
                    Ok(()) => sent += 1,
                    Err(refused) => break refused,
                }
            };
            assert_eq!((refused, sent), (PublishError::Lagged, INITIAL_CREDIT));
            // It resumes where it was refused, once the reader has caught up.
            beside(pump(session), async {
                publisher.ready().await.unwrap();
                publisher.publish(&sent).unwrap();
                drop(publisher);
                std::future::pending::<()>().await;
            })
            .await;
        };
        let work = async {
            let numbers: Subscription<u32> = client.subscribe("any", &()).await.unwrap();
            let received: Vec<u32> = numbers.map(Result::unwrap).collect().await;
            assert!(received.into_iter().eq(0..=INITIAL_CREDIT));
        };
        beside(server, driver.drive(work)).await;
    });
}

#[test]
fn bytes_come_as_they_are_and_a_reader_that_takes_none_has_few_of_them_waiting() {
    const BYTES: usize = 256 * 1024;
    let block = |number: u8| -> Vec<u8> { (0..BYTES).map(|at| (at as u8) ^ number).collect() };
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let sent = std::cell::Cell::new(0_u8);
        let serve = session.serve(|request: Request| {
            let sent = &sent;
            async move {
                if request.method != "blocks" {
                    return echo(request).await;
                }
                let mut publisher = request.responder.subscribe(&());
                for number in 0..30 {
                    if publisher.send_with(&number, block(number)).await.is_err() {
                        return;
                    }
                    sent.set(number + 1);
                }
            }
        });
        let work = async {
            let mut blocks: Subscription<u8> = client.subscribe("blocks", &()).await.unwrap();
            // Other calls go on, and the unread blocks do not: at most 4 MiB, and one.
            for _ in 0..200 {
                let _: Value = client.call("echo", &[1]).await.unwrap();
            }
            assert!((10..=17).contains(&sent.get()), "{} were sent", sent.get());
            for number in 0..30 {
                let (told, bytes) = blocks.next_with().await.unwrap().unwrap();
                assert_eq!(told, number);
                assert!(bytes == block(number), "block {number} is damaged");
            }
            assert!(blocks.next_with().await.is_none());
        };
        beside(serve, driver.drive(work)).await;
    });
}

async fn pump(mut session: Session) {
    while session.next_request().await.is_ok() {}
}

#[test]
fn a_dropped_subscription_ends_its_publisher() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let (over, is_over) = oneshot::channel();
        let over = RefCell::new(Some(over));
        let serve = session.serve(|request: Request| {
            let over = over.borrow_mut().take();
            async move {
                // Dropped with this handler.
                let _over = over;
                count(request).await;
            }
        });
        let work = async {
            let mut numbers: Subscription<u32> =
                client.subscribe("count", &[u32::MAX]).await.unwrap();
            for expected in 0..1000 {
                assert_eq!(numbers.next().await.unwrap().unwrap(), expected);
            }
            drop(numbers);
            let _: Result<(), oneshot::Canceled> = is_over.await;
        };
        beside(serve, driver.drive(work)).await;
    });
}

#[test]
fn a_subscription_can_end_with_an_error_and_with_the_connection() {
    run(async {
        let (session, client, driver) = pair(Limits::default()).await;
        let work = driver.drive(async {
            let mut failing: Subscription<u32> = client.subscribe("fail", &()).await.unwrap();
            let error = failing.next().await.unwrap().unwrap_err();
            assert!(
                matches!(error, SubscriptionError::Remote { .. }),
                "{error:?}"
            );
            assert!(failing.next().await.is_none());
            let mut lost: Subscription<u32> = client.subscribe("hold", &()).await.unwrap();
            drop(client.call::<_, Value>("stop", &()).await);
            let error = lost.next().await.unwrap().unwrap_err();
            assert!(matches!(error, SubscriptionError::Lost { .. }), "{error:?}");
            assert!(lost.next().await.is_none());
        });
        let (stop, stopped) = oneshot::channel();
        let stop = RefCell::new(Some(stop));
        let serve = session.serve_until(
            async {
                let _ = stopped.await;
            },
            |request: Request| {
                let stop = (request.method == "stop")
                    .then(|| stop.borrow_mut().take())
                    .flatten();
                async move {
                    stop.map(|stop| stop.send(()));
                    let publisher = request.responder.subscribe(&());
                    if request.method == "fail" {
                        publisher.fail(&RpcError::new(code::FIRST_APPLICATION, "on purpose"));
                    } else {
                        std::future::pending::<()>().await;
                    }
                }
            },
        );
        futures::join!(serve, work);
    });
}

#[test]
fn a_silent_peer_counts_as_gone() {
    run(async {
        let quiet = Limits {
            ping_after: Duration::from_millis(50),
            lost_after: Duration::from_millis(200),
            ..Limits::default()
        };
        let (mut session, client, driver) = pair(quiet).await;
        // Nobody polls the driver: the client's program hangs.
        let end = session.next_request().await.unwrap_err();
        assert!(matches!(end, LinkError::Silent { .. }), "{end:?}");
        drop((client, driver));
    });
}

#[test]
fn an_idle_connection_is_kept_alive_by_pings() {
    run(async {
        let quiet = Limits {
            ping_after: Duration::from_millis(20),
            lost_after: Duration::from_millis(200),
            ..Limits::default()
        };
        let (session, client, driver) = pair(quiet).await;
        let work = async {
            // Several times as long as silence is allowed to last.
            async_io::Timer::after(Duration::from_millis(600)).await;
            let _: Value = client.call("echo", &[1]).await.unwrap();
        };
        beside(session.serve(echo), driver.drive(work)).await;
    });
}

#[test]
fn a_reader_that_never_reads_its_answers_is_disconnected() {
    run(async {
        let small = Limits {
            max_queued_bytes: 100_000,
            ..Limits::default()
        };
        let (session, client, driver) = pair(small).await;
        let serve = session
            .serve(|request: Request| async move { request.responder.ok(&"x".repeat(60_000)) });
        // Asks again and again and never reads: the driver is polled only until its requests are out.
        let ask = async {
            let mut calls = Vec::new();
            let mut driver = driver;
            for _ in 0..200 {
                let mut call = Box::pin(client.call::<_, String>("any", &()));
                assert!(futures_lite::future::poll_once(&mut call).await.is_none());
                calls.push(call);
            }
            let _ = futures_lite::future::poll_once(&mut driver).await;
            let keep = (calls, driver);
            std::future::pending::<()>().await;
            drop(keep);
        };
        let end = beside(ask, serve).await;
        assert!(matches!(end, LinkError::Overflow { .. }), "{end:?}");
    });
}
