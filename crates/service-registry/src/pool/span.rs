//! Spans: addresses that follow each other, as exclusions are written.
//!
//! Owns: what a span is. Never says what it is excluded from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::Network;
use crate::network::number;

/// Why a text is no span.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpanError {
    /// It is none of the three forms.
    #[error("`{0}` is neither an address, nor `FIRST-LAST`, nor a network such as `10.0.0.0/28`")]
    Malformed(String),
    /// The last address comes before the first, or is of another family.
    #[error("`{0}` does not lead from its first address to its last")]
    Backwards(String),
}

/// All addresses from one to another. Written as an address, as `FIRST-LAST`, or as a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    first: IpAddr,
    last: IpAddr,
}

impl Span {
    /// From `first` to `last`, both included; `None` when that leads nowhere.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let is_forward = first.is_ipv4() == last.is_ipv4() && first <= last;
        is_forward.then_some(Self { first, last })
    }

    /// Its first address.
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// Its last address.
    pub fn last(self) -> IpAddr {
        self.last
    }

    pub(crate) fn touches(self, network: Network) -> bool {
        self.first.is_ipv4() == network.first().is_ipv4()
            && self.first <= network.last()
            && network.first() <= self.last
    }

    pub(super) fn numbers(self) -> (u128, u128) {
        (number(self.first), number(self.last))
    }
}

impl From<IpAddr> for Span {
    fn from(address: IpAddr) -> Self {
        Self {
            first: address,
            last: address,
        }
    }
}

impl From<Network> for Span {
    fn from(network: Network) -> Self {
        Self {
            first: network.first(),
            last: network.last(),
        }
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let malformed = || SpanError::Malformed(text.into());
        if let Some((first, last)) = text.split_once('-') {
            let address = |part: &str| part.trim().parse().map_err(|_| malformed());
            let (first, last) = (address(first)?, address(last)?);
            return Self::new(first, last).ok_or_else(|| SpanError::Backwards(text.into()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: Network = text.parse().map_err(|_| malformed())?;
        Ok(network.into())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.first != self.last {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}
