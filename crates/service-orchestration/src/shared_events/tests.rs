//! Readers of one source: each gets all of it, whoever else is slow, late or gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use command_executor::event::{LineEnd, ProcessEventType};
use futures::executor::block_on;
use futures::{FutureExt, StreamExt, stream};
use testkit::{run_everywhere, within};

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn numbered(number: u64) -> ProcessEvent {
    ProcessEvent::stdout(number.to_string(), LineEnd::Newline)
}

fn shared_channel(max_bytes: usize) -> (async_channel::Sender<ProcessEvent>, SharedEventStream) {
    let (sender, receiver) = async_channel::unbounded();
    let source = ProcessEventStream::new(receiver);
    (sender, SharedEventStream::with_capacity(source, max_bytes))
}

#[test]
fn every_reader_gets_every_event_from_the_first_one_on() {
    run_everywhere(|| async {
        let shared =
            SharedEventStream::new(ProcessEventStream::new(stream::iter(0..1000).map(numbered)));
        let expected: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        let read = |reader: EventReader| {
            reader
                .map(|event| event.data.to_string())
                .collect::<Vec<_>>()
        };
        let together = futures::future::join(read(shared.reader()), read(shared.clone().reader()));
        assert_eq!(together.await, (expected.clone(), expected.clone()));
        assert_eq!(read(shared.reader()).await, expected);
    });
}

#[test]
fn readers_on_many_threads_lose_nothing() {
    let (sender, shared) = shared_channel(MAX_BYTES);
    thread::scope(|scope| {
        for _ in 0..8 {
            let reader = shared.reader();
            scope.spawn(|| {
                let read = reader
                    .map(|event| event.data.to_string())
                    .collect::<Vec<_>>();
                let read = block_on(within(SOON, "the end of the stream", read));
                assert!(
                    read.into_iter()
                        .eq((0..5000).map(|number| number.to_string()))
                );
            });
        }
        for number in 0..5000 {
            sender.try_send(numbered(number)).expect("the source lives");
        }
        drop(sender);
    });
}

#[test]
fn a_reader_that_falls_behind_is_told_how_much_it_missed() {
    let (sender, shared) = shared_channel(4 * size(&numbered(0)));
    let (mut quick, mut slow) = (shared.reader(), shared.reader());
    for number in 0..10 {
        sender.try_send(numbered(number)).expect("the source lives");
    }
    drop(sender);
    assert_eq!(block_on(slow.next()).expect("an event").data, "0");
    let read = block_on((&mut quick).count());
    assert_eq!(read, 10, "the quick one misses nothing");
    let rest: Vec<_> = block_on(slow.collect());
    assert_eq!(rest[0].event_type, ProcessEventType::System);
    assert_eq!(rest[0].data, "5 events are missing here");
    let texts: Vec<_> = rest[1..].iter().map(|event| event.data.as_str()).collect();
    assert_eq!(texts, ["6", "7", "8", "9"]);
}

#[test]
fn a_reader_that_is_dropped_does_not_leave_the_others_asleep() {
    let (sender, shared) = shared_channel(MAX_BYTES);
    let (mut first, mut second) = (shared.reader(), shared.reader());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    assert!(
        second
            .next()
            .poll_unpin(&mut Context::from_waker(&waker))
            .is_pending()
    );
    // The first is now the last one that asked the source.
    assert!(
        first
            .next()
            .poll_unpin(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    drop(first);
    sender.try_send(numbered(0)).expect("the source lives");
    assert!(woken.0.load(Ordering::Relaxed));
    assert_eq!(block_on(second.next()).expect("an event").data, "0");
}

#[test]
fn an_event_that_one_reader_fetched_wakes_the_others() {
    let (sender, shared) = shared_channel(MAX_BYTES);
    let (mut first, mut second) = (shared.reader(), shared.reader());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    assert!(
        second
            .next()
            .poll_unpin(&mut Context::from_waker(&waker))
            .is_pending()
    );
    sender.try_send(numbered(0)).expect("the source lives");
    drop(sender);
    woken.0.store(false, Ordering::Relaxed);
    assert!(
        second
            .next()
            .poll_unpin(&mut Context::from_waker(&waker))
            .is_ready()
    );
    assert!(
        second
            .next()
            .poll_unpin(&mut Context::from_waker(&waker))
            .is_ready()
    );
    assert_eq!(block_on(first.next()).expect("an event").data, "0");
    assert!(block_on(first.next()).is_none());
}

#[test]
fn one_event_that_is_larger_than_all_room_is_still_read() {
    let (sender, shared) = shared_channel(1);
    let mut reader = shared.reader();
    sender.try_send(numbered(7)).expect("the source lives");
    assert_eq!(block_on(reader.next()).expect("an event").data, "7");
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
