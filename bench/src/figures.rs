//! Figures of one workload by one contender.

use std::time::{Duration, Instant};

/// What was measured, several times.
#[derive(Clone, Debug, Default)]
pub struct Figures(Vec<f64>);

impl Figures {
    /// No figure yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One figure.
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// One duration, in milliseconds.
    pub fn add_duration(&mut self, duration: Duration) {
        self.add(duration.as_secs_f64() * 1e3);
    }

    /// The middle one, of an even number the lower.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The smallest figure that this share of them does not exceed.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() as f64 * share).ceil() as usize;
        sorted
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// How many times as much each is as the one of the same round in `other`.
    #[must_use]
    pub fn ratio_to(&self, other: &Self) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(own, other)| own / other).collect())
    }

    /// All of them, as they came.
    #[must_use]
    pub fn all(&self) -> &[f64] {
        &self.0
    }
}

impl From<f64> for Figures {
    fn from(value: f64) -> Self {
        Self(vec![value])
    }
}

/// How long `work` took, with what it returned.
///
/// # Errors
/// Its own.
pub fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, Duration), E> {
    let begin = Instant::now();
    let done = work()?;
    Ok((done, begin.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_figures_that_were_measured() {
        let mut figures = Figures::new();
        for value in [4.0, 1.0, 3.0, 2.0] {
            figures.add(value);
        }
        assert_eq!(figures.median(), 2.0);
        assert_eq!(figures.quantile(0.99), 4.0);
        assert!(Figures::new().median().is_nan());
    }
}
