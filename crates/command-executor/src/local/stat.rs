//! What `/proc/PID/stat` says of a process beyond who it is.

use std::fs;
use std::io;

/// Whether the process exists and is not merely waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    Stat::read(pid).is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

/// Whether the process is alive and belongs to this process group.
pub(crate) fn lives_in_group(pid: u32, group: u32) -> bool {
    Stat::read(pid).is_ok_and(|stat| stat.group == group && !matches!(stat.state, 'Z' | 'X'))
}

/// What this crate reads of `/proc/PID/stat`.
struct Stat {
    state: char,
    group: u32,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat"))?;
        Self::parse(&stat).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// The name, the second field, may itself hold spaces and parentheses: only the last one closes it.
    fn parse(stat: &[u8]) -> Option<Self> {
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        let mut fields = std::str::from_utf8(&stat[name_end + 1..])
            .ok()?
            .split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        // The state is field 3, the group field 5.
        let group = fields.nth(1)?.parse().ok()?;
        Some(Self { state, group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = b"42 (a) b (c) S 1 41 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 123 4\n";
        let parsed = Stat::parse(stat).expect("a well-formed line");
        assert_eq!((parsed.state, parsed.group), ('S', 41));
    }
}
