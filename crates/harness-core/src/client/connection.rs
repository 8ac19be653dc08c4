//! One connection, driven by whoever waits for something on it.
//!
//! Owns: the driver of the bytes, and the list of those who wait. Any number of calls at once drive it together: whatever
//! happens on the connection wakes all of them, so that one which was asked once and left alone holds up no other.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Wake, Waker};

use harness_wire::{Client, Driver};

/// A connection to a daemon. Cheap to clone; it ends with its last clone.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    client: Client,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    // A lock, because calls on several threads drive the same connection. It is held for one poll, and only tried: who
    // does not get it need not wait, because somebody else is moving the bytes.
    driver: Mutex<Option<Driver>>,
    /// Somebody wanted to drive while another did.
    again: AtomicBool,
    waiting: Arc<Waiting>,
}

/// Those who wait for something on the connection.
#[derive(Debug, Default)]
struct Waiting {
    // A lock, because they come and go on several threads. It is held for a look into the list.
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Connection {
    pub(super) fn new(client: Client, driver: Driver) -> Self {
        let shared = Shared {
            driver: Mutex::new(Some(driver)),
            again: AtomicBool::new(false),
            waiting: Arc::default(),
        };
        Self {
            client,
            shared: Arc::new(shared),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether nothing can be asked over it any more, as far as that is known.
    pub(super) fn is_over(&self) -> bool {
        // What happened while nobody drove it is looked at first: an end, mostly.
        (0..GLANCE).any(|_| self.shared.drive())
    }

    /// Waits until nothing can be asked over it any more.
    pub(super) async fn ended(&self) {
        let ended = poll_fn(|_| match self.shared.drive() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        });
        self.drive(ended).await;
    }

    /// Does `work` while moving the bytes for it.
    pub(super) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let place = Place::new(&self.shared.waiting);
        poll_fn(|cx| {
            place.note(cx.waker());
            // Once before, so that answers reach the work; once after, so that what it asked goes out.
            for _ in 0..2 {
                let worked = work.as_mut().poll(cx);
                // Even when the work is done: its last notification may still have to go out.
                self.shared.drive();
                if worked.is_ready() {
                    return worked;
                }
            }
            Poll::Pending
        })
        .await
    }
}

impl Shared {
    /// Moves what can be moved now; true when the connection has ended.
    fn drive(&self) -> bool {
        let driver = self.try_driver().or_else(|| {
            // Noted first and tried again: whoever had it has either seen the note or let go of it.
            self.again.store(true, Ordering::SeqCst);
            self.try_driver()
        });
        let Some(mut driver) = driver else {
            return false;
        };
        let waker = Waker::from(Arc::clone(&self.waiting));
        let polled = driver
            .as_mut()
            .map(|driver| Pin::new(driver).poll(&mut Context::from_waker(&waker)));
        if let Some(Poll::Ready(_)) = polled {
            *driver = None;
        }
        let is_over = driver.is_none();
        drop(driver);
        if self.again.swap(false, Ordering::SeqCst) {
            self.waiting.wake_all();
        }
        is_over
    }

    fn try_driver(&self) -> Option<MutexGuard<'_, Option<Driver>>> {
        match self.driver.try_lock() {
            Ok(driver) => Some(driver),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Waiting {
    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        // Outside the lock: a waker is somebody else's code.
        let wakers: Vec<Waker> = self.list().wakers.values().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// The place of one who waits; given up when it is dropped.
struct Place<'a> {
    waiting: &'a Waiting,
    number: u64,
}

impl<'a> Place<'a> {
    fn new(waiting: &'a Waiting) -> Self {
        let mut list = waiting.list();
        let number = list.next;
        list.next += 1;
        drop(list);
        Self { waiting, number }
    }

    fn note(&self, waker: &Waker) {
        let mut list = self.waiting.list();
        match list.wakers.get_mut(&self.number) {
            Some(known) => known.clone_from(waker),
            None => {
                list.wakers.insert(self.number, waker.clone());
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.list().wakers.remove(&self.number);
    }
}

/// Turns of the driver that an idle connection's end takes to be noticed; more would be work for others.
const GLANCE: usize = 8;
