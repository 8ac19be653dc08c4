//! How known scalars are read: durations, sizes, ports, signals and the like.
//!
//! Owns: the texts that each takes, and the JSON Schema of each. A format's reader answers an error fragment that says
//! what was expected.

use std::time::Duration;

use crate::report::Code;

/// A kind of scalar.
#[derive(Debug)]
pub(crate) struct Format {
    /// What it is, for messages: `a duration`.
    pub(crate) what: &'static str,
    /// What is wrong with a text, or that nothing is.
    pub(crate) check: fn(&str) -> Result<(), String>,
    /// What an error of it is called.
    pub(crate) code: Code,
    /// Its JSON Schema.
    pub(crate) schema: &'static str,
}

/// Seconds (`5`, `0.5`) or text with units (`500ms`, `2s`, `1m30s`).
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const EXPECTED: &str =
        "expected seconds (`5`, `0.5`) or a duration such as `500ms`, `2s`, `1m30s`";
    // A century: far beyond any use, far below what clocks can add.
    const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    let duration = if is_number {
        let seconds: f64 = text.parse().map_err(|_| EXPECTED.to_owned())?;
        Duration::try_from_secs_f64(seconds).map_err(|_| EXPECTED.to_owned())?
    } else {
        humantime::parse_duration(text).map_err(|_| EXPECTED.to_owned())?
    };
    if duration > LONGEST {
        return Err("expected a duration below a hundred years".into());
    }
    Ok(duration)
}

/// Bytes (`1048576`) or text with a unit (`10MiB`, `10m`, `1g`); units count in powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    const EXPECTED: &str = "expected a size such as `1048576`, `512KiB`, `10MiB` or `1g`";
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[digits.len()..].trim().to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(EXPECTED.into()),
    };
    let count: u64 = digits.parse().map_err(|_| EXPECTED.to_owned())?;
    count
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes <= 1 << 50)
        .ok_or_else(|| EXPECTED.into())
}

/// Whole numbers within bounds.
pub(crate) fn whole(text: &str, least: u64, most: u64) -> Result<(), String> {
    match text.parse::<u64>() {
        Ok(n) if (least..=most).contains(&n) && !text.starts_with('+') => Ok(()),
        _ if most >= u64::from(u32::MAX) => Err(format!("expected a whole number from {least} up")),
        _ => Err(format!("expected a whole number from {least} to {most}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_text() {
        for (text, millis) in [
            ("5", 5000),
            ("0.5", 500),
            ("500ms", 500),
            ("2s", 2000),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "-1",
            "x",
            "5 parsecs",
            "1e400",
            "inf",
            "nan",
            "99999999999999999999",
            "1.2.3",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_count_in_powers_of_1024() {
        for (text, bytes) in [
            ("0", 0),
            ("10", 10),
            ("10MiB", 10 << 20),
            ("1g", 1 << 30),
            ("4 KB", 4096),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "m", "-1", "1x", "1.5m", "99999999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
