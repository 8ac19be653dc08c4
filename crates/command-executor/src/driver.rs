//! One background thread for what must go on without a caller: feeding stdin, and reaping children whose handle was
//! dropped.
//!
//! Owns: the futures handed to it, each of which ends by itself (stdin closes, the child ends). The thread starts with
//! the first of them, sleeps while there is nothing to do, and exists because this crate knows no runtime to spawn on.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::Poll;

use async_channel::{Receiver, Sender};
use futures::stream::FuturesUnordered;
use futures_lite::{Stream, StreamExt};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Drives `work` to its end on the background thread.
pub(crate) fn run(work: impl Future<Output = ()> + Send + 'static) {
    static DRIVER: OnceLock<Sender<Work>> = OnceLock::new();
    let driver = DRIVER.get_or_init(|| {
        let (sender, inbox) = async_channel::unbounded();
        std::thread::Builder::new()
            .name("command-executor".to_owned())
            .spawn(move || async_io::block_on(drive(inbox)))
            .expect("the system has room for one more thread");
        sender
    });
    driver
        .try_send(Box::pin(work))
        .expect("the driver never ends and its inbox is unbounded");
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
