//! One session, from the side of the slot.
//!
//! Owns: the translation of orders. Nothing but the slot's own methods is called.

use std::error::Error;
use std::io::{self, BufRead, Read, Write};
use std::path::Path;

use super::protocol::{Order, RefusalKind, Reply};
use crate::archive::Limits;
use crate::store::{Offered, Slot, SlotName, StoreError, Switched};

/// Why a session ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Orders cannot be read, or answers not written.
    #[error("the session is cut off")]
    Cut(#[from] io::Error),
    /// What came is longer than any order.
    #[error("an order is longer than {MOST_BYTES} bytes")]
    TooLong,
}

/// Serves orders about a slot until there are no more. The lock is let go when this returns.
///
/// # Errors
/// [`ServeError`]; whatever was answered is done.
pub fn serve(
    root: &Path,
    name: &SlotName,
    orders: impl BufRead,
    mut answers: impl Write,
) -> Result<(), ServeError> {
    let mut orders = orders;
    let mut slot = None;
    while let Some(line) = next_line(&mut orders)? {
        let reply = match serde_json::from_str(&line) {
            Ok(order) => carry_out(order, root, name, &mut slot),
            Err(error) => refused(RefusalKind::Order, &error),
        };
        let mut text = serde_json::to_vec(&reply).map_err(io::Error::from)?;
        text.push(b'\n');
        answers.write_all(&text)?;
        answers.flush()?;
    }
    Ok(())
}

/// A line without its end; none at the end, which may come in the middle of an order: that one was not given.
fn next_line(orders: &mut impl BufRead) -> Result<Option<String>, ServeError> {
    let mut line = String::new();
    orders.take(MOST_BYTES).read_line(&mut line)?;
    match line.strip_suffix('\n') {
        Some(whole) => Ok(Some(whole.to_owned())),
        None if line.len() as u64 == MOST_BYTES => Err(ServeError::TooLong),
        None => Ok(None),
    }
}

fn carry_out(order: Order, root: &Path, name: &SlotName, slot: &mut Option<Slot>) -> Reply {
    let done = match (order, &slot) {
        (Order::Open { who, quota }, None) => match Slot::open(root, name, &who) {
            Ok(opened) => {
                let opened = slot.insert(opened.with_quota(quota));
                greeting(opened)
            }
            Err(error) => Err(error),
        },
        (Order::Open { .. }, Some(_)) => return misplaced("the slot is open already"),
        (_, None) => return misplaced("the slot is not open"),
        (order, Some(slot)) => change(order, slot),
    };
    done.unwrap_or_else(|error| Reply::Refused {
        kind: kind(&error),
        message: chain(&error),
        holder: match error {
            StoreError::Held { holder } => Some(holder),
            _ => None,
        },
    })
}

fn greeting(slot: &Slot) -> Result<Reply, StoreError> {
    Ok(Reply::Opened {
        path: slot.path().to_owned(),
        current: slot.current()?,
        versions: slot.versions()?,
    })
}

fn change(order: Order, slot: &Slot) -> Result<Reply, StoreError> {
    match order {
        Order::Offer { sha256, size } => match slot.offer(sha256, size)? {
            Offered::Wanted(path) => Ok(Reply::Wanted { path }),
            Offered::Uploaded => Ok(Reply::Uploaded),
            Offered::Unpacked(place) => taken(slot, place),
        },
        Order::Take {
            sha256,
            signature,
            keys,
        } => {
            let found = slot.take(sha256, &signature, &keys, &Limits::default())?;
            taken(slot, found.place)
        }
        Order::KeepOutput { place, output } => {
            slot.keep_output(&place, output.as_bytes())?;
            Ok(Reply::Done)
        }
        Order::Switch { place } => switched(slot, slot.switch(&place)?),
        Order::Back => switched(slot, slot.back()?),
        Order::Prune { keep } => {
            let places = slot.prune(keep)?;
            Ok(Reply::Removed { places })
        }
        Order::Remove { place } => {
            slot.remove(&place)?;
            let places = vec![place];
            Ok(Reply::Removed { places })
        }
        Order::Open { .. } => Ok(misplaced("the slot is open already")),
    }
}

fn taken(slot: &Slot, place: crate::store::Place) -> Result<Reply, StoreError> {
    Ok(Reply::Taken {
        directory: slot.directory(&place),
        about: slot.about(&place)?,
        place,
    })
}

fn switched(slot: &Slot, switched: Switched) -> Result<Reply, StoreError> {
    Ok(Reply::Switched {
        about: slot.about(&switched.to)?,
        from: switched.from,
        to: switched.to,
    })
}

fn kind(error: &StoreError) -> RefusalKind {
    match error {
        StoreError::Held { .. } => RefusalKind::Held,
        StoreError::NoRoom { .. } | StoreError::NoInodes { .. } | StoreError::Quota { .. } => {
            RefusalKind::Room
        }
        StoreError::Unpack(crate::UnpackError::Write { source, .. })
        | StoreError::Io { source, .. }
            if matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            RefusalKind::Room
        }
        StoreError::Key(_)
        | StoreError::Admit(_)
        | StoreError::Unpack(_)
        | StoreError::NotUploaded { .. } => RefusalKind::Archive,
        StoreError::NoVersion { .. } | StoreError::NoEarlier | StoreError::Current { .. } => {
            RefusalKind::Version
        }
        StoreError::Io { .. } => RefusalKind::System,
    }
}

fn misplaced(message: &str) -> Reply {
    Reply::Refused {
        kind: RefusalKind::Order,
        message: message.to_owned(),
        holder: None,
    }
}

fn refused(kind: RefusalKind, error: &dyn Error) -> Reply {
    Reply::Refused {
        kind,
        message: chain(error),
        holder: None,
    }
}

/// The error and all that it came from.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

/// Keys and a signature take a few kilobytes; what a setup script said, at most a few hundred.
const MOST_BYTES: u64 = 1 << 20;
