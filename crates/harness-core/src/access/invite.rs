//! Inviting, and taking up an invitation.
//!
//! Owns: what a token is made of and what is kept of it, and how often strangers may guess. An applicant that fails is told
//! nothing but that: not whether an invitation ever was.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use harness_wire::enrol::{Application, Granted, random};
use harness_wire::{Role, RpcError, code};
use service_orchestration::error_chain;
use sha2::{Digest, Sha256};

use super::keeper::{Access, check_grants, of_pki};
use super::register::{Invitation, NotInvited};
use super::{Token, hex};
use crate::protocol::{ApiError, ErrorCode, InviteParams, Invited};

/// When strangers failed lately.
#[derive(Debug, Default)]
pub(super) struct Failures(VecDeque<Instant>);

/// What came of an application, for the audit record.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The client that came of it, or would have.
    pub(crate) client: Option<(String, Role)>,
    pub(crate) outcome: Result<Granted, RpcError>,
    /// Why not, which the applicant is not told.
    pub(crate) reason: Option<&'static str>,
}

impl Access {
    /// Invites a client, which reaches the daemon at `address` (`host:port`).
    pub(crate) fn invite(
        &self,
        params: &InviteParams,
        address: String,
        by: &str,
    ) -> Result<Invited, ApiError> {
        let ttl = Duration::from_millis(params.ttl_ms);
        if !(SHORTEST..=LONGEST).contains(&ttl) {
            let message = "an invitation holds for a second at least and thirty days at most";
            return Err(ApiError::new(ErrorCode::InvalidParams, message));
        }
        check_grants(&params.register)?;
        let failed = |error: std::io::Error| ApiError::new(ErrorCode::Internal, error.to_string());
        let invitation: [u8; 8] = random().map_err(failed)?;
        let secret: [u8; 32] = random().map_err(failed)?;
        let now = self.clock.now();
        let mut inner = self.inner();
        let before = inner.register.clone();
        inner.register.prune(now.into());
        let id = hex(&invitation);
        let name = match &params.name {
            Some(name) => name.clone(),
            None => format!("client-{}", &id[..6]),
        };
        harness_wire::pki::check_name(&name).map_err(|error| of_pki(&error))?;
        if inner.register.is_taken(&name) {
            let message = format!("there is a client `{name}` already, or it is invited");
            return Err(ApiError::new(ErrorCode::NameTaken, message));
        }
        let host = host(&address);
        let is_new_host = !host.is_empty() && inner.register.add_host(host);
        let expires = (now + ttl).into();
        let secret_hash = hash(&secret);
        let kept = Invitation::new(
            secret_hash,
            params.role,
            name.clone(),
            expires,
            by.to_owned(),
        )
        .registering(params.register.clone());
        inner.register.invite(id, kept);
        inner.save_or(before)?;
        if is_new_host {
            inner.pki.add_name(host);
            inner.renew_own(now).map_err(|error| of_pki(&error))?;
        }
        let token = Token {
            authority: inner.pki.authority_fingerprint(),
            invitation,
            secret,
            address: address.clone(),
        };
        Ok(Invited {
            token: token.to_string(),
            name,
            role: params.role,
            expires_at: expires,
            address,
        })
    }

    /// Lets somebody take up an invitation.
    pub(crate) fn apply(&self, application: &Application) -> Applied {
        let now = self.clock.now();
        let mut inner = self.inner();
        if inner.failures.are_too_many() {
            return Applied::refused(
                None,
                code::OVERLOADED,
                "too many have failed; try later",
                "too many failures",
            );
        }
        let before = inner.register.clone();
        let secret_hash = match unhex(&application.secret) {
            Some(secret) => hash(&secret),
            None => String::new(),
        };
        let invitation = match inner.register.redeem(
            &application.invitation,
            &secret_hash,
            now.into(),
        ) {
            Ok(invitation) => invitation,
            Err(error) => {
                inner.failures.add();
                // A guess that was not noted would be one guess more.
                let noted = inner.save_or(before).is_ok();
                let reason = match (noted, error) {
                    (false, _) => "the register cannot be written",
                    (true, NotInvited::Unknown) => "no such invitation",
                    (true, NotInvited::Expired) => "the invitation had expired",
                    (true, NotInvited::WrongSecret) => "a wrong secret",
                    (true, NotInvited::Withdrawn) => "a wrong secret once too often: withdrawn",
                };
                let message =
                    "this invitation cannot be taken up: it was used, has expired, or never was";
                return Applied::refused(None, code::FORBIDDEN, message, reason);
            }
        };
        let client = Some((invitation.name.clone(), invitation.role));
        let certified =
            match inner
                .pki
                .certify(&application.request, &invitation.name, invitation.role, now)
            {
                Ok(certified) => certified,
                Err(error) => {
                    // The invitation stays: whoever knows the secret may ask again, in a form that can be granted.
                    inner.register = before;
                    let message = error_chain(&error);
                    return Applied::refused(
                        client,
                        code::INVALID_PARAMS,
                        &message,
                        "no usable request",
                    );
                }
            };
        let authority = inner.pki.authority_pem();
        inner
            .register
            .enlist(invitation.role, &certified.identity, now.into());
        inner
            .register
            .set_register(&invitation.name, invitation.register.clone());
        match (inner.save_or(before), authority) {
            (Ok(()), Ok(authority)) => Applied {
                outcome: Ok(Granted {
                    name: invitation.name,
                    role: invitation.role,
                    certificate: certified.pem,
                    authority,
                }),
                client,
                reason: None,
            },
            _ => Applied::refused(
                client,
                code::INTERNAL_ERROR,
                "the daemon cannot write its register",
                "the register cannot be written",
            ),
        }
    }
}

impl Applied {
    fn refused(
        client: Option<(String, Role)>,
        code: i64,
        message: &str,
        reason: &'static str,
    ) -> Self {
        Self {
            client,
            outcome: Err(RpcError::new(code, message)),
            reason: Some(reason),
        }
    }
}

impl Failures {
    fn add(&mut self) {
        self.0.push_back(Instant::now());
    }

    /// Whether so many have failed lately that the next is not even looked at.
    fn are_too_many(&mut self) -> bool {
        while self.0.front().is_some_and(|at| at.elapsed() > WINDOW) {
            self.0.pop_front();
        }
        self.0.len() >= MOST_FAILURES
    }
}

/// The host of `host:port`, without brackets.
fn host(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or("", |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn hash(secret: &[u8]) -> String {
    hex(&Sha256::digest(secret))
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Failures in a [`WINDOW`] after which nobody's application is looked at: ten a minute against 256 bits.
const MOST_FAILURES: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_strictly() {
        assert_eq!(unhex(&hex(&[0, 0xff, 0x1a])), Some(vec![0, 0xff, 0x1a]));
        assert_eq!(unhex("abc"), None);
        assert_eq!(unhex("zz"), None);
    }

    #[test]
    fn guessing_is_slowed_down_for_everybody() {
        let mut failures = Failures::default();
        (0..MOST_FAILURES).for_each(|_| failures.add());
        assert!(failures.are_too_many());
    }

    #[test]
    fn the_host_is_taken_from_an_address() {
        assert_eq!(host("[fd00::1]:9443"), "fd00::1");
        assert_eq!(host("build.lan:9443"), "build.lan");
    }
}
