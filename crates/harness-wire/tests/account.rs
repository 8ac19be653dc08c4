//! What one client may have waiting over all of its connections.

mod support;

use harness_wire::{Account, Limits, LinkError, Request, code};
use support::{beside, in_time, pair, remote, run};

/// An answer that nobody reads while the driver rests.
const ANSWER: usize = 60_000;

fn shared(account: &Account) -> Limits {
    Limits {
        account: Some(account.clone()),
        ..Limits::default()
    }
}

#[test]
fn connections_that_read_nothing_share_one_bound() {
    run(async {
        let account = Account::new(10 * ANSWER);
        let serve = |request: Request| async move { request.responder.ok(&"x".repeat(ANSWER)) };
        let (first, one, mut driver_one) = pair(shared(&account)).await;
        let (second, two, mut driver_two) = pair(shared(&account)).await;
        let ask = async {
            let mut calls = Vec::new();
            for client in [&one, &two] {
                for _ in 0..100 {
                    let mut call = Box::pin(client.call::<_, String>("any", &()));
                    assert!(futures_lite::future::poll_once(&mut call).await.is_none());
                    calls.push(call);
                }
            }
            let _ = futures_lite::future::poll_once(&mut driver_one).await;
            let _ = futures_lite::future::poll_once(&mut driver_two).await;
            std::future::pending::<()>().await;
        };
        let ends = async { futures::join!(first.serve(serve), second.serve(serve)) };
        let watched = async {
            loop {
                assert!(account.held() <= account.max_bytes());
                futures_lite::future::yield_now().await;
            }
        };
        let (one_end, two_end) =
            beside(async { futures_lite::future::or(ask, watched).await }, ends).await;
        for end in [one_end, two_end] {
            assert!(matches!(end, LinkError::Overflow { .. }), "{end:?}");
        }
        assert_eq!(account.held(), 0, "everything is given back");
    });
}

#[test]
fn requests_under_way_count_and_what_does_not_fit_is_refused() {
    run(async {
        let account = Account::new(50_000);
        let (session, client, driver) = pair(shared(&account)).await;
        // Works on the large one until the small one is done with.
        let (release, released) = async_channel::bounded::<()>(1);
        let serve = session.serve(|request: Request| {
            let released = released.clone();
            async move {
                if request.method == "slow" {
                    let _done = released.recv().await;
                }
                request.responder.ok(&());
            }
        });
        let work = async {
            let large = "x".repeat(30_000);
            let slow = client.call::<_, ()>("slow", &[&large]);
            let refused = async {
                while account.held() < 30_000 {
                    futures_lite::future::yield_now().await;
                }
                let refused = client.call::<_, ()>("quick", &[&large]).await;
                release.send(()).await.expect("the other waits");
                refused
            };
            let (slow, refused) = futures::join!(slow, refused);
            slow.expect("it fitted");
            let error = remote(refused.expect_err("it does not fit"));
            assert_eq!(error.code, code::OVERLOADED);
            client
                .call::<_, ()>("quick", &[&large])
                .await
                .expect("room again");
        };
        beside(serve, in_time(driver.drive(work))).await;
    });
}
