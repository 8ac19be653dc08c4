//! What earlier versions have kept still loads, and what this version keeps has the form of its samples.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::disk::{self, FORMAT};
use super::key;
use super::seal::Of;
use super::{DiskStore, StackRecord, Store, UnitRecord};
use crate::report::Event;

#[test]
fn every_sample_loads() {
    for sample in testkit::samples() {
        let home = testkit::temp_dir();
        sample.copy_home(home.path());
        let store = DiskStore::open(&home.path().join("state")).expect("opens");
        let kept = store.load().expect("loads");
        assert_eq!(kept.stacks.len(), 1);
        assert_eq!(kept.units.len(), kept.stacks[0].spec.units.len());
        assert!(kept.events.len() > kept.units.len());
    }
}

#[test]
fn what_is_kept_is_written_as_it_was_read() {
    for sample in testkit::samples_of("state", FORMAT) {
        let home = testkit::temp_dir();
        sample.copy_home(home.path());
        let state = home.path().join("state");
        let (database, format) = disk::open_database(&state.join("state.redb")).expect("opens");
        assert_eq!(format, FORMAT);
        let raw = disk::read_all(&database).expect("is read");
        let (sealer, _) = key::open(&state, true).expect("the key is there");
        for (name, sealed) in &raw.stacks {
            let record = sealer.open(Of::Stack, name, sealed).expect("opens");
            same::<StackRecord>(name, &record);
        }
        for (name, sealed) in &raw.units {
            let record = sealer.open(Of::Unit, name, sealed).expect("opens");
            same::<UnitRecord>(name, &record);
        }
        for (number, record) in &raw.events {
            same::<Event>(&format!("event {number}"), record);
        }
    }
}

/// A format that guards nothing of what was raised beside it would let an earlier version begin.
#[test]
fn the_state_has_another_format_whenever_anything_has() {
    let all = testkit::samples();
    for pair in all.windows(2) {
        assert_ne!(pair[0].format("state"), pair[1].format("state"), "{pair:?}");
    }
}

fn same<T: DeserializeOwned + Serialize>(what: &str, record: &[u8]) {
    let value: T = serde_json::from_slice(record).expect("loads");
    let written = disk::encode(&value);
    assert!(
        written == record,
        "the form of what is kept has changed: raise FORMAT ({what})\nread:    {}\nwritten: {}",
        String::from_utf8_lossy(record),
        String::from_utf8_lossy(&written)
    );
}
