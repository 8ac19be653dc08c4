//! Signatures and keys beside those of minisign 0.11: its files in `vectors`, and the program itself where it is installed.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use harness_package::{
    AdmitError, KeyError, PublicKey, Right, SecretKey, Signature, SignatureError, TrustError,
    TrustStore, admit,
};
use support::file;

const SIGNED: &[u8] = include_bytes!("vectors/signed.txt");
const SIGNATURE: &str = include_str!("vectors/signed.minisig");
const PUBLIC: &str = include_str!("vectors/key.pub");
const SECRET: &str = include_str!("vectors/key.secret");

fn check(bytes: &[u8], signature: &str, store: &TrustStore) -> Result<(), SignatureError> {
    match admit(file(bytes), Right::Signed { store, signature }, None) {
        Ok(admitted) => {
            assert!(admitted.signer().is_some());
            Ok(())
        }
        Err(AdmitError::Signature(error)) => Err(error),
        Err(other) => panic!("{other:?}"),
    }
}

fn store() -> TrustStore {
    TrustStore::of([PublicKey::parse(PUBLIC).unwrap()])
}

#[test]
fn a_signature_of_minisign_is_accepted() {
    assert_eq!(check(SIGNED, SIGNATURE, &store()), Ok(()));
    let signature = Signature::parse(SIGNATURE).unwrap();
    assert_eq!(signature.comment(), "the trusted comment");
    assert_eq!(signature.key().to_string(), "EFC93207E87EDDC7");
    assert_eq!(
        check(SIGNED, &SIGNATURE.replace('\n', "\r\n"), &store()),
        Ok(())
    );
}

#[test]
fn a_secret_key_of_minisign_signs_as_minisign_did() {
    // Ed25519 leaves nothing to chance, so the same key, file and comment give the same signature.
    let key = SecretKey::parse(SECRET).unwrap();
    assert_eq!(Ok(key.public()), PublicKey::parse(PUBLIC));
    let ours = Signature::of(SIGNED, &key, "the trusted comment").unwrap();
    assert_eq!(Ok(ours), Signature::parse(SIGNATURE));
}

#[test]
fn keys_are_written_as_minisign_writes_them() {
    let last = |text: &str| text.lines().last().unwrap().to_owned();
    assert_eq!(PublicKey::parse(PUBLIC).unwrap().to_text(), PUBLIC);
    let secret = SecretKey::parse(SECRET).unwrap();
    assert_eq!(last(&secret.to_text()), last(SECRET));
    assert!(!format!("{secret:?}").contains(&last(SECRET)));
}

#[test]
fn what_cannot_be_used_is_refused_by_its_reason() {
    let legacy = include_str!("vectors/legacy.minisig");
    assert_eq!(check(SIGNED, legacy, &store()), Err(SignatureError::Legacy));
    let sealed = SecretKey::parse(include_str!("vectors/sealed.secret"));
    assert!(matches!(sealed, Err(KeyError::Sealed)));
    assert_eq!(PublicKey::parse("no key"), Err(KeyError::Form));
    assert_eq!(PublicKey::parse(SECRET), Err(KeyError::Form));
    assert!(Signature::parse("untrusted comment: x\n").is_err());
    let stranger = TrustStore::of([SecretKey::generate().unwrap().public()]);
    for store in [stranger, TrustStore::default()] {
        let result = check(SIGNED, SIGNATURE, &store);
        assert!(matches!(result, Err(SignatureError::OtherKey { .. })));
    }
    let changed = SIGNATURE.replace("the trusted", "another");
    let result = check(SIGNED, &changed, &store());
    assert_eq!(result, Err(SignatureError::WrongComment));
    assert_eq!(
        check(b"other", SIGNATURE, &store()),
        Err(SignatureError::Wrong)
    );
}

#[test]
fn a_changed_byte_of_a_signature_is_refused_wherever_it_is_signed() {
    let unsigned = SIGNATURE.find('\n').unwrap();
    for at in unsigned..SIGNATURE.len() - 1 {
        let mut bytes = SIGNATURE.as_bytes().to_vec();
        bytes[at] ^= 1;
        let text = String::from_utf8(bytes).unwrap();
        assert!(check(SIGNED, &text, &store()).is_err(), "byte {at}");
    }
}

#[test]
fn a_directory_of_keys_is_the_store() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path().join("trusted_keys");
    assert_eq!(TrustStore::read(&at).unwrap().keys().count(), 0);
    fs::create_dir(&at).unwrap();
    mode(&at, 0o700);
    let other = SecretKey::generate().unwrap().public().to_text();
    for (name, text) in [("one.pub", PUBLIC), ("two.pub", &other), ("notes.txt", "x")] {
        fs::write(at.join(name), text).unwrap();
        mode(&at.join(name), 0o600);
    }
    let store = TrustStore::read(&at).unwrap();
    assert_eq!(store.keys().count(), 2);
    assert_eq!(check(SIGNED, SIGNATURE, &store), Ok(()));

    mode(&at, 0o770);
    assert!(matches!(
        TrustStore::read(&at),
        Err(TrustError::Writable { .. })
    ));
    mode(&at, 0o700);
    mode(&at.join("one.pub"), 0o602);
    assert!(matches!(
        TrustStore::read(&at),
        Err(TrustError::Writable { .. })
    ));
    mode(&at.join("one.pub"), 0o600);
    fs::write(at.join("two.pub"), "damaged").unwrap();
    assert!(matches!(TrustStore::read(&at), Err(TrustError::Key { .. })));
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Needs `minisign`, which `cargo xtask setup` installs.
#[test]
fn the_program_minisign_accepts_our_signatures_and_we_its() {
    let home = tempfile::tempdir().unwrap();
    let key = SecretKey::generate().unwrap();
    let put = |name: &str, text: &[u8]| fs::write(home.path().join(name), text).unwrap();
    put("archive", b"bytes of an archive");
    put("key.pub", key.public().to_text().as_bytes());
    put("key.secret", key.to_text().as_bytes());
    let ours = Signature::of(&b"bytes of an archive"[..], &key, "demo 1.2.3").unwrap();
    put("archive.minisig", ours.to_text().as_bytes());
    let minisign = |arguments: &[&str]| {
        let mut command = Command::new("minisign");
        let output = command.args(arguments).current_dir(home.path()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = minisign(&["-V", "-p", "key.pub", "-m", "archive"]);
    assert!(said.contains("demo 1.2.3"), "{said}");
    // Its signature with a key file that we wrote.
    minisign(&["-S", "-s", "key.secret", "-m", "archive", "-x", "theirs"]);
    let theirs = fs::read_to_string(home.path().join("theirs")).unwrap();
    let store = TrustStore::of([key.public()]);
    assert_eq!(check(b"bytes of an archive", &theirs, &store), Ok(()));
}
