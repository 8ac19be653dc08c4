//! What all connections of one client have waiting together.
//!
//! Owns: the count. Whose connections share one, the caller of [`crate::Visitor::admit`] says, in
//! [`crate::Limits::account`].
//!
//! Invariant: what is taken is given back when its [`Share`] is dropped, so nothing can stay counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound on bytes, over several connections. Clones are the same account.
#[derive(Debug, Clone)]
pub struct Account {
    held: Arc<AtomicUsize>,
    max_bytes: usize,
}

/// A part of an account, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Account {
    /// One that holds so many bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            held: Arc::default(),
            max_bytes,
        }
    }

    /// Bytes of requests that are being worked on and of messages that wait to be sent.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// How many bytes it holds at the most.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// So many bytes of it, if there are as many left.
    pub(crate) fn take(&self, bytes: usize) -> Option<Share> {
        let add = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= self.max_bytes);
        self.held
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add)
            .ok()?;
        Some(Share {
            held: Arc::clone(&self.held),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let account = Account::new(100);
        let other = account.clone();
        let first = account.take(60).expect("room for it");
        assert!(other.take(41).is_none(), "the same account");
        let second = other.take(40).expect("room for it");
        assert!(account.take(1).is_none());
        drop(first);
        assert_eq!(account.held(), 40);
        drop(second);
        assert_eq!(account.held(), 0);
        assert!(account.take(usize::MAX).is_none());
    }
}
