//! The part of the loopback network that a `local` network hands out.
//!
//! Owns: what a usable subnet is. Hands out nothing; see [`crate::LoopbackPool`].

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// Why a text is no subnet that addresses can be handed out from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubnetError {
    /// It is not `a.b.c.d/n`.
    #[error("`{0}` is no subnet: write it like `127.20.0.0/16`")]
    Malformed(String),
    /// It has addresses that are not on the loopback network.
    #[error(
        "`{0}` is not inside 127.0.0.0/8, the only network every address of which is this machine"
    )]
    NotLoopback(String),
    /// Bits after the prefix are set.
    #[error("`{text}` has host bits set: its network is `{network}`")]
    HostBits {
        /// As written.
        text: String,
        /// As it was probably meant.
        network: Subnet,
    },
    /// Nothing remains between its network and its broadcast address.
    #[error("`{0}` is too small: a prefix of at most 30 leaves addresses to hand out")]
    TooSmall(String),
}

/// A network inside 127.0.0.0/8 with at least two addresses to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subnet {
    network: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// Its first address, which is never handed out.
    pub fn network(self) -> Ipv4Addr {
        self.network
    }

    /// Its last address, which is never handed out.
    pub fn broadcast(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !mask(self.prefix))
    }

    /// Whether the address may be handed out. 127.0.0.1 never is: every service without an address of its own has it.
    pub fn offers(self, address: Ipv4Addr) -> bool {
        self.network < address && address < self.broadcast() && address != Ipv4Addr::LOCALHOST
    }

    /// How many addresses can be handed out.
    pub fn capacity(self) -> u32 {
        let between = self.broadcast().to_bits() - self.network.to_bits() - 1;
        between
            - u32::from(
                self.network < Ipv4Addr::LOCALHOST && Ipv4Addr::LOCALHOST < self.broadcast(),
            )
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let (address, prefix) = text
            .split_once('/')
            .and_then(|(address, prefix)| Some((address.parse().ok()?, prefix.parse().ok()?)))
            .filter(|&(_, prefix): &(Ipv4Addr, u8)| prefix <= 32)
            .ok_or_else(|| SubnetError::Malformed(text.into()))?;
        if !address.is_loopback() || prefix < 8 {
            return Err(SubnetError::NotLoopback(text.into()));
        }
        if prefix > 30 {
            return Err(SubnetError::TooSmall(text.into()));
        }
        let network = Self {
            network: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)),
            prefix,
        };
        if network.network == address {
            Ok(network)
        } else {
            Err(SubnetError::HostBits {
                text: text.into(),
                network,
            })
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// The bits of the network part. Prefixes are between 8 and 30 here, so the shift never overflows.
fn mask(prefix: u8) -> u32 {
    u32::MAX << (32 - u32::from(prefix))
}
