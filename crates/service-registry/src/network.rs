//! Networks: an address and how many of its leading bits they have in common.
//!
//! Owns: what contains and what overlaps what, in IPv4 and IPv6 alike. Hands out nothing; see [`crate::pool`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It is not `ADDRESS/PREFIX`.
    #[error("`{0}` is no network: write it like `10.80.0.0/16` or `fd00:1::/64`")]
    Malformed(String),
    /// Bits after the prefix are set.
    #[error("`{text}` has host bits set: its network is `{network}`")]
    HostBits {
        /// As written.
        text: String,
        /// As it was probably meant.
        network: Network,
    },
}

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of this prefix that the address is in. A prefix longer than the address counts as all of it.
    pub fn around(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(width(address));
        let first = from_number(number(address) & !tail(address, prefix), address);
        Self { first, prefix }
    }

    /// The network of this one address.
    pub fn of_one(address: IpAddr) -> Self {
        Self::around(address, width(address))
    }

    /// Its first address: its name, and nobody's address.
    pub fn first(self) -> IpAddr {
        self.first
    }

    /// Its last address; in IPv4, the broadcast address.
    pub fn last(self) -> IpAddr {
        let last = number(self.first) | tail(self.first, self.prefix);
        from_number(last, self.first)
    }

    /// How many leading bits its addresses have in common.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// How many bits of its addresses differ.
    pub(crate) fn host_bits(self) -> u8 {
        width(self.first) - self.prefix
    }

    /// Whether the address is one of it.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::around(address, self.prefix) == self
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        let wider = if self.prefix <= other.prefix {
            (self, other)
        } else {
            (other, self)
        };
        wider.0.contains(wider.1.first)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text
            .split_once('/')
            .and_then(|(address, prefix)| Some((address.parse().ok()?, prefix.parse().ok()?)))
            .filter(|&(address, prefix): &(IpAddr, u8)| prefix <= width(address))
            .ok_or_else(|| NetworkError::Malformed(text.into()))?;
        let network = Self::around(address, prefix);
        if network.first == address {
            Ok(network)
        } else {
            Err(NetworkError::HostBits {
                text: text.into(),
                network,
            })
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// The address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of this number, in the family of `like`.
pub(crate) fn from_number(number: u128, like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => {
            let bits = u32::try_from(number).expect("numbers of IPv4 addresses stay below 2^32");
            Ipv4Addr::from_bits(bits).into()
        }
        IpAddr::V6(_) => Ipv6Addr::from_bits(number).into(),
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The bits after the prefix.
fn tail(address: IpAddr, prefix: u8) -> u128 {
    let bits = u32::from(width(address) - prefix);
    1_u128.checked_shl(bits).map_or(u128::MAX, |bit| bit - 1)
}
