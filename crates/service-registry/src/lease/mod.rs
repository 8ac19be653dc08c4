//! Entries of others, who have to say again and again that they are still there.
//!
//! Start reading at [`Lease`] (what an owner asks for), then [`crate::Registry::publish_leased`].

mod book;
mod registry;
mod terms;

pub(crate) use book::Leases;
pub use terms::{Ending, Lease, LeaseError, Leased, Owner, Standing, Tombstone};
