//! The engine's clock, as numbers.
//!
//! Owns: reading RFC 3339 with nanoseconds, and writing what `since` takes. Never asks what time it is.

/// Nanoseconds since 1970, and how many bytes the time at the start of `text` takes.
///
/// `None` for what is no time, and for times before 1970: the engine writes the year 1 where there is none.
pub(crate) fn leading(text: &[u8]) -> Option<(u64, usize)> {
    let number = |from: usize, to: usize| -> Option<i64> {
        text.get(from..to)?.iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit()
                .then(|| number * 10 + i64::from(byte - b'0'))
        })
    };
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    let punctuated = is(4, b'-') && is(7, b'-') && is(13, b':') && is(16, b':');
    if !punctuated || !(is(10, b'T') || is(10, b't')) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !in_range || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanos = 0;
    if is(at, b'.') {
        let digits = text[at + 1..].iter().take_while(|b| b.is_ascii_digit());
        let digits = digits.count();
        if digits == 0 || digits > 9 {
            return None;
        }
        nanos = number(at + 1, at + 1 + digits)? * 10_i64.pow(9 - u32::try_from(digits).ok()?);
        at += 1 + digits;
    }
    let offset = match text.get(at)? {
        b'Z' | b'z' => {
            at += 1;
            0
        }
        sign @ (b'+' | b'-') if is(at + 3, b':') => {
            let ahead = number(at + 1, at + 3)? * 3600 + number(at + 4, at + 6)? * 60;
            at += 6;
            if *sign == b'+' { ahead } else { -ahead }
        }
        _ => return None,
    };
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let total = (seconds - offset)
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)?;
    Some((u64::try_from(total).ok()?, at))
}

/// As [`leading`], for a text that is a time and nothing else.
pub(crate) fn whole(text: &str) -> Option<u64> {
    leading(text.as_bytes()).and_then(|(time, length)| (length == text.len()).then_some(time))
}

/// What the engine takes as a point in time.
pub(crate) fn as_query(time_ns: u64) -> String {
    format!("{}.{:09}", time_ns / 1_000_000_000, time_ns % 1_000_000_000)
}

/// Days of the Gregorian calendar, counted in eras of 400 years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_engine_are_read() {
        let read = |text| whole(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(read("1970-01-01T00:00:00Z"), 0);
        assert_eq!(
            read("2001-09-09T01:46:40.000000007Z"),
            1_000_000_000_000_000_007
        );
        assert_eq!(
            read("2024-02-29T12:00:00.5+02:00"),
            1_709_200_800_500_000_000
        );
        assert_eq!(read("2000-03-01T00:00:00-00:30"), 951_870_600_000_000_000);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "0001-01-01T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00Zx",
            "2024-01-01T00:00:00.1234567890Z",
            "9999-99-99T99:99:99Z",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_is_written_as_seconds_and_nanoseconds() {
        assert_eq!(as_query(1_000_000_007), "1.000000007");
    }
}
