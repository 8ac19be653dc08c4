//! One background thread for what must go on without a caller: feeding stdin, and reaping children whose handle was
//! dropped.
//!
//! Owns: the futures handed to it, each of which ends by itself (stdin closes, the child ends). The thread starts with
//! the first of them, sleeps while there is nothing to do, and exists because this crate knows no runtime to spawn on.
//! Where the system has no room for a thread, they wait until the next of them finds some.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use async_channel::{Receiver, Sender};
use futures::stream::FuturesUnordered;
use futures_lite::{Stream, StreamExt};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Drives `work` to its end on the background thread.
pub(crate) fn run(work: impl Future<Output = ()> + Send + 'static) {
    // A lock, because anybody may bring work from any thread; held to put it in and, once, to start the thread.
    static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);
    let mut driver = DRIVER.lock().unwrap_or_else(PoisonError::into_inner);
    let driver = driver.get_or_insert_with(|| {
        let (sender, inbox) = async_channel::unbounded();
        Driver {
            sender,
            inbox,
            runs: false,
        }
    });
    driver
        .sender
        .try_send(Box::pin(work))
        .expect("the inbox is unbounded, and this holds an end of it");
    if !driver.runs {
        let inbox = driver.inbox.clone();
        let thread = std::thread::Builder::new()
            .name("command-executor".to_owned())
            .spawn(move || async_io::block_on(drive(inbox)));
        driver.runs = thread.is_ok();
    }
}

/// The way to the thread, and whether there is one.
struct Driver {
    sender: Sender<Work>,
    inbox: Receiver<Work>,
    runs: bool,
}

async fn drive(inbox: Receiver<Work>) {
    let mut inbox = pin!(inbox);
    let mut running = FuturesUnordered::new();
    poll_fn(|context| {
        while let Poll::Ready(Some(work)) = inbox.as_mut().poll_next(context) {
            running.push(work);
        }
        while let Poll::Ready(Some(())) = running.poll_next(context) {}
        Poll::<()>::Pending
    })
    .await;
}
