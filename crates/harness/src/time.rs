//! Durations and moments as people write them.
//!
//! Owns: their syntax on the command line. The clock is read here and in the render module only.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration: write it as 10s, 1m30s, 500ms or 2h (a bare number is seconds)")]
pub(crate) struct DurationError {
    text: String,
}

/// Why a text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no moment: write it as 10m (ago) or 2026-01-31T12:00:00Z")]
pub(crate) struct MomentError {
    text: String,
}

/// A duration: `10s`, `1m30s`, `500ms`, `1.5`.
///
/// # Errors
/// [`DurationError`] for anything else.
pub(crate) fn duration(text: &str) -> Result<Duration, DurationError> {
    parse(text.trim()).ok_or_else(|| DurationError {
        text: text.to_owned(),
    })
}

/// A duration as the daemon takes it; one that is too long is the longest.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A moment: a duration ago, or a time with its zone.
///
/// # Errors
/// [`MomentError`] for anything else.
pub(crate) fn moment(text: &str) -> Result<DateTime<Utc>, MomentError> {
    let wrong = || MomentError {
        text: text.to_owned(),
    };
    if let Ok(ago) = duration(text) {
        let ago = TimeDelta::from_std(ago).map_err(|_| wrong())?;
        return Utc::now().checked_sub_signed(ago).ok_or_else(wrong);
    }
    DateTime::parse_from_rfc3339(text)
        .map(Into::into)
        .map_err(|_| wrong())
}

fn parse(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let milliseconds = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("10s"), Ok(10_000));
        assert_eq!(milliseconds("1m30s"), Ok(90_000));
        assert_eq!(milliseconds("500ms"), Ok(500));
        assert_eq!(milliseconds("1.5"), Ok(1_500));
        assert_eq!(milliseconds("2h"), Ok(7_200_000));
        assert_eq!(milliseconds("0"), Ok(0));
        for text in [
            "",
            "s",
            "10x",
            "-1",
            "1m30",
            "NaN",
            "1e400",
            "99999999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let fixed = moment("2026-01-31T12:00:00+01:00").expect("a time");
        assert_eq!(fixed.to_rfc3339(), "2026-01-31T11:00:00+00:00");
        let ago = Utc::now() - moment("10m").expect("an age");
        assert!((ago - TimeDelta::minutes(10)).num_seconds().abs() < 5);
        assert!(moment("yesterday").is_err());
    }
}
