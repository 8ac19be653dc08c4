//! Log segments: whatever lies in their files, a reader comes to an end, hands out no more than is there, and finds its
//! way back by its own cursor.
//!
//! The first byte says where to begin, the next eight a number for that, the next two how long the index is; what follows
//! the index is the output.

use std::fs;
use std::path::Path;

use service_shim::log::{Cursor, Entry, LogReader};

use service_shim::log::Start;

pub(crate) fn run(data: &[u8]) {
    let Some((head, rest)) = data.split_at_checked(11) else {
        return;
    };
    let number = u64::from_le_bytes(head[1..9].try_into().expect("eight bytes"));
    let length = usize::from(u16::from_le_bytes([head[9], head[10]])).min(rest.len());
    let (index, output) = rest.split_at(length);
    let start = match head[0] % 7 {
        0 => Start::Oldest,
        1 => Start::End,
        2 => Start::Attempt(number),
        3 => Start::Time(number),
        4 => Start::LastRecords(number),
        5 => Start::LastLines(number),
        _ => Start::Cursor(Cursor {
            segment: number & 3,
            record: number >> 2,
            delivered: [Some(number), None],
        }),
    };
    let directory = tempfile::tempdir_in(ground()).expect("room in memory");
    let write = |name: &str, bytes: &[u8]| {
        fs::write(directory.path().join(name), bytes).expect("room in memory");
    };
    write("000001.idx", index);
    write("000001.out", output);
    write("000001.err", output);
    read(directory.path(), start, index.len());
}

fn read(directory: &Path, start: Start, index_bytes: usize) {
    let Ok(mut reader) = LogReader::open(directory, start) else {
        return;
    };
    // A record hands out a piece and says what is missing of it; a service that writes itself needs no records.
    let most = 3 * (index_bytes / 16) + 64;
    let mut handed_out = 0;
    let mut middle = None;
    for count in 0.. {
        assert!(count <= most, "the reader does not come to an end");
        match reader.next_entry() {
            Ok(Some(Entry::Data { bytes, .. })) => handed_out += bytes.len(),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
        if count == 1 {
            middle = Some(reader.cursor());
        }
    }
    assert!(handed_out <= most * (256 << 10));
    if let Some(cursor) = middle {
        let again = LogReader::open(directory, Start::Cursor(cursor));
        if let Ok(mut again) = again {
            drop(again.next_entry());
        }
    }
}

/// In memory where that is to be had: a file system on a disk would be most of what is measured.
fn ground() -> &'static Path {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        memory
    } else {
        Path::new("/tmp")
    }
}
