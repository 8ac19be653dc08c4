//! Random numbers that can be had again.
//!
//! Owns: a small generator (xorshift64*). Good enough to choose among points and operations, and nothing else.

use std::collections::BTreeMap;

/// A stream of numbers that its seed determines.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero; neighbouring seeds shall not give neighbouring streams.
        Self((seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1)
    }

    /// A number below `limit`, which is at least one.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        usize::try_from(mixed).unwrap_or(0) % limit
    }

    /// One of these.
    pub(crate) fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// At most so many of these, one of each group in turn, so that a large group does not crowd out the small ones.
    pub(crate) fn fairly<T: Clone, K: Ord>(
        &mut self,
        all: &[T],
        most: usize,
        group: impl Fn(&T) -> K,
    ) -> Vec<T> {
        let mut groups: BTreeMap<K, Vec<T>> = BTreeMap::new();
        for one in all {
            groups.entry(group(one)).or_default().push(one.clone());
        }
        let mut groups: Vec<Vec<T>> = groups.into_values().collect();
        let mut chosen = Vec::new();
        while !groups.is_empty() && chosen.len() < most {
            // Another order of the groups in every round.
            let mut round: Vec<usize> = (0..groups.len()).collect();
            while !round.is_empty() && chosen.len() < most {
                let group = round.swap_remove(self.below(round.len()));
                let at = self.below(groups[group].len());
                chosen.push(groups[group].swap_remove(at));
            }
            groups.retain(|group| !group.is_empty());
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_stream() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (0..8).map(|_| chance.below(100)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn over_the_seeds_every_point_has_its_turn_and_small_groups_are_not_crowded_out() {
        let all: Vec<u32> = (0..23).collect();
        let group = |number: &u32| *number < 2;
        let mut seen: Vec<u32> = Vec::new();
        for seed in 0..200 {
            let chosen = Chance::new(seed).fairly(&all, 5, group);
            assert_eq!(chosen.len(), 5);
            assert_eq!(chosen.iter().filter(|number| group(number)).count(), 2);
            seen.extend(chosen);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, all);
        let mut everything = Chance::new(1).fairly(&all, 100, group);
        everything.sort_unstable();
        assert_eq!(everything, all);
    }
}
