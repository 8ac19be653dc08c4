//! Archives by hand, and directories to compare.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use harness_package::{Built, Digest, Recipe, build};

pub(crate) const RECIPE: &str = "name: demo\nversion: 1.2.3\nservice: {binary: run}\n";

pub(crate) fn recipe() -> Recipe {
    Recipe::from_yaml(RECIPE).unwrap()
}

/// An unnamed file with these bytes.
pub(crate) fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// What was built, and its bytes.
pub(crate) fn built(directory: &Path, recipe: &Recipe) -> (Built, Vec<u8>) {
    let mut out = tempfile::tempfile().unwrap();
    let built = build(directory, recipe, &mut out).unwrap();
    out.rewind().unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut out, &mut bytes).unwrap();
    (built, bytes)
}

/// What is at a path, for comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    File { mode: u32, bytes: Vec<u8> },
    Link(String),
    Directory,
}

/// Everything below a directory.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Node> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for child in fs::read_dir(&directory).unwrap() {
            let path = child.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let node = if metadata.is_symlink() {
                Node::Link(fs::read_link(&path).unwrap().to_str().unwrap().to_owned())
            } else if metadata.is_dir() {
                open.push(path.clone());
                Node::Directory
            } else {
                Node::File {
                    mode: metadata.mode() & 0o7777,
                    bytes: fs::read(&path).unwrap(),
                }
            };
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            found.insert(name.to_owned(), node);
        }
    }
    found
}

pub(crate) fn put(root: &Path, path: &str, mode: u32, bytes: &[u8]) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(&at, bytes).unwrap();
    fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::new(6));
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A header whose every field can be set, with its checksum.
#[derive(Clone)]
pub(crate) struct Raw {
    pub(crate) name: Vec<u8>,
    pub(crate) prefix: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) kind: u8,
    pub(crate) magic: &'static [u8; 8],
}

impl Raw {
    pub(crate) fn file(name: &[u8], size: usize) -> Self {
        Self {
            name: name.to_vec(),
            prefix: vec![],
            link: vec![],
            mode: 0o644,
            size: size as u64,
            kind: b'0',
            magic: b"ustar\x0000",
        }
    }

    pub(crate) fn of_kind(name: &[u8], kind: u8) -> Self {
        Self {
            kind,
            ..Self::file(name, 0)
        }
    }

    pub(crate) fn link(name: &[u8], target: &[u8]) -> Self {
        Self {
            link: target.to_vec(),
            mode: 0o777,
            ..Self::of_kind(name, b'2')
        }
    }

    pub(crate) fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        block[..self.name.len()].copy_from_slice(&self.name);
        block[345..345 + self.prefix.len()].copy_from_slice(&self.prefix);
        block[157..157 + self.link.len()].copy_from_slice(&self.link);
        block[100..107].copy_from_slice(format!("{:07o}", self.mode).as_bytes());
        block[124..135].copy_from_slice(format!("{:011o}", self.size).as_bytes());
        block[156] = self.kind;
        block[257..265].copy_from_slice(self.magic);
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// A tar that grows block by block.
#[derive(Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    /// With a manifest that lists these entries (as JSON), and an executable `run` which follows it.
    pub(crate) fn listing(entries: &str) -> Self {
        let comma = if entries.is_empty() { "" } else { "," };
        let run = Digest::of(b"run");
        let manifest = format!(
            r#"{{"format":1,"name":"demo","version":"1.2.3","service":{{"binary":"run"}},"files":[
            {{"path":"run","mode":"0755","size":3,"sha256":"{run}"}}{comma}{entries}]}}"#
        );
        let executable = Raw {
            mode: 0o755,
            ..Raw::file(b"run", 3)
        };
        Self::default()
            .entry(
                Raw::file(b"manifest.json", manifest.len()),
                manifest.as_bytes(),
            )
            .entry(executable, b"run")
    }

    pub(crate) fn entry(mut self, header: Raw, bytes: &[u8]) -> Self {
        self.0.extend(header.block());
        self.bytes(bytes)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// An extended header with records whose lengths are right.
    pub(crate) fn extended(self, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = 3 + key.len() + value.len();
            let length = (1..)
                .map(|digits| rest + digits)
                .find(|length| length.to_string().len() + rest == *length)
                .unwrap();
            bytes.extend(format!("{length} {key}=").as_bytes());
            bytes.extend(*value);
            bytes.push(b'\n');
        }
        let header = Raw {
            kind: b'x',
            ..Raw::file(b"x", bytes.len())
        };
        self.entry(header, &bytes)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 1024]);
        self.0
    }

    pub(crate) fn archive(self) -> Vec<u8> {
        gzip(&self.end())
    }
}

/// A file's line in a manifest.
pub(crate) fn listed(path: &str, bytes: &[u8]) -> String {
    let (size, hash) = (bytes.len(), Digest::of(bytes));
    format!(r#"{{"path":"{path}","mode":"0644","size":{size},"sha256":"{hash}"}}"#)
}

pub(crate) fn listed_link(path: &str, target: &str) -> String {
    format!(r#"{{"path":"{path}","link":"{target}"}}"#)
}
