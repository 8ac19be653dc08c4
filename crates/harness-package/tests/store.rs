//! Slots: versions come, are current, go; one change at a time; what is refused leaves nothing.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;

use harness_package::session::{Order, RefusalKind, Reply, serve};
use harness_package::store::{Offered, Place, Slot, SlotName, StoreError, list};
use harness_package::{Digest, Limits, Recipe, SecretKey, Signature};
use proptest::prelude::*;
use support::{Raw, Tar, built, put, tree};

/// Archives, and who signs them.
struct Maker {
    key: SecretKey,
}

struct Made {
    bytes: Vec<u8>,
    sha256: Digest,
    signature: String,
}

impl Maker {
    fn new() -> Self {
        let key = SecretKey::generate().unwrap();
        Self { key }
    }

    fn keys(&self) -> Vec<String> {
        vec![self.key.public().to_text()]
    }

    fn version(&self, version: &str) -> Made {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), "run", 0o755, version.as_bytes());
        let text = format!("name: demo\nversion: {version}\nservice: {{binary: run}}\n");
        let recipe = Recipe::from_yaml(&text).unwrap();
        self.sign(built(directory.path(), &recipe).1)
    }

    fn sign(&self, bytes: Vec<u8>) -> Made {
        let signature = Signature::of(bytes.as_slice(), &self.key, "").unwrap();
        Made {
            sha256: Digest::of(&bytes),
            signature: signature.to_text(),
            bytes,
        }
    }

    fn take(&self, slot: &Slot, made: &Made) -> Result<Place, StoreError> {
        if let Offered::Wanted(path) = slot.offer(made.sha256, made.bytes.len() as u64)? {
            fs::write(path, &made.bytes).unwrap();
        }
        let taken = slot.take(
            made.sha256,
            &made.signature,
            &self.keys(),
            &Limits::default(),
        );
        taken.map(|taken| taken.place)
    }
}

fn name() -> SlotName {
    SlotName::try_from("shop.api".to_owned()).unwrap()
}

fn open(root: &Path) -> Slot {
    Slot::open(root, &name(), "me@here").unwrap()
}

/// What `current` leads to.
fn current(root: &Path) -> String {
    fs::read_to_string(root.join("shop.api/current/run")).unwrap()
}

#[test]
fn versions_come_are_current_and_go() {
    let (home, maker) = (tempfile::tempdir().unwrap(), Maker::new());
    let root = home.path();
    let slot = open(root);
    let made: Vec<Made> = ["1.0.0", "1.1.0", "2.0.0-rc.1", "2.0.0"]
        .iter()
        .map(|version| maker.version(version))
        .collect();
    assert!(matches!(slot.back(), Err(StoreError::NoEarlier)));
    let mut places = Vec::new();
    for made in &made {
        let place = maker.take(&slot, made).unwrap();
        let switched = slot.switch(&place).unwrap();
        assert_eq!(switched.from.as_ref(), places.last());
        places.push(place);
    }
    assert_eq!(current(root), "2.0.0");
    let again = slot.offer(made[0].sha256, 1).unwrap();
    assert_eq!(again, Offered::Unpacked(places[0].clone()));
    // Back, and on from there; the one that was left is the last to be gone back to.
    assert_eq!(slot.back().unwrap().to, places[2]);
    assert_eq!(slot.back().unwrap().to, places[1]);
    assert_eq!(current(root), "1.1.0");
    assert_eq!(
        slot.prune(2).unwrap(),
        [places[2].clone(), places[3].clone()]
    );
    assert!(matches!(
        slot.remove(&places[1]),
        Err(StoreError::Current { .. })
    ));
    assert!(matches!(
        slot.switch(&places[3]),
        Err(StoreError::NoVersion { .. })
    ));
    // Never the current one, whatever else.
    assert_eq!(slot.prune(0).unwrap(), [places[0].clone()]);
    let left = list(root, &name()).unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].current && left[0].bytes == 5 && left[0].signer.is_some());
    assert!(matches!(slot.back(), Err(StoreError::NoEarlier)));
    let files = tree(&root.join("shop.api"));
    let of_others = |path: &&String| path.contains(&made[0].sha256.to_string());
    assert_eq!(files.keys().filter(of_others).count(), 0);
}

#[test]
fn one_has_the_lock_and_the_next_one_hears_who() {
    let home = tempfile::tempdir().unwrap();
    let slot = open(home.path());
    match Slot::open(home.path(), &name(), "other") {
        Err(StoreError::Held { holder }) => {
            assert_eq!((&*holder.who, holder.pid), ("me@here", std::process::id()));
            assert!(holder.since().ends_with('Z'));
        }
        other => panic!("{other:?}"),
    }
    drop(slot);
    open(home.path());
}

#[test]
fn what_is_refused_leaves_nothing_and_current_as_it_was() {
    let (home, maker) = (tempfile::tempdir().unwrap(), Maker::new());
    let root = home.path();
    let slot = open(root);
    let first = maker.take(&slot, &maker.version("1.0.0")).unwrap();
    slot.switch(&first).unwrap();
    let before = tree(&root.join("shop.api"));
    let same = || assert!(tree(&root.join("shop.api")) == before);

    // Signed by somebody else; changed on the way; never brought.
    let made = Maker::new().version("1.1.0");
    assert!(matches!(
        maker.take(&slot, &made),
        Err(StoreError::Admit(_))
    ));
    same();
    let mut made = maker.version("1.1.0");
    made.bytes[30] ^= 1;
    assert!(matches!(
        maker.take(&slot, &made),
        Err(StoreError::Admit(_))
    ));
    same();
    let missing = slot.take(made.sha256, "", &maker.keys(), &Limits::default());
    assert!(matches!(missing, Err(StoreError::NotUploaded { .. })));
    // Somebody whom we trust signed what may not be.
    let hostile = Tar::listing("").entry(Raw::file(b"../evil", 1), b"x");
    let error = maker
        .take(&slot, &maker.sign(hostile.archive()))
        .unwrap_err();
    assert!(matches!(error, StoreError::Unpack(_)));
    same();
    // No room, by the disk and by the quota.
    let huge = slot.offer(Digest::of(b"huge"), u64::MAX / 2);
    assert!(matches!(huge, Err(StoreError::NoRoom { .. })));
    let slot = slot.with_quota(Some(9));
    assert!(slot.offer(Digest::of(b"x"), 4).is_ok());
    let over = slot.offer(Digest::of(b"x"), 5);
    assert!(matches!(over, Err(StoreError::Quota { total: 10, .. })));
    let made = maker.version("1.1.1-a.very.long.one");
    fs::write(
        root.join(format!("shop.api/upload/{}", made.sha256)),
        &made.bytes,
    )
    .unwrap();
    let over = slot.take(
        made.sha256,
        &made.signature,
        &maker.keys(),
        &Limits::default(),
    );
    assert!(matches!(over, Err(StoreError::Quota { .. })));
    same();
}

#[test]
fn what_the_dead_leave_behind_is_cleared_away() {
    let (home, maker) = (tempfile::tempdir().unwrap(), Maker::new());
    let root = home.path();
    let slot = open(root);
    let place = maker.take(&slot, &maker.version("1.0.0")).unwrap();
    slot.switch(&place).unwrap();
    let brought = maker.version("1.1.0");
    drop(slot);
    let slot_path = root.join("shop.api");
    let before = tree(&slot_path);
    put(&slot_path, "versions/.staging-0123/run", 0o755, b"half");
    put(&slot_path, "versions/.gone-0123/run", 0o755, b"half");
    put(&slot_path, "upload/.x.17.0.new", 0o600, b"half");
    put(
        &slot_path,
        &format!("about/{}.json", brought.sha256),
        0o600,
        b"{}",
    );
    // Whole, and not unpacked: it is not brought again.
    put(
        &slot_path,
        &format!("upload/{}", brought.sha256),
        0o600,
        &brought.bytes,
    );
    // Died between the rename and what is written about it.
    fs::remove_file(slot_path.join("history")).unwrap();
    let slot = open(root);
    let offered = slot
        .offer(brought.sha256, brought.bytes.len() as u64)
        .unwrap();
    assert_eq!(offered, Offered::Uploaded);
    let other = slot.offer(Digest::of(b"other"), 5).unwrap();
    assert!(matches!(other, Offered::Wanted(_)));
    drop(slot);
    let after = tree(&slot_path);
    assert_eq!(
        after.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
}

/// The answers to some lines.
fn asked(root: &Path, lines: &[u8]) -> Vec<Reply> {
    let mut said = Vec::new();
    serve(root, &name(), lines, &mut said).unwrap();
    let text = String::from_utf8(said).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_session_answers_each_order_and_carries_out_none_by_half() {
    let (home, maker) = (tempfile::tempdir().unwrap(), Maker::new());
    let made = maker.version("1.0.0");
    let place = {
        let slot = open(home.path());
        maker.take(&slot, &made).unwrap()
    };
    let mut lines = Vec::new();
    let mut say = |order: &Order| writeln!(lines, "{}", serde_json::to_string(order).unwrap());
    say(&Order::Back).unwrap();
    let who = "me".to_owned();
    say(&Order::Open { who, quota: None }).unwrap();
    say(&Order::Back).unwrap();
    say(&Order::Switch {
        place: place.clone(),
    })
    .unwrap();
    lines.extend(b"{\"order\":\"later\"}\n");
    let whole = asked(home.path(), &lines);
    let kinds: Vec<Option<RefusalKind>> = whole
        .iter()
        .map(|reply| match reply {
            Reply::Refused { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect();
    let (order, version) = (Some(RefusalKind::Order), Some(RefusalKind::Version));
    assert_eq!(kinds, [order, None, version, None, order]);
    assert!(matches!(&whole[3], Reply::Switched { from: None, to, .. } if *to == place));
    // Without its end the order was not given.
    fs::remove_file(home.path().join("shop.api/current")).unwrap();
    fs::remove_file(home.path().join("shop.api/history")).unwrap();
    let cut = lines.len() - b"{\"order\":\"later\"}\n".len() - 1;
    assert_eq!(asked(home.path(), &lines[..cut]).len(), 3);
    assert!(!home.path().join("shop.api/current").exists());
    // While somebody has the lock.
    let _slot = open(home.path());
    let held = &asked(home.path(), &lines)[1];
    assert!(matches!(
        held,
        Reply::Refused {
            kind: RefusalKind::Held,
            holder: Some(_),
            ..
        }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes, it is answered or passed over, and the slot is sound.
    #[test]
    fn nothing_that_is_sent_breaks_a_session(lines in prop::collection::vec("(\\{\"order\":\"(open|switch|take|offer)\",\"who\":\"x\",\"place\":\"[a-z./]{0,9}\"\\}|.{0,40})", 0..6)) {
        let home = tempfile::tempdir().unwrap();
        let text = lines.join("\n") + "\n";
        let mut said = Vec::new();
        let _ = serve(home.path(), &name(), text.as_bytes(), &mut said);
        prop_assert!(list(home.path(), &name()).unwrap().is_empty());
    }
}

#[test]
fn names_that_lead_elsewhere_are_none() {
    for text in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "-x",
        ".x",
        "a\0b",
        "ä",
        &"x".repeat(201),
    ] {
        assert!(SlotName::try_from(text.to_owned()).is_err(), "{text:?}");
    }
    let sha256 = Digest::of(b"");
    for text in [
        format!("demo/../1.0.0-{sha256}"),
        format!("../demo/1.0.0-{sha256}"),
        format!("demo/1.0.0/../-{sha256}"),
        "demo/1.0.0".to_owned(),
    ] {
        assert!(Place::try_from(text.clone()).is_err(), "{text:?}");
    }
}
