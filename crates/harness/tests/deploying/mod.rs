//! Packages to deploy, and what became of them.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness_package::{Recipe, SecretKey, Signature, TrustStore, build};
use service_orchestration::package::{DeployOptions, SignedPackage, SlotName};
use testkit::TempDir;

/// Where packages are made, and whose they are.
pub(crate) struct Workshop {
    directory: TempDir,
    key: SecretKey,
}

impl Workshop {
    pub(crate) fn new() -> Self {
        let directory = testkit::temp_dir();
        let key = SecretKey::generate().expect("random bytes");
        // For other processes of the test, too.
        let trusted = directory.path().join("trusted");
        fs::create_dir(&trusted).expect("new");
        fs::set_permissions(&trusted, fs::Permissions::from_mode(0o700)).expect("own");
        write(&trusted.join("own.pub"), key.public().to_text().as_bytes());
        Self { directory, key }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where packages go that are deployed on this machine.
    pub(crate) fn root(&self) -> PathBuf {
        self.path().join("root")
    }

    /// An archive of the package `demo`: a program that says its version, a setup script if there is one, and so much ballast that does
    /// not compress.
    pub(crate) fn archive(&self, version: &str, setup: Option<&str>, ballast: usize) -> PathBuf {
        let work = self.path().join(format!("work-{version}"));
        fs::create_dir(&work).expect("new");
        program(&work.join("run"), &format!("echo {version}"));
        let mut text = format!("name: demo\nversion: {version}\nservice: {{binary: run}}\n");
        text += "environment: {OF_PACKAGE: yes}\n";
        if let Some(setup) = setup {
            program(&work.join("setup.sh"), setup);
            text += "setup: setup.sh\n";
        }
        if ballast > 0 {
            write(&work.join("ballast"), &noise(ballast, version));
        }
        self.pack(version, &work, &text)
    }

    /// One whose program is this script.
    pub(crate) fn service(&self, version: &str, script: &str) -> PathBuf {
        let work = self.path().join(format!("work-{version}"));
        fs::create_dir(&work).expect("new");
        program(&work.join("run"), script);
        let recipe = format!(
            "name: demo\nversion: {version}\nservice: {{binary: run, args: [one, 'two words']}}\nenvironment: {{OF_PACKAGE: yes, MODE: package}}\n"
        );
        self.pack(version, &work, &recipe)
    }

    /// One whose ballast takes half of its room in the archive.
    pub(crate) fn archive_of_text(&self, version: &str, ballast: usize) -> PathBuf {
        let work = self.path().join(format!("work-{version}"));
        fs::create_dir(&work).expect("new");
        program(&work.join("run"), &format!("echo {version}"));
        let noise = noise(ballast / 2, version);
        let text: String = noise.iter().map(|byte| format!("{byte:02x}")).collect();
        write(&work.join("ballast"), text.as_bytes());
        let recipe = format!("name: demo\nversion: {version}\nservice: {{binary: run}}\n");
        self.pack(version, &work, &recipe)
    }

    /// What `sha256sum ballast run setup.sh` says of a version.
    pub(crate) fn sums(&self, version: &str) -> String {
        let work = self.path().join(format!("work-{version}"));
        let line = |name: &str| {
            let bytes = fs::read(work.join(name)).expect("there");
            format!("{}  {name}", harness_package::Digest::of(&bytes))
        };
        ["ballast", "run", "setup.sh"].map(line).join("\n")
    }

    fn pack(&self, version: &str, work: &Path, recipe: &str) -> PathBuf {
        let recipe = Recipe::from_yaml(recipe).expect("a recipe");
        let path = self.path().join(format!("demo-{version}.tar.gz"));
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let mut file = options.open(&path).expect("new");
        build(work, &recipe, &mut file).expect("packed");
        let archive = fs::File::open(&path).expect("there");
        let signature = Signature::of(archive, &self.key, "").expect("read");
        write(&signature_of(&path), signature.to_text().as_bytes());
        path
    }

    pub(crate) fn package(&self, version: &str, setup: Option<&str>) -> SignedPackage {
        self.signed(&self.archive(version, setup, 0))
    }

    pub(crate) fn signed(&self, archive: &Path) -> SignedPackage {
        signed(self.path(), archive)
    }
}

/// The package of an archive of the workshop in this directory.
pub(crate) fn signed(workshop: &Path, archive: &Path) -> SignedPackage {
    let store = TrustStore::read(&workshop.join("trusted")).expect("sound");
    SignedPackage::open(archive, &signature_of(archive), &store).expect("sound")
}

pub(crate) fn slot() -> SlotName {
    SlotName::try_from("shop.demo".to_owned()).expect("a name")
}

pub(crate) fn options() -> DeployOptions {
    DeployOptions::by("tester@here")
}

fn signature_of(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

fn program(path: &Path, script: &str) {
    write(path, format!("#!/bin/sh\n{script}\n").as_bytes());
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("own");
}

fn write(path: &Path, bytes: &[u8]) {
    let mut file = fs::File::create(path).expect("own");
    file.write_all(bytes).expect("room");
}

/// Bytes that are others for each version and that no compression makes shorter.
fn noise(length: usize, version: &str) -> Vec<u8> {
    let seed = version
        .bytes()
        .fold(0x9e37_79b9_7f4a_7c15_u64, |seed, byte| {
            (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let mut state = seed | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}
