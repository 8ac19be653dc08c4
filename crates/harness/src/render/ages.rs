//! Durations and ages for people.
//!
//! Owns: how exact they are: the shorter, the more.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// `28ms`, `0.3s`, `12.4s`, `3m12s`, `2h14m`, `5d3h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration.as_millis() < 100 => format!("{}ms", duration.as_millis()),
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// The time from one moment to another; zero when they are the other way round, as clocks of two machines may be.
pub(crate) fn since(from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    (to - from).to_std().unwrap_or(Duration::ZERO)
}

/// [`duration`] without what a table has no room for: `12s`, `3m`, `2h`, `5d`.
pub(crate) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_times_are_told_less_exactly() {
        let long = |seconds| duration(Duration::from_secs_f64(seconds));
        assert_eq!(
            [long(0.028), long(0.31), long(59.9), long(192.0)],
            ["28ms", "0.3s", "59.9s", "3m12s"]
        );
        assert_eq!([long(8_040.0), long(442_800.0)], ["2h14m", "5d3h"]);
        assert_eq!(short(Duration::from_secs(7_300)), "2h");
    }
}
