//! Taking over the addresses that were handed out before a restart.
//!
//! Owns: what must hold of them. Nothing is taken over unless all of it can be.

use super::allocation::{Allocation, Standing};
use super::plan::{PlanError, PoolPlan};
use super::state::Pool;
use crate::Network;

/// Why kept addresses are not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolRestoreError {
    /// There is no such pool.
    #[error("the pool cannot be made")]
    Plan(#[from] PlanError),
    /// The pool has changed, and addresses that are held are not its own any more. Release them (their holders have to
    /// be started anew), or change the pool back.
    #[error(
        "pool `{pool}` ({network}) does not hand out {} any more, which {} holds; so it is with {} others",
        first.address, first.holder, others.len()
    )]
    Unfit {
        /// The pool.
        pool: String,
        /// Its network.
        network: Network,
        /// The first that does not fit.
        first: Box<Allocation>,
        /// All the others.
        others: Vec<Allocation>,
    },
    /// Two hold one address, or one holds two.
    #[error("{} of {} is kept twice in pool `{pool}`", allocation.address, allocation.holder)]
    Twice {
        /// The pool.
        pool: String,
        /// The second of the two.
        allocation: Box<Allocation>,
    },
}

impl Pool {
    /// The pool whose [`Pool::allocations`] these are, with the plan as it is now. Of those that were released, what does
    /// not fit any more is forgotten.
    ///
    /// # Errors
    /// [`PoolRestoreError`]; nothing is taken over then.
    pub fn restore(plan: PoolPlan, kept: &[Allocation]) -> Result<Self, PoolRestoreError> {
        let mut pool = Self::new(plan)?;
        let of = |standing| {
            let numbered = (1..).zip(kept);
            numbered.filter(move |(_, kept)| kept.standing == standing)
        };
        let mut misfits = of(Standing::Held).filter(|(_, kept)| !pool.plan().offers(kept.address));
        if let Some((_, first)) = misfits.next() {
            return Err(PoolRestoreError::Unfit {
                pool: pool.plan().name.clone(),
                network: pool.plan().network,
                first: Box::new(first.clone()),
                others: misfits.map(|(_, kept)| kept.clone()).collect(),
            });
        }
        for (at, held) in of(Standing::Held) {
            if !pool.restore_held(&held.holder, held.address, at) {
                return Err(PoolRestoreError::Twice {
                    pool: pool.plan().name.clone(),
                    allocation: Box::new(held.clone()),
                });
            }
        }
        for (at, released) in of(Standing::Released) {
            if pool.plan().offers(released.address) {
                pool.restore_released(&released.holder, released.address, at);
            }
        }
        Ok(pool)
    }
}
