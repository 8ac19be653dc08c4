//! The numbered, checksummed lines of `fixture lines`, and the check that every one arrived exactly once.
//!
//! Owns: the line format, for the fixture that writes and the tests that read. A line is
//! `<number, 9 digits> <stream> <checksum of both, 16 hex digits>`.

use std::fmt;

/// Line `number` (counted from 0) as the fixture writes it to `stream`, without the newline.
pub fn line(stream: &str, number: u64) -> String {
    let text = format!("{number:09} {stream}");
    let checksum = fnv1a(text.as_bytes());
    format!("{text} {checksum:016x}")
}

/// Checks that `output` is exactly the lines `0..count` of `stream`, in order, each with its newline.
///
/// # Errors
/// [`LineFault`] names the first line that is lost, doubled, damaged or too much.
pub fn check_lines(output: &[u8], stream: &str, count: u64) -> Result<(), LineFault> {
    let mut rest = output;
    for number in 0..count {
        let mut expected = line(stream, number).into_bytes();
        expected.push(b'\n');
        match rest.strip_prefix(expected.as_slice()) {
            Some(after) => rest = after,
            None => return Err(LineFault::at(number, &expected, rest)),
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(LineFault::at(count, b"", rest))
    }
}

/// Byte `index` of what `fixture flood` writes: printable, and different enough that a shift is seen.
pub fn flood_byte(index: u64, newlines: bool, invalid_utf8: bool) -> u8 {
    match index % 80 {
        79 if newlines => b'\n',
        40 if invalid_utf8 => 0xff,
        column => b'!' + ((index / 80 + column) % 94) as u8,
    }
}

/// Where the output first differs from the lines that were written.
#[derive(Debug, PartialEq, Eq)]
pub struct LineFault {
    number: u64,
    expected: String,
    found: String,
}

impl LineFault {
    fn at(number: u64, expected: &[u8], rest: &[u8]) -> Self {
        let show =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).into_owned();
        Self {
            number,
            expected: show(expected),
            found: show(rest),
        }
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: expected {:?}, found {:?}",
            self.number, self.expected, self.found
        )
    }
}

impl std::error::Error for LineFault {}

/// FNV-1a, 64 bit: enough to notice damage, and a few lines instead of a dependency.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(numbers: impl IntoIterator<Item = u64>) -> Vec<u8> {
        numbers
            .into_iter()
            .flat_map(|n| (line("stdout", n) + "\n").into_bytes())
            .collect()
    }

    #[test]
    fn complete_output_passes() {
        assert_eq!(check_lines(&written(0..100), "stdout", 100), Ok(()));
    }

    #[test]
    fn a_lost_a_doubled_a_damaged_and_an_extra_line_are_each_found() {
        for (output, number) in [
            (written([0, 1, 3]), 2),
            (written([0, 1, 1, 2]), 2),
            (
                written(0..3)
                    .iter()
                    .map(|b| if *b == b'2' { b'7' } else { *b })
                    .collect(),
                2,
            ),
            (written(0..4), 3),
        ] {
            let fault = check_lines(&output, "stdout", 3).expect_err("the fault is found");
            assert_eq!(fault.number, number, "{fault}");
        }
    }

    #[test]
    fn lines_of_the_other_stream_are_refused() {
        assert!(check_lines(&written(0..1), "stderr", 1).is_err());
    }
}
