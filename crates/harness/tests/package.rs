//! Packages are built, signed, inspected and refused: the real program, without a daemon.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use harness_package::{SecretKey, Signature};
use support::{Home, Run};

const RECIPE: &str = "\
name: api
version: 1.2.0
service: {binary: bin/api, args: [--port, '80']}
setup: setup.sh
dependencies: [db]
environment: {MODE: live}
";

/// A home with something to pack.
fn home() -> Home {
    let home = Home::empty();
    home.write("api/package.yaml", RECIPE);
    home.write("api/bin/api", "#!/bin/sh\nexec sleep 60\n");
    home.write("api/setup.sh", "#!/bin/sh\n");
    for program in ["bin/api", "setup.sh"] {
        let path = home.path().join("api").join(program);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("own");
    }
    home
}

/// With a key to sign with; its number and public key.
fn with_key(home: &Home) -> (String, String) {
    let made = home.ok(&["package", "keygen", "-o", "json"]).json();
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    (text("key"), text("public"))
}

fn mode(path: impl AsRef<Path>) -> u32 {
    let metadata = fs::metadata(path).expect("there");
    metadata.permissions().mode() & 0o7777
}

fn inspect(home: &Home, more: &[&str]) -> Run {
    home.run(&[&["package", "inspect", "api-1.2.0.tar.gz"], more].concat())
}

#[test]
fn keys_are_secret_from_their_first_byte_and_never_written_over() {
    let home = Home::empty();
    let (key, public) = with_key(&home);
    let secret = home.home().join("config/package.key");
    assert_eq!(mode(&secret), 0o600);
    assert!(fs::read_to_string(&public).expect("there").contains(&key));
    let before = fs::read(&secret).expect("there");
    home.run(&["package", "keygen"])
        .expect(2)
        .says("is there already");
    assert_eq!(fs::read(&secret).expect("there"), before);
    // Also when only one of the two is there, and then nothing is left of the other.
    home.write("ci.pub", "");
    home.run(&["package", "keygen", "ci.key"]).expect(2);
    assert!(!home.path().join("ci.key").exists());
    home.write("cd.key", "mine");
    home.run(&["package", "keygen", "cd.key"]).expect(2);
    assert!(!home.path().join("cd.pub").exists());
    let mine = fs::read_to_string(home.path().join("cd.key"));
    assert_eq!(mine.expect("there"), "mine");
}

#[test]
fn what_is_built_can_be_inspected_by_whoever_trusts_its_key() {
    let home = home();
    home.run(&["package", "build", "api"])
        .expect(2)
        .says("harness package keygen");
    let (key, public) = with_key(&home);
    let made = home.ok(&["package", "build", "api"]);
    let made = made.shows("api 1.2.0").shows("signed by").shows(&key);
    let archive = fs::read(home.path().join("api-1.2.0.tar.gz")).expect("there");
    let again = home.ok(&["package", "build", "api", "-o", "json"]).json();
    assert_eq!(again["size"], archive.len());
    assert!(
        made.stdout
            .contains(again["sha256"].as_str().expect("text"))
    );
    assert_eq!(again["signature"], "api-1.2.0.tar.gz.minisig");
    let bytes = fs::read(home.path().join("api-1.2.0.tar.gz")).expect("there");
    assert_eq!(bytes, archive, "the same files are the same bytes");

    inspect(&home, &[])
        .expect(6)
        .says(&key)
        .says("harness package trust add");
    home.ok(&["package", "trust", "list"]).says("no key");
    home.ok(&["package", "trust", "add", &public]).says("taken");
    home.ok(&["package", "trust", "add", &public])
        .says("already");
    home.ok(&["package", "trust", "list"]).shows(&key);
    inspect(&home, &[])
        .expect(0)
        .shows(&key)
        .shows("runs       bin/api --port 80")
        .shows("setup      setup.sh")
        .shows("needs      db")
        .shows("sets       MODE")
        .shows("0755");
    let told = inspect(&home, &["-o", "json"]).expect(0).json();
    assert_eq!(told["sha256"], again["sha256"]);
    assert_eq!(told["manifest"]["version"], "1.2.0");
    assert_eq!(told["key"], key.as_str());

    home.ok(&["package", "trust", "remove", &key]);
    home.run(&["package", "trust", "remove", &key]).expect(4);
    inspect(&home, &[]).expect(6);
}

#[test]
fn what_was_changed_or_should_not_be_is_refused_with_its_reason() {
    let home = home();
    let (_, public) = with_key(&home);
    home.ok(&["package", "trust", "add", &public]);
    home.ok(&["package", "build", "api"]);
    let path = home.path().join("api-1.2.0.tar.gz");
    let good = fs::read(&path).expect("there");
    let mut changed = good.clone();
    changed[20] ^= 1;
    fs::write(&path, &changed).expect("own");
    inspect(&home, &[])
        .expect(6)
        .says("the signature is not of this file");
    fs::write(&path, &good).expect("own");
    let other = "0".repeat(64);
    inspect(&home, &["--sha256", &other])
        .expect(6)
        .says("was asked for");
    fs::remove_file(home.path().join("api-1.2.0.tar.gz.minisig")).expect("there");
    inspect(&home, &[]).expect(6).says("there is no signature");
    inspect(&home, &["--allow-unsigned"])
        .expect(0)
        .shows("nobody");

    // Whoever signs may do wrong: an entry that the manifest does not list.
    let work = home.path().join("hostile");
    fs::create_dir(&work).expect("new");
    let unpack = ["-xzf", "../api-1.2.0.tar.gz"];
    tar(&work, &unpack);
    fs::write(work.join("evil"), "x").expect("own");
    let names = ["manifest.json", "bin/api", "evil", "setup.sh"];
    let pack = ["--format=ustar", "-czf", "../evil.tar.gz"];
    tar(&work, &[&pack[..], &names].concat());
    let key = fs::read_to_string(home.home().join("config/package.key")).expect("there");
    let key = SecretKey::parse(&key).expect("ours");
    let evil = fs::File::open(home.path().join("evil.tar.gz")).expect("made");
    let signature = Signature::of(evil, &key, "trust me").expect("read");
    home.write("evil.tar.gz.minisig", &signature.to_text());
    home.run(&["package", "inspect", "evil.tar.gz"])
        .expect(1)
        .says("`evil` is in the archive, not in the manifest");
    let told = home.run(&["package", "inspect", "evil.tar.gz", "-o", "json"]);
    assert!(told.expect(1).stderr.starts_with("{\"error\""));
}

fn tar(directory: &Path, words: &[&str]) {
    let status = Command::new("tar")
        .args(words)
        .current_dir(directory)
        .status();
    assert!(status.expect("tar runs").success());
}

#[test]
fn what_cannot_be_packed_or_signed_is_told() {
    let home = home();
    home.run(&["package", "build", "api/bin", "--unsigned"])
        .expect(1)
        .says("package.yaml");
    home.write("api/package.yaml", "name: api\nversion: one\n");
    home.run(&["package", "build", "api", "--unsigned"])
        .expect(78)
        .says("line 2");
    home.write("api/package.yaml", RECIPE);
    let inside = ["package", "build", "api", "--unsigned", "--to", "api/it.gz"];
    home.run(&inside)
        .expect(2)
        .says("would be in the directory");
    home.ok(&["package", "build", "api", "--unsigned"])
        .shows("nobody");
    assert!(!home.path().join("api-1.2.0.tar.gz.minisig").exists());
    home.write("open.key", "x");
    let key = home.path().join("open.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("own");
    home.run(&["package", "build", "api", "--key", "open.key"])
        .expect(6)
        .says("chmod go=");
    fs::remove_file(home.path().join("api/bin/api")).expect("there");
    home.run(&["package", "build", "api", "--unsigned"])
        .expect(1)
        .says("is empty");
    let left = fs::read_dir(home.path()).expect("there").flatten();
    let unfinished = left.filter(|entry| entry.file_name().to_string_lossy().ends_with(".new"));
    assert_eq!(unfinished.count(), 0);
}
