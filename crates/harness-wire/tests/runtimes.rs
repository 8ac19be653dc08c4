//! The same conversation under different executors: the crate needs none of them.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use harness_wire::{Client, Limits, Request, Subscription};
use serde_json::Value;
use support::{Installation, accept, beside, in_time, listen, options, pair};

async fn conversation() {
    let (session, client, driver) = pair(Limits::default()).await;
    let serve = session.serve(|request: Request| async move {
        if request.method == "count" {
            let mut publisher = request.responder.subscribe(&());
            for number in 0..1000_u32 {
                if publisher.send(&number).await.is_err() {
                    return;
                }
            }
        } else {
            request.responder.answer(request.params.parse::<Value>());
        }
    });
    let work = async {
        for number in 0..100 {
            let echoed: [u32; 1] = client.call("echo", &[number]).await.unwrap();
            assert_eq!(echoed, [number]);
        }
        let mut numbers: Subscription<u32> = client.subscribe("count", &()).await.unwrap();
        let mut expected = 0..1000;
        while let Some(number) = futures::StreamExt::next(&mut numbers).await {
            assert_eq!(Some(number.unwrap()), expected.next());
        }
        assert_eq!(expected.next(), None);
    };
    in_time(beside(serve, driver.drive(work))).await;
}

#[test]
fn it_runs_under_smol() {
    smol::block_on(conversation());
}

#[test]
fn it_runs_under_tokio() {
    tokio::runtime::Builder::new_multi_thread()
        .build()
        .unwrap()
        .block_on(conversation());
}

#[test]
fn it_runs_under_a_plain_executor() {
    futures::executor::block_on(conversation());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_part_can_be_spawned_on_its_own() {
    let installation = Installation::new();
    let (tls, acceptor) = (installation.client_tls(), installation.acceptor());
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let (session, _) = accept(&listener, &acceptor).await.unwrap();
        session
            .serve(|request: Request| async move {
                request.responder.answer(request.params.parse::<Value>())
            })
            .await
    });
    let (client, driver) = Client::connect(&address.to_string(), &tls, &options())
        .await
        .unwrap();
    let driver = tokio::spawn(driver);
    let calls = (0..50_u32).map(|number| {
        let client = client.clone();
        tokio::spawn(async move { client.call::<_, [u32; 1]>("echo", &[number]).await.unwrap() })
    });
    for (number, call) in (0..50).zip(futures::future::join_all(calls).await) {
        assert_eq!(call.unwrap(), [number]);
    }
    drop(client);
    driver.await.unwrap();
    server.await.unwrap();
}

#[test]
fn every_future_may_move_between_threads() {
    fn assert_send<T: Send>(_: &T) {}
    let installation = Installation::new();
    let (tls, acceptor, options) = (
        installation.client_tls(),
        installation.acceptor(),
        options(),
    );
    assert_send(&Client::connect("127.0.0.1:1", &tls, &options));
    assert_send(&async move {
        let (listener, _) = listen().await;
        let (mut session, _) = accept(&listener, &acceptor).await.unwrap();
        session.next_request().await.unwrap();
        session.close().await;
    });
}
