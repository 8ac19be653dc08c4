//! What `run TASK` passes on to a task in a container, of the image `harness-test/busybox` (see docker-test-env).
//!
//! `cargo nextest run -p harness --features docker-tests`

#![cfg(feature = "docker-tests")]

mod support;

use std::fs::File;
use std::process::Stdio;

use support::{Home, Run};

fn home(test: &str) -> Home {
    let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
    let name = format!("input-{}-{test}", std::process::id());
    Home::new(&format!(
        "name: {name}
tasks:
  sum: {{type: docker, image: harness-test/busybox, command: [md5sum], labels: {{harness-test.run: \"{run}\"}}}}
  deaf: {{type: docker, image: harness-test/busybox, command: ['true'], labels: {{harness-test.run: \"{run}\"}}}}
"
    ))
}

fn run_with(home: &Home, task: &str, stdin: Stdio) -> Run {
    let mut command = home.command(&["-q", "run", task]);
    Run::of(command.stdin(stdin).output().expect("it runs"))
}

#[test]
fn a_task_in_a_container_gets_every_byte_of_a_file_and_its_end() {
    let home = home("all");
    let dump: Vec<u8> = (0..5_u32 << 20)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(home.path().join("dump"), &dump).expect("written");
    let open = || File::open(home.path().join("dump")).expect("there");
    let sum = std::process::Command::new("md5sum").stdin(open()).output();
    let sum = Run::of(sum.expect("it runs")).expect(0).stdout;
    let run = run_with(&home, "sum", open().into()).expect(0);
    assert_eq!(run.stdout.trim(), sum.trim());
    let run = run_with(&home, "sum", Stdio::null()).expect(0);
    assert_eq!(run.stdout.trim(), "d41d8cd98f00b204e9800998ecf8427e  -");
    let zeros = File::open("/dev/zero").expect("there");
    run_with(&home, "deaf", zeros.into()).expect(0);
    home.ok(&["down", "--yes"]);
}
