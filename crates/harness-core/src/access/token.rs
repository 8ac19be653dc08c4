//! What an invited person is handed: where the daemon is, how to recognise it, and the secret that opens the door once.
//!
//! Owns: its text form, `harness1.` and base64 of: authority (32 bytes), invitation (8), secret (32), address.

use std::fmt;
use std::str::FromStr;

use crate::protocol::base64;

/// The text that takes up an invitation. It is a secret: whoever has it first becomes the invited client.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// SHA-256 of the authority's certificate.
    pub(crate) authority: [u8; 32],
    pub(crate) invitation: [u8; 8],
    pub(crate) secret: [u8; 32],
    /// `host:port`.
    pub(crate) address: String,
}

/// The text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no token: `harness daemon invite` prints one, beginning with `harness1.`")]
pub struct TokenError;

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim().strip_prefix(PREFIX).ok_or(TokenError)?;
        let bytes = base64::decode(text).ok_or(TokenError)?;
        let (authority, rest) = bytes.split_first_chunk().ok_or(TokenError)?;
        let (invitation, rest) = rest.split_first_chunk().ok_or(TokenError)?;
        let (secret, address) = rest.split_first_chunk().ok_or(TokenError)?;
        let address = std::str::from_utf8(address).map_err(|_| TokenError)?;
        if !(3..=MAX_ADDRESS).contains(&address.len()) {
            return Err(TokenError);
        }
        Ok(Self {
            authority: *authority,
            invitation: *invitation,
            secret: *secret,
            address: address.to_owned(),
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.authority.to_vec();
        bytes.extend(self.invitation);
        bytes.extend(self.secret);
        bytes.extend(self.address.bytes());
        write!(f, "{PREFIX}{}", base64::encode(&bytes))
    }
}

// The secret is not for logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// These bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const PREFIX: &str = "harness1.";
/// A host name has at most 253 characters.
const MAX_ADDRESS: usize = 260;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_text_and_shows_no_secret() {
        let token = Token {
            authority: [1; 32],
            invitation: [2; 8],
            secret: [0xab; 32],
            address: "build-host.lan:9443".to_owned(),
        };
        let text = token.to_string();
        assert_eq!(format!(" {text}\n").parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("ab"), "{token:?}");
        for cut in [0, 8, 9, 20, text.len() - 25] {
            assert_eq!(text[..cut].parse::<Token>(), Err(TokenError), "{cut}");
        }
        assert_eq!(text.to_uppercase().parse::<Token>(), Err(TokenError));
    }
}
