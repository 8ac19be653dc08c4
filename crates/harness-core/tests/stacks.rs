//! Stacks of real programs through the daemon: up, looked at, followed, down.

mod common;

use common::{
    Home, SOON, name, stack, start, start_and_wait, status_of, stop_and_wait, unit, wait,
};
use futures_lite::future;
use harness_core::Volumes;
use harness_core::protocol::{
    ErrorCode, LogParams, LogRecord, StopParams, SubscribeParams, WaitGoal, WaitResult,
};
use harness_core::{ClientError, HarnessClient};

const FOREVER: &str = "exec sleep 1000";

#[test]
fn two_clients_see_the_same_stack_from_start_to_stop() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let (one, other) = (home.client().await, home.client().await);
            let spec = stack(
                "web",
                home.directory.path(),
                &[("api", FOREVER), ("db", FOREVER)],
            );
            let started = one.start(&start(spec.clone())).await.expect("started");
            assert_eq!(started.ordered.moved, ["api", "db"]);
            let reached = other
                .wait(&wait("web", WaitGoal::Running))
                .await
                .expect("an answer");
            assert_eq!(reached, WaitResult::Reached);
            let pid = status_of(&other, "web", "api")
                .await
                .pid
                .expect("a process");
            assert!(testkit::alive(pid));
            let again = other.start(&start(spec)).await.expect("no harm");
            assert!(again.ordered.moved.is_empty(), "{again:?}");
            assert_eq!(status_of(&one, "web", "api").await.pid, Some(pid));
            let summary = one.stacks().await.expect("a list").remove(0);
            assert_eq!((summary.units, summary.active), (2, 2));

            assert!(home.dirs.state().join("active").exists());
            stop_and_wait(&one, "web").await;
            assert_eq!(status_of(&other, "web", "api").await.pid, None);
            testkit::eventually(SOON, "the note is gone", || {
                !home.dirs.state().join("active").exists()
            })
            .await;
            one.forget(&name("web"), Volumes::Keep)
                .await
                .expect("nothing runs");
            assert!(other.stacks().await.expect("a list").is_empty());
        })
        .await;
    });
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            let code =
                |error: ClientError| error.as_api().map(|error| (error.code, error.exit_code));
            let error = client
                .status(&name("web"))
                .await
                .expect_err("no such stack");
            assert_eq!(code(error), Some((ErrorCode::UnknownStack, 4)));
            start_and_wait(
                &client,
                stack("web", home.directory.path(), &[("api", FOREVER)]),
            )
            .await;
            let error = client
                .why(&name("web"), &unit("apl"))
                .await
                .expect_err("no such unit");
            assert_eq!(code(error), Some((ErrorCode::UnknownUnit, 4)));
            let params = LogParams {
                units: vec!["apl".into()],
                ..LogParams::all(name("web"))
            };
            let error = client.read_logs(params).await.expect_err("no such unit");
            assert_eq!(code(error), Some((ErrorCode::UnknownUnit, 4)));
            let error = client
                .forget(&name("web"), Volumes::Keep)
                .await
                .expect_err("it runs");
            assert_eq!(code(error), Some((ErrorCode::StillRunning, 1)));
        })
        .await;
    });
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_wait_leaves_the_stack_as_ordered() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            client
                .start(&start(stack(
                    "web",
                    home.directory.path(),
                    &[("api", FOREVER)],
                )))
                .await
                .expect("started");
            let never = wait("web", WaitGoal::Stopped);
            let sent_and_not_answered =
                future::poll_once(std::pin::pin!(client.wait(&never))).await;
            assert!(sent_and_not_answered.is_none());
            drop(client);
            let other = home.client().await;
            other
                .wait(&wait("web", WaitGoal::Running))
                .await
                .expect("running");
            assert_eq!(other.stacks().await.expect("a list").len(), 1);
        })
        .await;
    });
}

#[test]
fn a_call_that_was_asked_once_and_left_alone_holds_up_no_other() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            start_and_wait(
                &client,
                stack("web", home.directory.path(), &[("api", FOREVER)]),
            )
            .await;
            let never = wait("web", WaitGoal::Stopped);
            // Each is polled until it waits, and then kept without being polled again.
            let mut left = Vec::new();
            for _ in 0..8 {
                let mut call = Box::pin(client.wait(&never));
                assert!(future::poll_once(&mut call).await.is_none());
                let stack = name("web");
                let status = client.status(&stack);
                testkit::within(SOON, "an answer", status)
                    .await
                    .expect("a status");
                left.push(call);
            }
            // A subscription nobody reads, beside calls that somebody waits for.
            let mut unread = client
                .follow_logs(LogParams::all(name("web")))
                .await
                .expect("a subscription");
            assert!(future::poll_once(unread.next()).await.is_none());
            for _ in 0..100 {
                testkit::within(SOON, "a list", client.stacks())
                    .await
                    .expect("an answer");
            }
        })
        .await;
    });
}

#[test]
fn events_go_on_after_the_last_one_seen_whatever_happens_to_the_daemon() {
    async_io::block_on(async {
        let home = Home::new();
        let spec = stack("web", home.directory.path(), &[("api", FOREVER)]);
        let (mut events, mut seen) = home
            .with_daemon(|_handle| async {
                let client = home.client().await;
                let params = SubscribeParams {
                    since: Some(1),
                    ..SubscribeParams::default()
                };
                let mut events = client.events(params).await.expect("a subscription");
                start_and_wait(&client, spec.clone()).await;
                let first = testkit::within(SOON, "an event", events.next()).await;
                let seen = vec![first.expect("one").expect("readable").seq];
                stop_and_wait(&client, "web").await;
                (events, seen)
            })
            .await;
        home.with_daemon(|_handle| async {
            start_and_wait(&home.client().await, spec).await;
            let past = SubscribeParams {
                since: Some(1),
                until_now: true,
                ..SubscribeParams::default()
            };
            let mut past = home
                .client()
                .await
                .events(past)
                .await
                .expect("a subscription");
            let mut all = Vec::new();
            while let Some(event) = testkit::within(SOON, "the past", past.next()).await {
                all.push(event.expect("readable").seq);
            }
            while seen.len() < all.len() {
                let event = testkit::within(SOON, "the next event", events.next()).await;
                seen.push(event.expect("more").expect("readable").seq);
            }
            assert_eq!(seen, all, "each once, in order");
        })
        .await;
    });
}

async fn lines_of(client: &HarnessClient, params: LogParams) -> Vec<LogRecord> {
    let mut reader = client.read_logs(params).await.expect("a subscription");
    let mut lines = Vec::new();
    while let Some(batch) = testkit::within(SOON, "the past", reader.next_batch()).await {
        lines.extend(batch.expect("readable"));
    }
    lines
}

/// The output alone: readers that began at different places may give a line different cursors.
fn said(lines: &[LogRecord]) -> Vec<&[u8]> {
    lines.iter().map(|line| line.bytes.as_slice()).collect()
}

#[test]
fn logs_are_read_whole_by_tail_and_from_a_cursor_on_byte_for_byte() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            let script = "i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done; printf 'a\\377b\\nend'; exec sleep 1000";
            start_and_wait(&client, stack("web", home.directory.path(), &[("api", script), ("idle", FOREVER)])).await;
            let all = || LogParams::all(name("web"));
            testkit::eventually_async(SOON, "the last output", || async {
                lines_of(&client, LogParams { tail: Some(1), ..all() }).await.iter().any(|line| line.bytes == b"end")
            })
            .await;
            let lines = lines_of(&client, all()).await;
            assert_eq!(lines.len(), 1002);
            assert_eq!(lines[999].bytes, b"line 999");
            assert_eq!(lines[1000].bytes, b"a\xffb");
            assert!(lines[1001].partial);
            let tail = lines_of(&client, LogParams { tail: Some(500), ..all() }).await;
            assert!(said(&tail) == said(&lines[502..]), "{} lines", tail.len());
            let after = [("api".to_owned(), lines[700].cursor)].into();
            let rest = lines_of(&client, LogParams { after, ..all() }).await;
            assert!(said(&rest) == said(&lines[701..]), "{} lines", rest.len());
            assert!(lines_of(&client, LogParams { units: vec!["idle".into()], ..all() }).await.is_empty());
        })
        .await;
    });
}

#[test]
fn followed_logs_go_on_with_the_next_daemon_and_no_line_twice() {
    async_io::block_on(async {
        let home = Home::new();
        let script = "for i in 1 2 3; do echo $i; done; exec sleep 1000";
        let spec = stack("web", home.directory.path(), &[("api", script)]);
        let mut follow = home
            .with_daemon(|_handle| async {
                let client = home.client().await;
                start_and_wait(&client, spec.clone()).await;
                let mut follow = client
                    .follow_logs(LogParams::all(name("web")))
                    .await
                    .expect("a subscription");
                for number in 1..=3 {
                    let line = testkit::within(SOON, "a line", follow.next())
                        .await
                        .expect("more");
                    assert_eq!(line.expect("readable").text(), number.to_string());
                }
                follow
            })
            .await;
        home.with_daemon(|_handle| async {
            start_and_wait(&home.client().await, spec).await;
            let mut attempts = Vec::new();
            for number in 1..=3 {
                let line = testkit::within(SOON, "a line", follow.next())
                    .await
                    .expect("more")
                    .expect("readable");
                assert_eq!(line.text(), number.to_string());
                attempts.push(line.attempt);
            }
            assert_eq!(attempts, [2, 2, 2]);
        })
        .await;
    });
}

#[test]
fn a_stop_that_others_need_is_refused_until_it_is_forced() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            let client = home.client().await;
            let mut spec = stack(
                "web",
                home.directory.path(),
                &[("api", FOREVER), ("db", FOREVER)],
            );
            let api = spec.units.get_mut(&unit("api")).expect("a unit");
            api.dependencies
                .push(service_orchestration::spec::Dependency {
                    unit: unit("db"),
                    gate: None,
                    required: true,
                    restart: false,
                    origin: Default::default(),
                });
            start_and_wait(&client, spec).await;
            let params = StopParams {
                units: vec![unit("db")],
                ..StopParams::all(name("web"))
            };
            let error = client.stop(&params).await.expect_err("needed");
            assert_eq!(
                error.as_api().map(|error| error.code),
                Some(ErrorCode::Needed)
            );
            let params = StopParams {
                with_dependents: true,
                ..params
            };
            client.stop(&params).await.expect("ordered");
            client
                .wait(&wait("web", WaitGoal::Stopped))
                .await
                .expect("stopped");
        })
        .await;
    });
}
