//! Somebody without a certificate takes up an invitation.
//!
//! Owns: the one question it may ask, and its line in the audit record. What it is answered, [`crate::access`] decides.

use std::net::SocketAddr;
use std::sync::Arc;

use harness_wire::{AcceptError, Applicant};
use service_orchestration::blocking;

use super::shared::Shared;
use crate::audit::{Durability, Entry};

/// Hears an applicant and answers it.
pub(super) async fn enrol(
    shared: &Arc<Shared>,
    mut applicant: Applicant,
    from: SocketAddr,
) -> Result<(), AcceptError> {
    let application = applicant.application().await?;
    let shared = Arc::clone(shared);
    let outcome = blocking::unblock(move || {
        let applied = shared.access.apply(&application);
        let (about, role) = applied.client.unzip();
        let entry = Entry {
            role,
            from: Some(from.to_string()),
            method: METHOD,
            about,
            outcome: applied.reason.unwrap_or("ok").to_owned(),
            ..Entry::default()
        };
        shared.audit.append(entry, Durability::Now);
        applied.outcome
    })
    .await;
    applicant.answer(outcome).await
}

/// What the record calls it. It is no method of the protocol: nobody with a certificate can call it.
const METHOD: &str = "enrol";
