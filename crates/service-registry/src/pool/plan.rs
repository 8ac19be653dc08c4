//! What a pool may hand out.
//!
//! Owns: which addresses of a network are nobody's, and whether the network is free of others. Allocates nothing.

use std::net::IpAddr;

use super::ranges::Ranges;
use super::span::Span;
use crate::network::number;
use crate::{HostId, Interface, InterfaceAddress, Network};

/// Why no pool can be made of a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// Nothing remains to hand out; take a larger network, or exclude less.
    #[error(
        "pool `{pool}` has nothing to hand out: {network} is too small, or all of it is excluded"
    )]
    Empty {
        /// The pool.
        pool: String,
        /// Its network.
        network: Network,
    },
    /// The router is not in the network.
    #[error("the router {router} of pool `{pool}` is not in {network}")]
    RouterOutside {
        /// The pool.
        pool: String,
        /// Its router.
        router: IpAddr,
        /// Its network.
        network: Network,
    },
    /// An exclusion excludes nothing, and was probably meant otherwise.
    #[error("pool `{pool}` excludes {excluded}, of which nothing is in {network}")]
    ExclusionOutside {
        /// The pool.
        pool: String,
        /// What is excluded.
        excluded: Span,
        /// Its network.
        network: Network,
    },
}

/// A pool's network is in use by something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{network} of pool `{pool}` overlaps {found} of interface {interface} on {host}: choose a network that no host has"
)]
pub struct Collision {
    /// The pool.
    pub pool: String,
    /// Its network.
    pub network: Network,
    /// Whose interface.
    pub host: HostId,
    /// Which of its interfaces.
    pub interface: String,
    /// The network of that interface.
    pub found: Network,
}

/// A network, and what of it is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolPlan {
    /// What it is called in errors; mostly the network's name in the stack file.
    pub name: String,
    /// Where the addresses come from.
    pub network: Network,
    /// The address of its router, which is never handed out.
    pub router: Option<IpAddr>,
    /// What is never handed out beside that.
    pub excluded: Vec<Span>,
}

impl PoolPlan {
    /// All of a network that nobody has by rule.
    pub fn new(name: impl Into<String>, network: Network) -> Self {
        Self {
            name: name.into(),
            network,
            router: None,
            excluded: Vec::new(),
        }
    }

    /// Whether any interface of a host is in this network already. Interfaces that were made for this very pool are for
    /// the caller to leave out.
    ///
    /// # Errors
    /// [`Collision`], with the first interface that is.
    pub fn check<'a>(
        &self,
        host: &HostId,
        interfaces: impl IntoIterator<Item = &'a Interface>,
    ) -> Result<(), Collision> {
        let found = interfaces.into_iter().find_map(|interface| {
            let mut networks = interface.addresses.iter().map(InterfaceAddress::network);
            let hit = networks.find(|found| found.overlaps(self.network));
            hit.map(|found| (interface.name.clone(), found))
        });
        match found {
            None => Ok(()),
            Some((interface, found)) => Err(Collision {
                pool: self.name.clone(),
                network: self.network,
                host: host.clone(),
                interface,
                found,
            }),
        }
    }

    /// Whether the address may be handed out.
    pub fn offers(&self, address: IpAddr) -> bool {
        self.network.contains(address)
            && address != self.network.first()
            && !(address.is_ipv4() && address == self.network.last())
            && self.router != Some(address)
            && !self.excluded.iter().any(|span| {
                span.first().is_ipv4() == address.is_ipv4()
                    && span.first() <= address
                    && address <= span.last()
            })
    }

    /// Everything that may be handed out.
    pub(super) fn offered(&self) -> Result<Ranges, PlanError> {
        self.validate()?;
        let network = self.network;
        // The first is the network itself, and in IPv6 whichever router there is; the last, in IPv4, everybody.
        let is_v4 = network.first().is_ipv4();
        let smallest = if is_v4 { 2 } else { 1 };
        let empty = || PlanError::Empty {
            pool: self.name.clone(),
            network,
        };
        if network.host_bits() < smallest {
            return Err(empty());
        }
        let last = number(network.last()) - u128::from(is_v4);
        let mut offered = Ranges::between(number(network.first()) + 1, last);
        let excluded = self.excluded.iter().copied();
        for span in excluded.chain(self.router.map(Span::from)) {
            let (first, last) = span.numbers();
            offered.remove(first, last);
        }
        if offered.first().is_none() {
            return Err(empty());
        }
        Ok(offered)
    }

    fn validate(&self) -> Result<(), PlanError> {
        if let Some(router) = self.router
            && !self.network.contains(router)
        {
            return Err(PlanError::RouterOutside {
                pool: self.name.clone(),
                router,
                network: self.network,
            });
        }
        match self
            .excluded
            .iter()
            .find(|span| !span.touches(self.network))
        {
            None => Ok(()),
            Some(excluded) => Err(PlanError::ExclusionOutside {
                pool: self.name.clone(),
                excluded: *excluded,
                network: self.network,
            }),
        }
    }
}
