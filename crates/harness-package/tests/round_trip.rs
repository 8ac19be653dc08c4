//! What is built can be unpacked, comes out the same, and is refused when a byte of it was changed.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use harness_package::{
    AdmitError, BuildError, Digest, InspectError, Limits, Right, SecretKey, Signature, TrustStore,
    UnpackError, admit, build,
};
use proptest::prelude::*;
use support::{Node, built, file, put, recipe, tree};

fn unpack(bytes: &[u8], into: &Path) -> std::path::PathBuf {
    let admitted = admit(file(bytes), Right::Unsigned, Some(Digest::of(bytes))).unwrap();
    admitted.unpack(into, &Limits::default()).unwrap().path
}

/// Files at paths that cannot be in each other's way, some long, some executable.
fn files() -> impl Strategy<Value = BTreeMap<String, (bool, Vec<u8>)>> {
    let part = prop_oneof!["[a-z]{1,8}", "[a-zé日 ]{1,8}", "[a-z]{60,70}"];
    let path = prop::collection::vec(part, 0..5).prop_map(|parts| {
        let mut path: String = parts.iter().map(|part| format!("d-{part}/")).collect();
        path.push_str(&format!("f-{}", parts.len()));
        path
    });
    let bytes = prop::collection::vec(any::<u8>(), 0..1500);
    prop::collection::btree_map(path, (any::<bool>(), bytes), 0..12)
}

fn directory(files: &BTreeMap<String, (bool, Vec<u8>)>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "run", 0o755, b"#!/bin/sh\n");
    for (path, (is_executable, bytes)) in files {
        let mode = if *is_executable { 0o755 } else { 0o644 };
        put(directory.path(), path, mode, bytes);
    }
    directory
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_built_unpacks_to_the_same_tree(files in files(), with_link in any::<bool>()) {
        let directory = directory(&files);
        if with_link {
            symlink("run", directory.path().join("again")).unwrap();
        }
        let (built, bytes) = built(directory.path(), &recipe());
        prop_assert_eq!(built.sha256, Digest::of(&bytes));
        let into = tempfile::tempdir().unwrap();
        let path = unpack(&bytes, into.path());
        prop_assert_eq!(tree(&path), tree(directory.path()));
    }

    #[test]
    fn a_changed_byte_anywhere_is_refused(files in files(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let (_, mut bytes) = built(directory(&files).path(), &recipe());
        let key = SecretKey::generate().unwrap();
        let store = TrustStore::of([key.public()]);
        let signature = Signature::of(bytes.as_slice(), &key, "demo").unwrap().to_text();
        let right = Right::Signed { store: &store, signature: &signature };
        prop_assert!(admit(file(&bytes), right, None).is_ok());
        let asked_for = Digest::of(&bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let refused = matches!(admit(file(&bytes), right, None), Err(AdmitError::Signature(_)));
        prop_assert!(refused);
        let right = Right::Unsigned;
        let refused = matches!(admit(file(&bytes), right, Some(asked_for)), Err(AdmitError::OtherArchive { .. }));
        prop_assert!(refused);
    }

    /// Even where nobody signed and nobody asked for a hash: files come out as the manifest says, or not at all.
    #[test]
    fn a_changed_byte_of_an_unsigned_archive_changes_no_file(at in any::<prop::sample::Index>(), bit in 0..8) {
        let files = BTreeMap::from([("d/f".to_owned(), (false, b"content".to_vec()))]);
        let (_, mut bytes) = built(directory(&files).path(), &recipe());
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        let into = tempfile::tempdir().unwrap();
        let admitted = admit(file(&bytes), Right::Unsigned, None).unwrap();
        match admitted.unpack(into.path(), &Limits::default()) {
            Ok(unpacked) => prop_assert_eq!(tree(&unpacked.path), tree(directory(&files).path())),
            Err(_) => prop_assert!(tree(into.path()).is_empty()),
        }
    }

    /// The scanner never panics, and nothing is ever written beside its staging directory.
    #[test]
    fn changed_headers_never_get_out(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..24)) {
        let mut tar = support::Tar::listing(&support::listed("d/f", b"x"))
            .entry(support::Raw::file(b"d/f", 1), b"x")
            .end();
        let at = at.index(tar.len() - bytes.len());
        tar[at..at + bytes.len()].copy_from_slice(&bytes);
        // The sums are made right again, or nothing but the sum would be tried.
        for start in [0, tar.len() - 1024 - 1024] {
            let block: &mut [u8] = &mut tar[start..start + 512];
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        let home = tempfile::tempdir().unwrap();
        let into = home.path().join("into");
        fs::create_dir(&into).unwrap();
        let admitted = admit(file(&support::gzip(&tar)), Right::Unsigned, None).unwrap();
        let result = admitted.unpack(&into, &Limits::default());
        let outside: Vec<_> = tree(home.path()).into_keys().filter(|path| !path.starts_with("into/") && path != "into").collect();
        prop_assert!(outside.is_empty());
        if result.is_err() {
            prop_assert!(tree(&into).is_empty());
        }
    }
}

#[test]
fn the_same_files_give_the_same_bytes_whatever_their_times_and_umask() {
    let one = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    put(one.path(), "run", 0o700, b"x");
    put(one.path(), "a/b", 0o600, b"y");
    put(other.path(), "a/b", 0o664, b"y");
    put(other.path(), "run", 0o775, b"x");
    let past = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    let run = fs::File::open(one.path().join("run")).unwrap();
    run.set_times(past).unwrap();
    assert_eq!(
        built(one.path(), &recipe()).1,
        built(other.path(), &recipe()).1
    );
}

#[test]
fn the_recipe_stays_outside_and_modes_can_be_said() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "package.yaml", 0o644, b"");
    put(directory.path(), "run", 0o755, b"x");
    let (package, _) = built(directory.path(), &recipe());
    assert_eq!(package.manifest.entries().len(), 1);
    let text = format!("{}files: [{{path: run, mode: 0500}}]\n", support::RECIPE);
    let recipe = harness_package::Recipe::from_yaml(&text).unwrap();
    let (_, bytes) = built(directory.path(), &recipe);
    let into = tempfile::tempdir().unwrap();
    let expected = Node::File {
        mode: 0o500,
        bytes: b"x".to_vec(),
    };
    assert_eq!(tree(&unpack(&bytes, into.path()))["run"], expected);
}

#[test]
fn what_no_package_can_hold_is_said_while_building() {
    let refused = |prepare: &dyn Fn(&Path)| {
        let directory = tempfile::tempdir().unwrap();
        put(directory.path(), "run", 0o755, b"x");
        prepare(directory.path());
        let mut out = tempfile::tempfile().unwrap();
        build(directory.path(), &recipe(), &mut out).unwrap_err()
    };
    let error = refused(&|at| symlink("/etc/passwd", at.join("l")).unwrap());
    assert!(matches!(error, BuildError::Link { .. }), "{error:?}");
    let error = refused(&|at| fs::create_dir(at.join("empty")).unwrap());
    assert!(
        matches!(error, BuildError::EmptyDirectory { .. }),
        "{error:?}"
    );
    let error = refused(&|at| {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at.join("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
    });
    assert!(matches!(error, BuildError::Special { .. }), "{error:?}");
    let error = refused(&|at| put(at, "RUN", 0o755, b""));
    assert!(matches!(error, BuildError::Manifest(_)), "{error:?}");
    let error = refused(&|at| put(at, "run", 0o644, b""));
    assert!(matches!(error, BuildError::Manifest(_)), "{error:?}");
    let error = refused(&|at| put(at, "zeros", 0o644, &vec![0; 4 << 20]));
    assert!(matches!(error, BuildError::Refused(_)), "{error:?}");
    let error = refused(&|at| put(at, "su", 0o4755, b""));
    assert!(matches!(error, BuildError::SetId { .. }), "{error:?}");
}

#[test]
fn a_package_that_is_there_is_not_written_again() {
    let (_, bytes) = built(directory(&BTreeMap::new()).path(), &recipe());
    let into = tempfile::tempdir().unwrap();
    let path = unpack(&bytes, into.path());
    let name = format!("demo/1.2.3-{}", Digest::of(&bytes));
    assert_eq!(path, into.path().join(name));
    let admitted = admit(file(&bytes), Right::Unsigned, None).unwrap();
    let again = admitted.unpack(into.path(), &Limits::default()).unwrap();
    assert!(again.was_there);
    assert_eq!(fs::read_dir(into.path()).unwrap().count(), 1);
}

#[test]
fn a_failure_while_writing_leaves_nothing() {
    let (_, bytes) = built(directory(&BTreeMap::new()).path(), &recipe());
    let into = tempfile::tempdir().unwrap();
    // The rename, which is the last step, cannot be: its place is a file.
    fs::write(into.path().join("demo"), "in the way").unwrap();
    let before = tree(into.path());
    let admitted = admit(file(&bytes), Right::Unsigned, None).unwrap();
    let error = admitted
        .unpack(into.path(), &Limits::default())
        .unwrap_err();
    assert!(matches!(error, UnpackError::Write { .. }), "{error:?}");
    assert_eq!(tree(into.path()), before);
}

#[test]
fn a_link_in_place_of_the_packages_directory_is_not_followed() {
    let (_, bytes) = built(directory(&BTreeMap::new()).path(), &recipe());
    let into = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), into.path().join("demo")).unwrap();
    let admitted = admit(file(&bytes), Right::Unsigned, None).unwrap();
    assert!(admitted.unpack(into.path(), &Limits::default()).is_err());
    assert!(tree(elsewhere.path()).is_empty());
}

#[test]
fn an_archive_that_changes_after_it_was_let_in_is_not_unpacked() {
    let home = tempfile::tempdir().unwrap();
    let (_, bytes) = built(directory(&BTreeMap::new()).path(), &recipe());
    let other = BTreeMap::from([("other".to_owned(), (false, b"other".to_vec()))]);
    let (_, other) = built(directory(&other).path(), &recipe());
    let at = home.path().join("archive");
    for changed in [other.clone(), [bytes.as_slice(), &other].concat(), vec![]] {
        fs::write(&at, &bytes).unwrap();
        let admitted = admit(fs::File::open(&at).unwrap(), Right::Unsigned, None).unwrap();
        fs::write(&at, &changed).unwrap();
        let into = tempfile::tempdir().unwrap();
        let result = admitted.unpack(into.path(), &Limits::default());
        assert!(matches!(result, Err(UnpackError::Archive(_))), "{result:?}");
        assert!(tree(into.path()).is_empty());
    }
}

#[test]
fn permissions_do_not_depend_on_who_unpacks() {
    let files = BTreeMap::from([("d/f".to_owned(), (true, vec![]))]);
    let (_, bytes) = built(directory(&files).path(), &recipe());
    let into = tempfile::tempdir().unwrap();
    let path = unpack(&bytes, into.path());
    for (at, mode) in [("", 0o755), ("d", 0o755), ("d/f", 0o755)] {
        let found = fs::metadata(path.join(at)).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode, "{at}");
    }
}

#[test]
fn other_programs_read_what_we_write() {
    let long = format!("{}/file", ["directory"; 15].join("/"));
    let files = BTreeMap::from([(long.clone(), (false, b"content".to_vec()))]);
    let (_, bytes) = built(directory(&files).path(), &recipe());
    let into = tempfile::tempdir().unwrap();
    fs::write(into.path().join("archive"), bytes).unwrap();
    let tar = std::process::Command::new("tar")
        .args(["-xzf", "archive"])
        .current_dir(into.path())
        .output()
        .unwrap();
    assert!(tar.status.success(), "{tar:?}");
    assert!(tar.stderr.is_empty(), "{tar:?}");
    assert_eq!(fs::read(into.path().join(long)).unwrap(), b"content");
}

#[test]
fn a_whole_archive_of_the_same_length_does_not_pass_for_the_one_that_was_let_in() {
    let with = |number: u32| {
        let files = BTreeMap::from([("f".to_owned(), (false, number.to_le_bytes().to_vec()))]);
        built(directory(&files).path(), &recipe()).1
    };
    let first = with(0);
    let other = (1..).map(with).find(|other| other.len() == first.len());
    let home = tempfile::tempdir().unwrap();
    let at = home.path().join("archive");
    fs::write(&at, &first).unwrap();
    let admitted = admit(fs::File::open(&at).unwrap(), Right::Unsigned, None).unwrap();
    fs::write(&at, other.unwrap()).unwrap();
    let into = tempfile::tempdir().unwrap();
    let result = admitted.unpack(into.path(), &Limits::default());
    let is_seen = matches!(result, Err(UnpackError::Archive(InspectError::Changed)));
    assert!(is_seen, "{result:?}");
    assert!(tree(into.path()).is_empty());
}
