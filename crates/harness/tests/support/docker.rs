//! Stacks of containers, and the engine's own command line beside them.
//!
//! Owns: what every test of containers says in the same words.

use std::process::Command;

use super::Home;

/// Takes the stack down with its network, whatever became of the test.
pub(crate) struct Stack<'a>(pub(crate) &'a Home);

impl Drop for Stack<'_> {
    fn drop(&mut self) {
        let down = self.0.run(&["down", "--yes"]);
        if !std::thread::panicking() {
            // 4: the test has done so itself.
            assert!(matches!(down.code, 0 | 4), "{down:?}");
        }
    }
}

/// What the engine's own command line says.
#[track_caller]
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output();
    let output = output.expect("docker's command line is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Whether a step of a build sleeps for so long.
pub(crate) fn is_building(seconds: u32) -> bool {
    let all = docker(&["ps", "--no-trunc", "--format", "{{.Command}}"]);
    all.contains(&format!("sleep {seconds}"))
}

/// What everything of this run of the tests is marked with, so that nothing of it is left unseen.
pub(crate) fn run() -> String {
    std::env::var("HARNESS_TEST_RUN").unwrap_or_else(|_| "by-hand".into())
}
