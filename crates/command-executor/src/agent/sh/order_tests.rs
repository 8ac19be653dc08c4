//! Orders, as the shells read them.

use std::fs::Permissions;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use proptest::prelude::*;
use service_shim::{LogPolicy, StopPolicy};

use super::*;

fn spec(args: Vec<Vec<u8>>, value: Vec<u8>) -> LaunchSpec {
    LaunchSpec {
        instance_id: "0123456789ab".to_owned(),
        attempt: 3,
        program: "/bin/prog'ram".into(),
        args: args.into_iter().map(RawString::from_bytes).collect(),
        env: vec![
            ("VALUE".into(), RawString::from_bytes(value)),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ],
        cwd: Some("/a b/'c".into()),
        user: None,
        group: None,
        umask: 0o022,
        no_new_privs: true,
        log: LogPolicy::new("/log dir"),
        stop: StopPolicy::default(),
        notify: false,
        stdin: false,
        cgroup: true,
    }
}

/// What a program that a shell becomes by a script is told: its words, the value and the directory, each with a zero behind it.
fn read_by(shell: &[&str], script: &OsStr, shown: &Path) -> Vec<Vec<u8>> {
    let mut all = script.as_bytes().to_vec();
    // Only the function may know them.
    all.extend_from_slice(b"\nexport order_dir order_program; order_exec \"$SHOWN\"\n");
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c");
    command.arg(OsString::from_vec(all)).stdin(Stdio::null());
    command.env("LC_ALL", "C").env("SHOWN", shown);
    let output = command.output().expect("the shell is there");
    let text = output.stdout.strip_suffix(b"\0").unwrap_or_default();
    text.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// A program that shows what it is told.
fn shown(directory: &Path) -> PathBuf {
    let path = directory.join("shown");
    let script = "#!/bin/sh\nfor word; do printf '%s\\0' \"$word\"; done\n\
        printf '%s\\0%s\\0%s\\0' \"$VALUE\" \"$order_dir\" \"$order_program\"\n";
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("ours");
    path
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        1u8..=255,
        prop::sample::select(b"'\"\\$`!*?[]{}()<>|&;~# \t\n=-".as_slice())
    ];
    prop::collection::vec(byte, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn words_and_values_pass_through_every_shell(
        args in prop::collection::vec(word(), 0..4),
        value in word(),
    ) {
        let script = script(&spec(args.clone(), value.clone()), 5).expect("a shell can do it");
        let mut expected = args;
        expected.extend([value, b"/a b/'c".to_vec(), b"/bin/prog'ram".to_vec()]);
        let directory = tempfile::tempdir().expect("a directory");
        let shown = shown(directory.path());
        for shell in [&["dash"][..], &["bash"], &["busybox", "ash"]] {
            prop_assert_eq!(&read_by(shell, &script, &shown), &expected, "{:?}", shell);
        }
    }
}

#[test]
fn what_a_shell_cannot_set_is_refused() {
    for name in ["a.b", "", "1a", "UID", "IFS", "order_dir", "a b", "\u{e4}"] {
        let mut spec = spec(Vec::new(), Vec::new());
        spec.env.push((name.into(), "x".into()));
        let failure = script(&spec, 5).expect_err("refused");
        assert_eq!(failure.kind, StartFailureKind::Order, "{name}");
        let argv = ["true".into()];
        command(&argv, &[(name.into(), "x".into())], None).expect_err("refused");
    }
    command(&[], &[], None).expect_err("empty");
}

#[test]
fn no_word_stands_outside_of_the_script() {
    let text = script(&spec(vec![b"word".to_vec()], b"secret".to_vec()), 5).expect("a script");
    let text = text.to_string_lossy();
    assert!(text.ends_with("\n: whole"), "{text}");
    assert!(
        text.contains("order_time=5\n") && text.contains("order_umask=022\n"),
        "{text}"
    );
}
