//! What the record keeps, and what of tampering shows.

use std::time::SystemTime;

use super::super::reading::{read, verify};
use super::*;
use crate::protocol::{AuditReadParams, AuditVerified};

fn entry(unit: &str) -> Entry {
    Entry {
        client: "ci".to_owned(),
        method: "stack.stop",
        stack: Some("web".to_owned()),
        units: vec![unit.to_owned()],
        outcome: "ok".to_owned(),
        ..Entry::default()
    }
}

fn open(state: &Path, max_bytes: u64) -> Audit {
    let clock = WallClock::new(|| SystemTime::UNIX_EPOCH);
    Audit::with_size(state, clock, max_bytes).expect("opened")
}

fn filled(state: &Path, count: usize) -> PathBuf {
    let audit = open(state, MAX_BYTES);
    (0..count).for_each(|number| audit.append(entry(&format!("u{number}")), Durability::Soon));
    audit_directory(state).join(CURRENT)
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<String>)) -> AuditVerified {
    let text = std::fs::read_to_string(path).expect("read");
    let mut lines = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).expect("written");
    let state = path
        .parent()
        .and_then(Path::parent)
        .expect("a state directory");
    verify(state).expect("readable")
}

#[test]
fn a_record_goes_on_behind_its_last_line_and_is_intact() {
    let state = testkit::temp_dir();
    filled(state.path(), 3);
    let file = filled(state.path(), 2);
    let verified = verify(state.path()).expect("readable");
    assert!(verified.intact && !verified.torn_at_end, "{verified:?}");
    assert_eq!((verified.records, verified.head_seq), (5, 5));
    for private in [file, audit_directory(state.path()).join(HEAD)] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(private)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn every_kind_of_tampering_shows() {
    type Tamper = fn(&mut Vec<String>);
    let kinds: [(&str, Tamper); 6] = [
        ("changed", |lines| lines[1] = lines[1].replace("u1", "u9")),
        ("removed", |lines| drop(lines.remove(1))),
        ("swapped", |lines| lines.swap(1, 2)),
        ("doubled", |lines| lines.insert(1, lines[1].clone())),
        ("cut off at the end", |lines| drop(lines.pop())),
        ("emptied", Vec::clear),
    ];
    for (kind, tamper) in kinds {
        let state = testkit::temp_dir();
        let file = filled(state.path(), 4);
        let verified = change(&file, tamper);
        assert!(!verified.intact && !verified.problems.is_empty(), "{kind}");
    }
}

#[test]
fn a_line_with_a_new_hash_breaks_the_chain() {
    let state = testkit::temp_dir();
    let file = filled(state.path(), 3);
    let verified = change(&file, |lines| {
        let mut record = AuditRecord::parse(&lines[1]).expect("a record");
        record.units = vec!["innocent".to_owned()];
        record.hash.clear();
        lines[1] = record.line().0.trim_end().to_owned();
    });
    assert!(
        verified.problems[0].contains("does not follow"),
        "{verified:?}"
    );
}

#[test]
fn a_line_cut_by_a_crash_is_told_from_a_changed_one() {
    let state = testkit::temp_dir();
    let file = filled(state.path(), 2);
    let mut torn = OpenOptions::new().append(true).open(&file).expect("opened");
    torn.write_all(br#"{"seq":3,"time":"#).expect("written");
    let verified = verify(state.path()).expect("readable");
    assert!(verified.intact && verified.torn_at_end, "{verified:?}");
    filled(state.path(), 1);
    let verified = verify(state.path()).expect("readable");
    assert!(verified.intact && !verified.torn_at_end, "{verified:?}");
    assert_eq!(verified.records, 3);
}

#[test]
fn old_files_go_and_the_chain_holds_across_the_rest() {
    let state = testkit::temp_dir();
    let audit = open(state.path(), 600);
    (0..40).for_each(|number| audit.append(entry(&format!("u{number}")), Durability::Now));
    let kept = archives(&audit_directory(state.path())).expect("listed");
    assert_eq!(kept.len(), MAX_ARCHIVES);
    let verified = verify(state.path()).expect("readable");
    assert!(verified.intact, "{verified:?}");
    assert!(verified.first > Some(1) && verified.head_seq == 40);
    drop(audit);
    open(state.path(), 600).append(entry("next"), Durability::Soon);
    assert!(verify(state.path()).expect("readable").intact);
}

#[test]
fn pages_come_from_either_end() {
    let state = testkit::temp_dir();
    let audit = open(state.path(), 600);
    (0..10).for_each(|number| audit.append(entry(&format!("u{number}")), Durability::Soon));
    let seqs = |params: AuditReadParams| -> (Vec<u64>, bool) {
        let page = read(state.path(), &params).expect("readable");
        (
            page.items.iter().map(|record| record.seq).collect(),
            page.more,
        )
    };
    let limited = AuditReadParams {
        limit: Some(3),
        ..AuditReadParams::default()
    };
    assert_eq!(seqs(limited.clone()), (vec![1, 2, 3], true));
    let next = AuditReadParams {
        after: Some(8),
        ..limited.clone()
    };
    assert_eq!(seqs(next), (vec![9, 10], false));
    let last = AuditReadParams {
        last: true,
        ..limited
    };
    assert_eq!(seqs(last), (vec![8, 9, 10], true));
}

#[test]
fn lines_that_could_not_be_written_are_counted() {
    let state = testkit::temp_dir();
    let audit = open(state.path(), MAX_BYTES);
    audit.append(entry("one"), Durability::Soon);
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("there");
    let file = std::mem::replace(&mut audit.writer().file, full);
    audit.append(entry("two"), Durability::Soon);
    audit.append(entry("three"), Durability::Soon);
    audit.writer().file = file;
    audit.append(entry("four"), Durability::Soon);
    let verified = verify(state.path()).expect("readable");
    assert!(verified.intact && verified.missing == 2, "{verified:?}");
}
