//! The same archives, signed by somebody who is trusted and brought to a host.

use std::fs;

use harness_package::session::{Order, RefusalKind, Reply, serve};
use harness_package::store::SlotName;
use harness_package::{Digest, Refusal, SecretKey, Signature};

use super::support::tree;

/// Checks that a host refuses it with the same reason, keeps nothing of it, and what was current is so still.
#[track_caller]
pub(super) fn refuse(archive: &[u8], refusal: &Refusal) {
    let home = tempfile::tempdir().unwrap();
    let name = SlotName::try_from("shop.api".to_owned()).unwrap();
    let slot = home.path().join("shop.api");
    let key = SecretKey::generate().unwrap();
    let sha256 = Digest::of(archive);
    let open = Order::Open {
        who: "me".to_owned(),
        quota: None,
    };
    let size = archive.len() as u64;
    let take = Order::Take {
        sha256,
        signature: Signature::of(archive, &key, "").unwrap().to_text(),
        keys: vec![key.public().to_text()],
    };
    let replies = |orders: &[&Order]| -> Vec<Reply> {
        let lines: Vec<String> = orders
            .iter()
            .map(|order| serde_json::to_string(order).unwrap() + "\n")
            .collect();
        let mut said = Vec::new();
        serve(home.path(), &name, lines.concat().as_bytes(), &mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        said.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let offered = replies(&[&open, &Order::Offer { sha256, size }]);
    let Some(Reply::Wanted { path }) = offered.last() else {
        panic!("{offered:?}");
    };
    let before = tree(&slot);
    fs::write(path, archive).unwrap();
    match replies(&[&open, &take]).last() {
        Some(Reply::Refused {
            kind: RefusalKind::Archive,
            message,
            ..
        }) => assert!(message.contains(&refusal.to_string()), "{message}"),
        other => panic!("{other:?}"),
    }
    let mut after = tree(&slot);
    // Who has the lock is told anew by each.
    after.insert("lock".to_owned(), before["lock"].clone());
    assert!(after == before, "something was kept: {:?}", after.keys());
}
