//! Quoting, read back by real shells.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::{Command as Native, Stdio};

use command_executor::{Command, quote};
use proptest::prelude::*;

/// The shells every quoted word must survive, as program and leading arguments.
const SHELLS: [&[&str]; 3] = [&["dash"], &["bash"], &["busybox", "ash"]];

fn run(shell: &[&str], script: &std::ffi::OsStr) -> Vec<u8> {
    let output = Native::new(shell[0])
        .args(&shell[1..])
        .arg("-c")
        .arg(script)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{error}: this test needs `{}` (Debian: apt-get install dash bash busybox-static)",
                shell[0]
            )
        });
    assert!(
        output.status.success(),
        "{shell:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn terminated(words: &[OsString]) -> Vec<u8> {
    words
        .iter()
        .flat_map(|word| [word.as_bytes(), b"\0"].concat())
        .collect()
}

/// Words of any bytes but NUL, with those that mean something to a shell made likely.
fn word() -> impl Strategy<Value = OsString> {
    let special = prop::sample::select(
        b" \t\n\r'\"\\$`!#&*()[]{}|;<>?~^=%-:,@+/\x01\x7f\x80\xc3\xff".as_slice(),
    );
    let byte = prop_oneof![special, 1..=255_u8, b'a'..=b'z'];
    prop::collection::vec(byte, 0..24).prop_map(OsString::from_vec)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_shell_reads_the_words_that_were_quoted(words in prop::collection::vec(word(), 1..20)) {
        let mut script = OsString::from("printf '%s\\0' ");
        script.push(quote::words(&words).expect("there is no NUL"));
        for shell in SHELLS {
            prop_assert_eq!(run(shell, &script), terminated(&words), "{:?} of {:?}", shell, script);
        }
    }

    #[test]
    fn every_shell_runs_a_command_with_its_arguments_and_environment(
        words in prop::collection::vec(word(), 0..5), value in word(),
    ) {
        let mut command = Command::new("sh");
        command.args(["-c", "printf '%s\\0' \"$VALUE\" \"$@\"", "sh"]).args(&words).env("VALUE", &value);
        let line = quote::command(&command).expect("there is no NUL");
        let expected = terminated(&[vec![value], words].concat());
        for shell in SHELLS {
            prop_assert_eq!(run(shell, &line), expected.clone(), "{:?} of {:?}", shell, line);
        }
    }
}

#[test]
fn directory_and_removed_variables_are_carried() {
    let directory = testkit::temp_dir();
    let inner = directory.path().join("- a 'b' $c");
    std::fs::create_dir(&inner).expect("it can be made");
    let mut command = Command::new("sh");
    command.args(["-c", "pwd; echo ${HOME-unset} ${A-unset}"]);
    command.env("A", "1").env_remove("HOME").current_dir(&inner);
    let line = quote::command(&command).expect("there is no NUL");
    for shell in SHELLS {
        let expected = format!("{}\nunset 1\n", inner.display());
        assert_eq!(String::from_utf8_lossy(&run(shell, &line)), expected);
    }
}

#[test]
fn an_empty_environment_is_empty() {
    let mut command = Command::new("/usr/bin/env");
    command.env_clear().env("ONLY", "this");
    let line = quote::command(&command).expect("there is no NUL");
    for shell in SHELLS {
        assert_eq!(String::from_utf8_lossy(&run(shell, &line)), "ONLY=this\n");
    }
}

#[test]
fn a_program_whose_name_looks_like_an_assignment_is_still_a_program() {
    let directory = testkit::temp_dir();
    let program = directory.path().join("a=b");
    std::os::unix::fs::symlink(Path::new("/bin/echo"), &program).expect("it can be linked");
    let mut command = Command::new(&program);
    command.arg("here");
    let line = quote::command(&command).expect("there is no NUL");
    for shell in SHELLS {
        assert_eq!(run(shell, &line), b"here\n");
    }
}

#[test]
fn nul_is_refused() {
    assert_eq!(
        quote::word("a\0b")
            .expect_err("no shell carries it")
            .to_string(),
        "\"a\\0b\" holds a NUL byte"
    );
    let mut command = Command::new("true");
    command.env("A", "x\0y");
    quote::command(&command).expect_err("no shell carries it");
}
