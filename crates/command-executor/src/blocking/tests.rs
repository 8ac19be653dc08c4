//! The threads: how many, for whom, and what becomes of work that nobody waits for.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};

use futures_lite::future::{block_on, poll_once};

use super::*;

fn threads(most: usize, keep_waiting: usize) -> &'static Threads {
    Box::leak(Box::new(Threads::new(most, keep_waiting)))
}

fn settle(threads: &Threads, all: usize) {
    testkit::eventually_blocking(DEADLINE, "the threads come to rest", || {
        let state = threads.lock();
        state.queue.is_empty() && state.all == all && state.waiting == all
    });
}

#[test]
fn what_it_returns_arrives_and_what_it_panics_with_too() {
    assert_eq!(block_on(unblock(|| 6 * 7)), 42);
    let panicking = unblock(|| -> u8 { resume_unwind(Box::new("told")) });
    let told = catch_unwind(AssertUnwindSafe(|| block_on(panicking))).expect_err("it panicked");
    assert_eq!(told.downcast_ref(), Some(&"told"));
    assert_eq!(block_on(unblock(|| "others go on")), "others go on");
}

#[test]
fn a_burst_has_no_more_threads_than_allowed_and_leaves_those_that_are_kept() {
    let threads = threads(4, 2);
    let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (done, all_done) = mpsc::channel();
    // The first four meet, so that there must be as many threads.
    let barrier = Arc::new(Barrier::new(4));
    for number in 0..200 {
        let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
        let (done, barrier) = (done.clone(), Arc::clone(&barrier));
        threads.take(Box::new(move || {
            let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            if number < 4 {
                barrier.wait();
            }
            at_once.fetch_sub(1, Ordering::SeqCst);
            done.send(number).expect("somebody counts");
        }));
    }
    drop(done);
    let mut seen: Vec<i32> = all_done.iter().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..200).collect::<Vec<_>>(), "each exactly once");
    assert_eq!(most.load(Ordering::SeqCst), 4);
    settle(threads, 2);
}

#[test]
fn work_that_comes_one_by_one_is_done_by_one_thread() {
    let threads = threads(4, 2);
    for _ in 0..50 {
        let (done, is_done) = mpsc::channel();
        threads.take(Box::new(move || done.send(()).expect("somebody waits")));
        is_done.recv().expect("it is done");
        settle(threads, 1);
    }
}

#[test]
fn a_woken_thread_counts_only_once() {
    let state = |queued: usize, all, waiting| State {
        queue: (0..queued).map(|_| Box::new(|| ()) as Work).collect(),
        all,
        waiting,
    };
    assert_eq!(state(1, 1, 1).need(4), Need::Wake);
    assert_eq!(state(2, 1, 1).need(4), Need::Thread);
    assert_eq!(state(1, 0, 0).need(4), Need::Thread);
    assert_eq!(state(1, 4, 0).need(4), Need::Nothing);
}

#[test]
fn what_nobody_waits_for_any_more_is_not_begun() {
    let threads = threads(1, 1);
    let (go, may_go) = mpsc::channel::<()>();
    threads.take(Box::new(move || {
        may_go.recv().expect("it is let go");
    }));
    let begun = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&begun);
    drop(threads.unblock(move || noted.fetch_add(1, Ordering::SeqCst)));
    go.send(()).expect("it waits");
    settle(threads, 1);
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

#[test]
fn an_unfinished_one_is_pending() {
    let (go, may_go) = mpsc::channel::<()>();
    let mut waiting = unblock(move || may_go.recv().is_ok());
    assert_eq!(block_on(poll_once(&mut waiting)), None);
    go.send(()).expect("it waits");
    assert!(block_on(waiting));
}

const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);
