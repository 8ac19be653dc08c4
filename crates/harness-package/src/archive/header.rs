//! Headers of a tar: the one form that packages use.
//!
//! Owns: the fields of a ustar header, and the records of an extended (PAX) one. Numbers are octal, names are as they stand.
//! Reading is as narrow as writing: what another program might read in another way is refused here, not guessed at.

use super::refusal::Refusal;

pub(super) const BLOCK: usize = 512;

/// The longest name that is put into the header itself; longer ones go into an extended header.
const NAME: usize = 100;

/// A header as read, before anything of it is judged.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) target: Vec<u8>,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) kind: u8,
}

pub(super) const FILE: u8 = b'0';
pub(super) const LINK: u8 = b'2';
pub(super) const EXTENDED: u8 = b'x';

/// What an extended header says of the entry after it.
#[derive(Debug, Default)]
pub(super) struct Extended {
    pub(super) path: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) is_sparse: bool,
}

impl Header {
    /// Reads one block.
    pub(super) fn read(block: &[u8; BLOCK], index: usize) -> Result<Self, Refusal> {
        let bad = |what| Refusal::BadHeader { index, what };
        let sum = number(&block[148..156]).ok_or_else(|| bad("its checksum is no number"))?;
        if sum != u64::from(checksum(block)) {
            return Err(bad("its checksum is wrong"));
        }
        if &block[257..265] != b"ustar\x0000" {
            return Err(bad("it is not a ustar header"));
        }
        let mode = number(&block[100..108]).ok_or_else(|| bad("its mode is no number"))?;
        let mode = u32::try_from(mode).map_err(|_| bad("its mode is no number"))?;
        let mut path = name(&block[345..500]);
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(name(&block[..NAME]));
        Ok(Self {
            path,
            target: name(&block[157..257]),
            mode,
            size: number(&block[124..136]).ok_or_else(|| bad("its size is no number"))?,
            kind: block[156],
        })
    }

    /// Lays what an extended header said over this one.
    pub(super) fn extend(&mut self, extended: Extended, index: usize) -> Result<(), Refusal> {
        if extended.size.is_some_and(|size| size != self.size) {
            return Err(Refusal::SizesDisagree { index });
        }
        if let Some(path) = extended.path {
            self.path = path;
        }
        if let Some(target) = extended.target {
            self.target = target;
        }
        Ok(())
    }
}

impl Extended {
    /// Reads records `LENGTH KEY=VALUE\n`, where the length counts the whole record.
    pub(super) fn read(mut bytes: &[u8], index: usize) -> Result<Self, Refusal> {
        let mut extended = Self::default();
        while !bytes.is_empty() {
            let bad = |what| Refusal::BadHeader { index, what };
            let form = || bad("a record of the extended header has no valid form");
            let (key, value, rest) = record(bytes).ok_or_else(form)?;
            bytes = rest;
            let twice = match key {
                b"path" => extended.path.replace(value.to_vec()).is_some(),
                b"linkpath" => extended.target.replace(value.to_vec()).is_some(),
                b"size" => {
                    let size = decimal(value).ok_or_else(form)?;
                    extended.size.replace(size).is_some()
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    extended.is_sparse = true;
                    false
                }
                _ => return Err(bad("an unknown key in the extended header")),
            };
            if twice {
                return Err(bad("a key stands twice in the extended header"));
            }
        }
        Ok(extended)
    }
}

/// The blocks before the bytes of an entry.
pub(super) fn write(path: &str, target: &str, mode: u32, size: u64, kind: u8) -> Vec<u8> {
    let mut records = Vec::new();
    for (key, value) in [("path", path), ("linkpath", target)] {
        if value.len() > NAME {
            records.extend(written_record(key, value));
        }
    }
    let mut blocks = Vec::new();
    if !records.is_empty() {
        blocks.extend(block("extended", "", 0o644, records.len() as u64, EXTENDED));
        blocks.extend(&records);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
    }
    blocks.extend(block(path, target, mode, size, kind));
    blocks
}

fn block(path: &str, target: &str, mode: u32, size: u64, kind: u8) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, short(path));
    put(100, format!("{mode:07o}").as_bytes());
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, format!("{size:011o}").as_bytes());
    put(136, b"00000000000");
    put(156, &[kind]);
    put(157, short(target));
    put(257, b"ustar\x0000");
    put(329, b"0000000");
    put(337, b"0000000");
    let sum = checksum(&block);
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// As much as the header itself can hold.
fn short(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(NAME)]
}

fn written_record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    // The length counts its own digits, so it may take another digit to say so.
    let mut length = rest.len();
    while length != length.to_string().len() + rest.len() {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}").into_bytes()
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    if length > bytes.len() || length < space + 2 {
        return None;
    }
    let (record, rest) = bytes.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let text = str::from_utf8(digits).ok()?;
    // `parse` would take a sign too.
    let is_plain = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// Octal digits with zeros before, and spaces or zero bytes after.
fn number(field: &[u8]) -> Option<u64> {
    let digits = field
        .iter()
        .position(|byte| matches!(byte, b' ' | 0))
        .unwrap_or(field.len());
    if digits == 0 || field[digits..].iter().any(|byte| !matches!(byte, b' ' | 0)) {
        return None;
    }
    field[..digits].iter().try_fold(0_u64, |sum, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        Some(sum * 8 + u64::from(digit))
    })
}

/// A name without the zeros that fill its field; zeros within it stay, and are refused with the path.
fn name(field: &[u8]) -> Vec<u8> {
    let end = field.iter().rposition(|byte| *byte != 0);
    field[..end.map_or(0, |last| last + 1)].to_vec()
}

/// The sum of all bytes, those of the sum itself counted as spaces.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    let own: u32 = block[148..156].iter().map(|byte| u32::from(*byte)).sum();
    sum - own + 8 * u32::from(b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_the_digits_of_its_own_length() {
        for length in 1..2000 {
            let value = "v".repeat(length);
            let bytes = written_record("path", &value);
            let (key, read, rest) = record(&bytes).unwrap();
            assert_eq!(
                (key, read, rest),
                (&b"path"[..], value.as_bytes(), &b""[..])
            );
        }
    }

    #[test]
    fn numbers_in_the_other_notation_of_gnu_are_none() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x01"), None);
        assert_eq!(number(b"-000644\0"), None);
        assert_eq!(number(b"00 0644\0"), None);
    }
}
