//! Archives that nobody should take: each is refused with its own reason, and nothing is written anywhere.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

#[path = "../support/mod.rs"]
mod support;

mod hosts;

use std::fs;

use harness_package::{
    Clash, InspectError, Limits, LinkFault, PathFault, Refusal, Right, UnpackError, admit,
};
use support::{Raw, Tar, file, gzip, listed, listed_link, tree};

/// Unpacks beside something that must stay as it is, and gives the reason of the refusal.
#[track_caller]
fn refused_within(archive: &[u8], limits: &Limits) -> Refusal {
    let home = tempfile::tempdir().unwrap();
    let into = home.path().join("packages");
    fs::create_dir(&into).unwrap();
    fs::write(home.path().join("victim"), "untouched").unwrap();
    let before = tree(home.path());
    let admitted = admit(file(archive), Right::Unsigned, None).unwrap();
    let error = admitted.unpack(&into, limits).unwrap_err();
    assert_eq!(tree(home.path()), before, "something was written");
    match error {
        UnpackError::Archive(InspectError::Refused(refusal)) => refusal,
        other => panic!("not a refusal: {other:?}"),
    }
}

/// Refused here, and on a host with the same words.
#[track_caller]
fn refused(archive: &[u8]) -> Refusal {
    let refusal = refused_within(archive, &Limits::default());
    hosts::refuse(archive, &refusal);
    refusal
}

macro_rules! assert_refused {
    ($archive:expr, $pattern:pat) => {
        let refusal = refused(&$archive);
        assert!(matches!(refusal, $pattern), "{refusal:?}");
    };
}

fn with(header: Raw) -> Vec<u8> {
    Tar::listing("").entry(header, b"").archive()
}

fn named(path: &[u8]) -> Vec<u8> {
    if path.len() <= 100 {
        with(Raw::file(path, 0))
    } else {
        Tar::listing("")
            .extended(&[("path", path)])
            .entry(Raw::file(b"short", 0), b"")
            .archive()
    }
}

#[test]
fn a_whole_archive_made_by_hand_is_taken() {
    let into = tempfile::tempdir().unwrap();
    let entries = [listed("d/file", b"hello"), listed_link("d/link", "file")].join(",");
    let archive = Tar::listing(&entries)
        .entry(Raw::file(b"d/file", 5), b"hello")
        .entry(Raw::link(b"d/link", b"file"), b"")
        .archive();
    let admitted = admit(file(&archive), Right::Unsigned, None).unwrap();
    let unpacked = admitted.unpack(into.path(), &Limits::default()).unwrap();
    assert_eq!(fs::read(unpacked.path.join("d/link")).unwrap(), b"hello");
}

#[test]
fn paths_that_may_not_be_are_refused() {
    for (path, fault) in [
        (&b""[..], PathFault::Empty),
        (b"/etc/passwd", PathFault::Absolute),
        (b"../escape", PathFault::Parent),
        (b"a/../../escape", PathFault::Parent),
        (b"a/..", PathFault::Parent),
        (b".", PathFault::OnlyDot),
        (b"./", PathFault::OnlyDot),
        (b"./.", PathFault::OnlyDot),
        (b"a\0b", PathFault::Nul),
        (b"a\xff", PathFault::NotUtf8),
        (b"..\\escape", PathFault::Backslash),
        (b"./a", PathFault::NotPlain),
        (b"a//b", PathFault::NotPlain),
        (b"a/", PathFault::NotPlain),
        (&b"a/".repeat(2048), PathFault::NotPlain),
        (&b"a/".repeat(2049), PathFault::TooLong),
        (&b"n".repeat(256), PathFault::PartTooLong),
        (&b"n/\0".repeat(100), PathFault::Nul),
    ] {
        let refusal = refused(&named(path));
        let Refusal::Path { fault: found, .. } = refusal else {
            panic!("{refusal:?} for {}", path.escape_ascii());
        };
        assert_eq!(found, fault, "{}", path.escape_ascii());
    }
}

#[test]
fn a_prefix_is_part_of_the_path() {
    let header = Raw {
        prefix: b"..".to_vec(),
        ..Raw::file(b"escape", 0)
    };
    assert_refused!(
        with(header),
        Refusal::Path {
            fault: PathFault::Parent,
            ..
        }
    );
}

#[test]
fn a_path_that_came_before_is_refused_in_every_spelling() {
    for again in [
        "a/file", "A/File", "./a/file", "a//file", "a/./file", "a/file/",
    ] {
        let archive = Tar::listing(&listed("a/file", b""))
            .entry(Raw::file(b"a/file", 0), b"")
            .entry(Raw::file(again.as_bytes(), 0), b"")
            .archive();
        assert_refused!(
            archive,
            Refusal::Clash {
                clash: Clash::Duplicate,
                ..
            }
        );
    }
    assert_refused!(
        with(Raw::file(b"Manifest.JSON", 0)),
        Refusal::Clash {
            clash: Clash::Duplicate,
            ..
        }
    );
}

#[test]
fn types_that_no_package_has_are_refused() {
    assert_refused!(with(Raw::of_kind(b"a", b'1')), Refusal::HardLink { .. });
    assert_refused!(with(Raw::of_kind(b"a", b'3')), Refusal::Device { .. });
    assert_refused!(with(Raw::of_kind(b"a", b'4')), Refusal::Device { .. });
    assert_refused!(with(Raw::of_kind(b"a", b'5')), Refusal::Directory { .. });
    assert_refused!(with(Raw::of_kind(b"a", b'6')), Refusal::Fifo { .. });
    assert_refused!(with(Raw::of_kind(b"a", b'S')), Refusal::Sparse { .. });
    for kind in [0, b'7', b'g', b'L', b'K', b'D', b'V', b'\xff'] {
        assert_refused!(with(Raw::of_kind(b"a", kind)), Refusal::UnknownType { .. });
    }
}

#[test]
fn a_sparse_file_of_the_extended_kind_is_refused() {
    let archive = Tar::listing("")
        .extended(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")])
        .entry(Raw::file(b"a", 0), b"")
        .archive();
    assert_refused!(archive, Refusal::Sparse { .. });
}

#[test]
fn links_that_lead_out_or_may_do_so_are_refused() {
    for (at, target) in [
        ("a", "/etc/passwd"),
        ("a", ".."),
        ("a", "../victim"),
        ("d/a", "../../victim"),
        ("d/a", "b/../../../victim"),
        ("d/a", "b/../c"),
    ] {
        assert_refused!(
            with(Raw::link(at.as_bytes(), target.as_bytes())),
            Refusal::Link {
                fault: LinkFault::Leaves,
                ..
            }
        );
    }
    for target in [&b""[..], b"a\\b", b"a\xff", b"a\0b", b"./a", b"a//b"] {
        assert_refused!(
            with(Raw::link(b"a", target)),
            Refusal::Link {
                fault: LinkFault::Path(_),
                ..
            }
        );
    }
}

#[test]
fn a_link_that_leads_out_is_refused_in_the_manifest_too() {
    let archive = Tar::listing(&listed_link("a", "../victim")).archive();
    assert_refused!(archive, Refusal::Manifest(_));
}

#[test]
fn nothing_may_be_below_a_link_or_a_file_whichever_comes_first() {
    let below_link = |clash: &Refusal| {
        matches!(
            clash,
            Refusal::Clash {
                clash: Clash::BelowLink,
                ..
            }
        )
    };
    let first = Tar::listing(&listed_link("d", "e"))
        .entry(Raw::link(b"d", b"e"), b"")
        .entry(Raw::file(b"D/file", 0), b"")
        .archive();
    assert!(below_link(&refused(&first)));
    let last = Tar::listing(&listed("d/file", b""))
        .entry(Raw::file(b"d/file", 0), b"")
        .entry(Raw::link(b"d", b"e"), b"")
        .archive();
    assert!(below_link(&refused(&last)));
    assert_refused!(
        with(Raw::file(b"run/file", 0)),
        Refusal::Clash {
            clash: Clash::BelowFile,
            ..
        }
    );
}

#[test]
fn setuid_and_setgid_are_refused() {
    for mode in [0o4755, 0o2755, 0o6755] {
        let header = Raw {
            mode,
            ..Raw::file(b"a", 0)
        };
        assert_refused!(with(header), Refusal::SetId { .. });
    }
}

#[test]
fn two_sizes_of_one_entry_are_refused() {
    // Who believes the extended header skips the second entry; who believes the header sees it.
    let archive = Tar::listing(&listed("a", b""))
        .extended(&[("size", b"512")])
        .entry(Raw::file(b"a", 0), b"")
        .entry(Raw::file(b"hidden", 0), b"")
        .archive();
    assert_refused!(archive, Refusal::SizesDisagree { .. });
}

#[test]
fn extended_headers_of_another_form_are_refused() {
    let after = |bytes: &[u8]| {
        let header = Raw {
            kind: b'x',
            ..Raw::file(b"x", bytes.len())
        };
        Tar::listing("")
            .entry(header, bytes)
            .entry(Raw::file(b"a", 0), b"")
            .archive()
    };
    for records in [
        &b"9 path=a"[..],
        b"99 path=a\n",
        b"+9 path=a\n",
        b"3 \n",
        b"0 path=a\n",
        b"10 path=ab\n10 path=cd\n",
        b"9 size=1\n9 size=1\n",
        b"10 size=-1\n",
        b"9 uid=00\n",
    ] {
        assert_refused!(after(records), Refusal::BadHeader { .. });
    }
    assert_refused!(after(&[b'0'; 20_000]), Refusal::BadHeader { .. });
    let twice = Tar::listing("")
        .extended(&[("path", b"a")])
        .extended(&[("path", b"b")])
        .entry(Raw::file(b"a", 0), b"");
    assert_refused!(twice.archive(), Refusal::BadHeader { .. });
}

#[test]
fn headers_of_another_form_are_refused() {
    let gnu = Raw {
        magic: b"ustar  \0",
        ..Raw::file(b"a", 0)
    };
    assert_refused!(with(gnu), Refusal::BadHeader { .. });
    let mut wrong_sum = Tar::listing("").entry(Raw::file(b"a", 0), b"").0;
    let at = wrong_sum.len() - 512;
    wrong_sum[at] = b'b';
    assert_refused!(Tar(wrong_sum).archive(), Refusal::BadHeader { .. });
    let with_bytes = Raw {
        size: 3,
        ..Raw::link(b"a", b"b")
    };
    assert_refused!(
        Tar::listing("").entry(with_bytes, b"abc").archive(),
        Refusal::BadHeader { .. }
    );
}

#[test]
fn more_than_the_limits_is_refused() {
    let limits = Limits {
        entries: 3,
        total_bytes: 4096,
        ..Limits::default()
    };
    let many = Tar::listing(&listed("a", b""))
        .entry(Raw::file(b"a", 0), b"")
        .entry(Raw::file(b"b", 0), b"");
    let refusal = refused_within(&many.archive(), &limits);
    assert!(matches!(refusal, Refusal::TooManyEntries { limit: 3 }));
    // Announced, and refused before a byte of it was read: there is none.
    let large = Tar::listing("").entry(Raw::file(b"a", 4096), b"");
    let refusal = refused_within(&large.archive(), &limits);
    assert!(matches!(refusal, Refusal::TooLarge { limit: 4096 }));
    // The limits as they are.
    assert_eq!(Limits::default().entries, 100_000);
    let large = Raw {
        size: 2 << 30,
        ..Raw::file(b"a", 0)
    };
    assert_refused!(with(large), Refusal::TooLarge { .. });
}

#[test]
fn what_grows_too_much_is_refused() {
    let zeros = vec![0; 4 << 20];
    let archive = Tar::listing(&listed("a", &zeros))
        .entry(Raw::file(b"a", zeros.len()), &zeros)
        .archive();
    assert_refused!(archive, Refusal::Ratio { limit: 200 });
}

#[test]
fn what_is_not_as_the_manifest_says_is_refused() {
    assert_refused!(with(Raw::file(b"a", 0)), Refusal::Unlisted { .. });
    let missing = Tar::listing(&listed("a", b""));
    assert_refused!(missing.archive(), Refusal::Missing { .. });
    let lists = || Tar::listing(&listed("a", b"abc"));
    let mode = Raw {
        mode: 0o755,
        ..Raw::file(b"a", 3)
    };
    assert_refused!(
        lists().entry(mode, b"abc").archive(),
        Refusal::WrongMode { .. }
    );
    let size = Raw::file(b"a", 4);
    assert_refused!(
        lists().entry(size, b"abcd").archive(),
        Refusal::WrongSize { .. }
    );
    let hash = Raw::file(b"a", 3);
    assert_refused!(
        lists().entry(hash, b"abd").archive(),
        Refusal::WrongHash { .. }
    );
    let link = Raw::link(b"a", b"b");
    assert_refused!(
        lists().entry(link, b"").archive(),
        Refusal::WrongLink { .. }
    );
    let elsewhere = Tar::listing(&listed_link("a", "c")).entry(Raw::link(b"a", b"b"), b"");
    assert_refused!(elsewhere.archive(), Refusal::WrongLink { .. });
}

#[test]
fn an_archive_that_does_not_begin_with_its_manifest_is_refused() {
    assert_refused!(Tar::default().archive(), Refusal::NoManifest);
    let other = Tar::default().entry(Raw::file(b"run", 3), b"run");
    assert_refused!(other.archive(), Refusal::NoManifest);
    let link = Tar::default().entry(Raw::link(b"manifest.json", b"/etc/passwd"), b"");
    assert_refused!(link.archive(), Refusal::NoManifest);
    let broken = Tar::default().entry(Raw::file(b"manifest.json", 1), b"{");
    assert_refused!(broken.archive(), Refusal::Manifest(_));
}

#[test]
fn what_follows_the_end_is_refused() {
    let tar = || Tar::listing("");
    let mut behind_gzip = tar().archive();
    behind_gzip.push(0);
    assert_refused!(behind_gzip, Refusal::TrailingGarbage);
    let mut second_gzip = tar().archive();
    second_gzip.extend(gzip(b"more"));
    assert_refused!(second_gzip, Refusal::TrailingGarbage);
    let mut behind_tar = tar().end();
    behind_tar.push(0);
    assert_refused!(gzip(&behind_tar), Refusal::TrailingGarbage);
    let mut behind_one_zero_block = tar().0;
    behind_one_zero_block.extend([0; 512]);
    behind_one_zero_block.extend(Raw::file(b"a", 0).block());
    assert_refused!(gzip(&behind_one_zero_block), Refusal::TrailingGarbage);
    let mut in_the_filling = tar().0;
    *in_the_filling.last_mut().unwrap() = 1;
    assert_refused!(Tar(in_the_filling).archive(), Refusal::TrailingGarbage);
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_refused() {
    let whole = Tar::listing("").archive();
    for length in 0..whole.len() {
        let refusal = refused(&whole[..length]);
        assert!(
            matches!(refusal, Refusal::Truncated),
            "{length}: {refusal:?}"
        );
    }
    let tar = Tar::listing("").end();
    for length in (0..tar.len()).step_by(256) {
        assert_refused!(gzip(&tar[..length]), Refusal::Truncated);
    }
}

#[test]
fn what_is_no_gzip_is_refused() {
    assert_refused!(Tar::listing("").end(), Refusal::NotGzip);
    assert_refused!(*b"#!/bin/sh\nrm -rf /\n", Refusal::NotGzip);
    let mut wrong_sum = Tar::listing("").archive();
    let at = wrong_sum.len() - 8;
    wrong_sum[at] ^= 1;
    assert_refused!(wrong_sum, Refusal::NotGzip);
}
