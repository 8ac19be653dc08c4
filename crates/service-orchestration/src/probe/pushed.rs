//! Answers that come by themselves: a line of output, a notification.
//!
//! Owns: whether each has come. Lines are looked at where they pass and not kept, so nothing can pile up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::task::AtomicWaker;
use regex::bytes::Regex;

use super::Asked;

/// Something that happens once. Has one waiter.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    is_set: AtomicBool,
    waiter: AtomicWaker,
}

impl Latch {
    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        self.waiter.wake();
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Ready once it is set. The last task that polled is woken.
    pub(crate) fn poll(&self, context: &std::task::Context<'_>) -> Poll<()> {
        self.waiter.register(context.waker());
        if self.is_set() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Something that happens again and again: what happened since it was looked at last is one. Has one waiter.
#[derive(Debug, Default)]
pub(crate) struct Bell(Latch);

impl Bell {
    pub(crate) fn ring(&self) {
        self.0.set();
    }

    /// Whether it has rung since it was asked last. The last task that asked is woken.
    pub(crate) fn has_rung(&self, context: &std::task::Context<'_>) -> bool {
        self.0.waiter.register(context.waker());
        self.0.is_set.swap(false, Ordering::AcqRel)
    }
}

/// What a pushed probe waits for.
#[derive(Clone)]
pub(crate) enum Awaited {
    /// A line that matches.
    Line(Arc<(Regex, Latch)>),
    /// `READY=1`.
    Notification(Arc<Latch>),
}

impl Awaited {
    pub(crate) fn latch(&self) -> &Latch {
        match self {
            Self::Line(line) => &line.1,
            Self::Notification(latch) => latch,
        }
    }
}

impl fmt::Debug for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line matching `{}`", line.0),
            Self::Notification(_) => f.write_str("notification"),
        }
    }
}

/// Where a unit's lines and notifications go in. Cheap to clone, callable from any thread, never blocks.
#[derive(Clone, Debug, Default)]
pub struct Feed {
    awaited: Vec<Awaited>,
    bells: Vec<Arc<Bell>>,
}

impl Feed {
    pub(crate) fn new<'a>(asked: impl Iterator<Item = &'a Asked> + Clone) -> Self {
        Self {
            awaited: asked.clone().filter_map(Asked::awaited).cloned().collect(),
            bells: asked.filter_map(Asked::bell).cloned().collect(),
        }
    }

    /// What the attempt's own check says is another thing than before: who waits for that asks at once.
    pub fn ask_again(&self) {
        for bell in &self.bells {
            bell.ring();
        }
    }

    /// Whether a line can still change anything: reading the log is pointless once this is `false`.
    pub fn wants_lines(&self) -> bool {
        self.awaited
            .iter()
            .any(|awaited| matches!(awaited, Awaited::Line(line) if !line.1.is_set()))
    }

    /// The unit wrote this line (without its end).
    pub fn line(&self, line: &[u8]) {
        for awaited in &self.awaited {
            if let Awaited::Line(pattern) = awaited
                && !pattern.1.is_set()
                && pattern.0.is_match(line)
            {
                pattern.1.set();
            }
        }
    }

    /// Whether a notification can still change anything.
    pub fn wants_notification(&self) -> bool {
        self.awaited
            .iter()
            .any(|awaited| matches!(awaited, Awaited::Notification(latch) if !latch.is_set()))
    }

    /// The unit said `READY=1`.
    pub fn notify(&self) {
        for awaited in &self.awaited {
            if let Awaited::Notification(latch) = awaited {
                latch.set();
            }
        }
    }
}
