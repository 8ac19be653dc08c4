//! What lies on the disk: sealed, and written anew where an earlier version left it in clear.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use redb::{Database, TableDefinition};
use service_orchestration::spec::{
    ProcessTarget, Secret, SecretName, SecretValues, ServiceSpec, StackName, StackSpec, TargetSpec,
    UnitKind, UnitName,
};
use service_orchestration::store::{Batch, DiskStore, StackRecord, Store, StoreError, UnitRecord};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const STACKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("stacks");
const UNITS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("units");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// As version 1 wrote it.
const FIRST: &str = r#"{"spec":{"name":"shop","description":null,"directory":"/srv/shop","files":[],"environment":{"PATH":"/usr/bin"},"networks":{},"units":{"api":{"name":"api","kind":"service","target":{"type":"process","program":["api"],"args":[],"working_dir":null,"user":null,"group":null},"display_name":null,"description":null,"type_name":null,"network":null,"env":{"DB_PASSWORD":["hunter2-in-clear"]},"dependencies":[],"readiness":null,"liveness":null,"startup":null,"on_unhealthy":"none","restart":RESTART,"stop":STOP,"startup_timeout":null,"timeout":null,"success_exit_codes":[0],"ports":[],"log":LOG,"replicas":1,"profiles":[],"labels":{},"action":null,"origin":{"file":0,"line":0,"column":0}}}},"loopback":null}"#;

fn stack() -> StackSpec {
    let name = UnitName::new("api").expect("a legal name");
    let target = TargetSpec::Process(ProcessTarget {
        program: "api".into(),
        ..ProcessTarget::default()
    });
    let mut unit = ServiceSpec::new(name.clone(), UnitKind::Service, target);
    unit.env
        .insert("DB_PASSWORD".into(), "hunter2-in-clear".into());
    StackSpec {
        name: StackName::new("shop").expect("a legal name"),
        description: None,
        directory: "/srv/shop".into(),
        files: Vec::new(),
        sources: Default::default(),
        environment: [("PATH".to_owned(), "/usr/bin".to_owned())].into(),
        networks: BTreeMap::new(),
        units: [(name, unit)].into(),
        inactive: BTreeMap::new(),
        log_total: None,
        volumes: Default::default(),
        secrets: BTreeMap::new(),
    }
}

fn values() -> SecretValues {
    let mut values = SecretValues::default();
    let name = SecretName::declared("token").expect("a legal name");
    values.insert(name, Secret::new("hunter2-sealed".to_owned()));
    values
}

/// A unit that runs by an older definition than it has.
fn running() -> UnitRecord {
    let record = serde_json::json!({
        "id": {"stack": "shop", "name": "api", "replica": 0},
        "wanted": true,
        "state": "ready",
        "attempt": 1,
        "restarts": 0,
        "instance_id": "0123456789ab",
        "started_at": null,
        "stopped_at": null,
        "exit": null,
        "launched_spec": stack().units["api"],
    });
    serde_json::from_value(record).expect("a record")
}

/// A state directory as version 1 left it.
fn first_version(directory: &Path) {
    let unit = &stack().units["api"];
    let record = FIRST
        .replace(":RESTART", &format!(":{}", json(&unit.restart)))
        .replace(":STOP", &format!(":{}", json(&unit.stop)))
        .replace(":LOG", &format!(":{}", json(&unit.log)));
    let database = Database::create(directory.join("state.redb")).expect("made");
    let transaction = database.begin_write().expect("begun");
    {
        let mut meta = transaction.open_table(META).expect("made");
        meta.insert("format", 1).expect("written");
        let mut stacks = transaction.open_table(STACKS).expect("made");
        stacks.insert("shop", record.as_bytes()).expect("written");
        transaction.open_table(UNITS).expect("made");
        transaction.open_table(EVENTS).expect("made");
    }
    transaction.commit().expect("committed");
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data")
}

/// Whether any file of the directory holds this text.
fn holds(directory: &Path, text: &str) -> bool {
    let files = fs::read_dir(directory).expect("ours").flatten();
    let mut files = files.map(|entry| fs::read(entry.path()).expect("ours"));
    files.any(|bytes| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    })
}

#[test]
fn what_version_1_left_in_clear_loads_and_is_sealed_from_then_on() {
    let directory = tempfile::tempdir().expect("a directory");
    first_version(directory.path());
    assert!(
        holds(directory.path(), "hunter2-in-clear"),
        "the test can see it"
    );
    for _ in 0..2 {
        let store = DiskStore::open(directory.path()).expect("it loads");
        let kept = store.load().expect("it loads");
        assert_eq!(kept.stacks.len(), 1);
        assert_eq!(kept.stacks[0].spec, stack());
        assert!(kept.stacks[0].secrets.is_empty());
        drop(store);
        assert!(!holds(directory.path(), "hunter2-in-clear"));
    }
    assert!(!directory.path().join("state.redb.new").exists());
}

#[test]
fn what_an_interrupted_sealing_left_behind_is_in_nobodys_way() {
    let directory = tempfile::tempdir().expect("a directory");
    first_version(directory.path());
    fs::write(directory.path().join("state.redb.new"), "half").expect("written");
    fs::write(directory.path().join("seal.key.new"), "half").expect("written");
    let store = DiskStore::open(directory.path()).expect("it loads");
    assert_eq!(store.load().expect("it loads").stacks.len(), 1);
    drop(store);
    assert!(!holds(directory.path(), "hunter2-in-clear"));
}

#[test]
fn values_come_back_and_are_nowhere_in_clear() {
    let directory = tempfile::tempdir().expect("a directory");
    let record = StackRecord {
        spec: stack(),
        loopback: None,
        secrets: values(),
    };
    let store = DiskStore::open(directory.path()).expect("made");
    let mut batch = Batch::default();
    let stacks = &mut batch.stacks;
    stacks.insert(record.spec.name.clone(), Some(record.clone()));
    let unit = running();
    batch.units.insert(unit.id.clone(), Some(unit.clone()));
    store.commit(&batch).expect("kept");
    drop(store);
    for text in ["hunter2-sealed", "hunter2-in-clear", "DB_PASSWORD"] {
        assert!(!holds(directory.path(), text), "{text}");
    }
    for entry in fs::read_dir(directory.path()).expect("ours").flatten() {
        let mode = entry.metadata().expect("ours").mode();
        assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
    }
    let store = DiskStore::open(directory.path()).expect("it loads");
    let loaded = store.load().expect("it loads");
    assert_eq!((loaded.stacks, loaded.units), (vec![record], vec![unit]));
    drop(store);

    // Without its key, nothing is made up.
    let key = directory.path().join("seal.key");
    let kept = fs::read(&key).expect("ours");
    fs::remove_file(&key).expect("ours");
    let gone = DiskStore::open(directory.path()).expect_err("no key");
    assert!(matches!(gone, StoreError::KeyGone { .. }), "{gone}");
    // With another, neither.
    let other = tempfile::tempdir().expect("a directory");
    drop(DiskStore::open(other.path()).expect("made"));
    fs::copy(other.path().join("seal.key"), &key).expect("copied");
    let store = DiskStore::open(directory.path()).expect("it opens");
    let damaged = store.load().expect_err("another key");
    assert!(matches!(damaged, StoreError::Damaged { .. }), "{damaged}");
    drop(store);
    fs::write(&key, kept).expect("ours");
    let store = DiskStore::open(directory.path()).expect("it opens again");
    assert_eq!(store.load().expect("it loads").stacks.len(), 1);
}
