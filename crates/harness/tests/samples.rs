//! What earlier versions have left behind is taken over by this one, and what a later one left is refused by name.

mod support;

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use support::Home;
use testkit::{Sample, samples};

/// A home as a version left it, to work on.
fn home_of(sample: &Sample) -> Home {
    let home = Home::empty();
    sample.copy_home(&home.home());
    home
}

fn every_home(try_it: impl Fn(&Sample, &Home)) {
    let all = samples();
    assert!(!all.is_empty());
    for sample in &all {
        try_it(sample, &home_of(sample));
    }
}

#[test]
fn a_stack_of_an_earlier_version_is_known_with_the_ends_of_its_units() {
    every_home(|_, home| {
        home.ok(&["daemon", "start"]);
        let status = home.ok(&["status", "-p", "sample", "-o", "json"]).json();
        let units = status["items"].as_array().expect("units");
        // It is tried again at any moment, and its program is not on this machine.
        let (again, settled): (Vec<_>, Vec<_>) =
            units.iter().partition(|unit| unit["name"] == "again");
        assert_eq!(again.len(), 1);
        let state = again[0]["state"].as_str().expect("a state");
        assert!(
            ["backoff", "starting", "crash-loop"].contains(&state),
            "{state}"
        );
        let told: Vec<String> = settled
            .iter()
            .map(|unit| {
                format!(
                    "{} {}: code {}, signal {}, unknown {}",
                    unit["name"].as_str().expect("a name"),
                    unit["state"].as_str().expect("a state"),
                    unit["exit_code"],
                    unit["signal"],
                    unit["exit_unknown"]
                )
            })
            .collect();
        assert_eq!(told, ENDS);
        let stopped = home.ok(&["status", "-p", "sample", "stopped", "-o", "json"]);
        assert_eq!(stopped.json()["items"][0]["stop"]["escalation"], "killed");
    });
}

/// `left` ended without a daemon; `alive` and `told` ran when the machine went.
const ENDS: [&str; 9] = [
    "alive failed: code null, signal null, unknown true",
    "done done: code 0, signal null, unknown false",
    "failed failed: code 3, signal null, unknown false",
    "killed failed: code null, signal 9, unknown false",
    "left failed: code 7, signal null, unknown false",
    "plain done: code 0, signal null, unknown false",
    "rotated done: code 0, signal null, unknown false",
    "stopped idle: code null, signal 9, unknown false",
    "told failed: code null, signal null, unknown true",
];

#[test]
fn the_logs_of_an_earlier_version_are_read_byte_for_byte() {
    every_home(|sample, home| {
        home.ok(&["daemon", "start"]);
        for (unit, lines) in [
            ("done", &b"done\naside\n"[..]),
            ("killed", b"going\n"),
            ("left", b"begun\nbegun\nleft\n"),
            ("plain", b"into a plain file\n"),
            ("told", b"told\n"),
        ] {
            let logs = home.ok(&["logs", "-p", "sample", "--no-prefix", unit]);
            assert_eq!(logs.raw, lines, "{unit}");
        }
        let kept: Vec<u8> = sample
            .files("home/log/sample/rotated")
            .iter()
            .filter(|path| path.extension().is_some_and(|end| end == "out"))
            .flat_map(|path| std::fs::read(path).expect("checked in"))
            .collect();
        assert!(kept.ends_with(b"no text: \xff\xfe\n"));
        let rotated = home.ok(&["logs", "-p", "sample", "--no-prefix", "rotated"]);
        assert_eq!(rotated.raw, kept);
        rotated.says("12288 bytes dropped");
        let previous = home.ok(&["logs", "-p", "sample", "--no-prefix", "--previous", "left"]);
        assert_eq!(previous.raw, b"begun\n");
    });
}

#[test]
fn the_record_the_clients_and_the_secrets_of_an_earlier_version_are_kept() {
    every_home(|_, home| {
        home.ok(&["audit", "--verify"]);
        home.ok(&["daemon", "start"]);
        let record = home.ok(&["audit"]);
        for method in ["stack.start", "stack.restart", "client.invite"] {
            assert!(record.stdout.contains(method), "{record:?}");
        }
        home.ok(&["daemon", "clients"]).shows("local");
        home.ok(&["down", "-p", "sample", "--yes"]);
        home.ok(&["audit", "--verify"]);
    });
}

#[test]
fn the_state_of_a_later_version_is_refused_by_its_number_and_left_as_it_is() {
    every_home(|_, home| {
        let file = home.home().join("state/state.redb");
        raise(&file);
        let before = units(&file);
        assert!(before.len() > 5);
        home.run(&["daemon", "start"])
            .expect(1)
            .says("has format 99; this program knows up to 2");
        assert_eq!(units(&file), before);
        // So that the stop at the end has nothing to ask it for.
        std::fs::remove_file(home.home().join("state/active")).expect("there");
    });
}

#[test]
fn the_clients_of_a_later_version_are_refused_by_their_number() {
    every_home(|_, home| {
        let file = home.home().join("config/pki/clients.json");
        let text = std::fs::read_to_string(&file).expect("there");
        let later = text.replacen("\"schema_version\": 1", "\"schema_version\": 99", 1);
        assert_ne!(text, later);
        std::fs::write(&file, &later).expect("ours");
        home.run(&["daemon", "start"])
            .expect(6)
            .says("clients.json has format 99; this program knows up to 1");
        assert_eq!(std::fs::read_to_string(&file).expect("there"), later);
        std::fs::remove_file(home.home().join("state/active")).expect("there");
    });
}

fn raise(state: &Path) {
    let database = Database::create(state).expect("a store");
    let transaction = database.begin_write().expect("begun");
    let mut table = transaction.open_table(META).expect("there");
    table.insert("format", LATER).expect("written");
    drop(table);
    transaction.commit().expect("written");
}

/// What a state of the later format keeps of units.
fn units(state: &Path) -> Vec<(String, Vec<u8>)> {
    let database = Database::create(state).expect("a store");
    let transaction = database.begin_read().expect("begun");
    let meta = transaction.open_table(META).expect("there");
    let format = meta.get("format").expect("read").expect("there");
    assert_eq!(format.value(), LATER);
    let units = transaction.open_table(UNITS).expect("there");
    let entries = units.iter().expect("read");
    entries
        .map(|entry| {
            let (name, record) = entry.expect("read");
            (name.value().to_owned(), record.value().to_vec())
        })
        .collect()
}

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const UNITS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("units");
const LATER: u64 = 99;
