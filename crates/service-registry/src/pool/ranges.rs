//! A set of numbers as the ranges that it consists of.
//!
//! Owns: the ranges, and nothing of what the numbers mean. A set costs what its holes cost: a network of 2^64 addresses
//! is one range.
//!
//! Invariant: the ranges neither overlap nor touch.

use std::collections::BTreeMap;

/// Numbers, by the first and the last one of every range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranges(BTreeMap<u128, u128>);

impl Ranges {
    /// From `first` to `last`; nothing when `last` comes first.
    pub(super) fn between(first: u128, last: u128) -> Self {
        let range = (first <= last).then_some((first, last));
        Self(range.into_iter().collect())
    }

    /// The smallest.
    pub(super) fn first(&self) -> Option<u128> {
        self.0.keys().next().copied()
    }

    pub(super) fn contains(&self, number: u128) -> bool {
        self.0
            .range(..=number)
            .next_back()
            .is_some_and(|(_, last)| number <= *last)
    }

    /// How many there are. The set of all 2^128 numbers cannot be counted so, and never occurs.
    pub(super) fn count(&self) -> u128 {
        self.0.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Takes everything from `first` to `last` out.
    pub(super) fn remove(&mut self, first: u128, last: u128) {
        let mut hit: Vec<(u128, u128)> = self.0.range(first..=last).map(pair).collect();
        let before = self.0.range(..first).next_back().map(pair);
        hit.extend(before.filter(|(_, end)| first <= *end));
        for (begin, end) in hit {
            self.0.remove(&begin);
            if begin < first {
                self.0.insert(begin, first - 1);
            }
            if last < end {
                self.0.insert(last + 1, end);
            }
        }
    }

    /// Puts one number in.
    pub(super) fn insert(&mut self, number: u128) {
        if self.contains(number) {
            return;
        }
        let (mut first, mut last) = (number, number);
        let before = self.0.range(..number).next_back().map(pair);
        if let Some((begin, end)) = before
            && end + 1 == number
        {
            first = begin;
        }
        if let Some(next) = number.checked_add(1)
            && let Some(end) = self.0.remove(&next)
        {
            last = end;
        }
        self.0.insert(first, last);
    }
}

fn pair((first, last): (&u128, &u128)) -> (u128, u128) {
    (*first, *last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_plain_set_holds(
            first in 0u128..40, last in 0u128..60,
            acts in proptest::collection::vec((any::<bool>(), 0u128..64, 0u128..8), 0..60),
        ) {
            let mut ranges = Ranges::between(first, last);
            let mut plain: BTreeSet<u128> = (first..=last).collect();
            for (insert, number, length) in acts {
                if insert {
                    ranges.insert(number);
                    plain.insert(number);
                } else {
                    ranges.remove(number, number + length);
                    plain.retain(|held| !(number..=number + length).contains(held));
                }
                let counted = u128::try_from(plain.len()).expect("small");
                prop_assert_eq!(ranges.count(), counted);
                prop_assert_eq!(ranges.first(), plain.first().copied());
                prop_assert!((0..72).all(|n| ranges.contains(n) == plain.contains(&n)));
                let held: Vec<_> = ranges.0.iter().map(pair).collect();
                prop_assert!(held.windows(2).all(|two| two[0].1 + 1 < two[1].0));
            }
        }
    }
}
