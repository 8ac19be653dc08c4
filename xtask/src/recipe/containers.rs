//! The environment under `docker-test-env/`: an engine, images, and whether they are what its README says.
//!
//! Owns: when its scripts are called, and the label by which a run of tests marks what it makes. What the scripts do is
//! theirs; never stops an engine.

use std::time::SystemTime;

use crate::failure::Failure;
use crate::recipe::setup;
use crate::sandbox::build_programs;
use crate::step::Step;
use crate::workspace;

/// The variable that tells tests the name of the run that they are part of.
pub(crate) const RUN: &str = "HARNESS_TEST_RUN";

/// The label that they put on every container, network and volume, with that name.
const LABEL: &str = "harness-test.run";

/// Builds what goes into images, brings up what is missing, and tries all of it.
///
/// # Errors
/// When something cannot be brought up, or is not what it should be.
pub(crate) fn run() -> Result<(), Failure> {
    build_programs()?;
    prepare()?;
    check()
}

/// An engine that answers, and the images on it. Takes under a second when both are there.
///
/// # Errors
/// When the engine cannot be installed or started, or an image cannot be built.
pub(crate) fn prepare() -> Result<(), Failure> {
    let engine = script("engine");
    if setup::is_root() || Step::new("docker", ["version"]).succeeds() {
        Step::new(engine, ["up"]).run()?;
    } else {
        Step::new("sudo", [engine.as_str(), "up"]).run()?;
    }
    Step::new(script("images"), ["build"]).run()?;
    Step::new(script("images"), ["alias"]).run()
}

/// Tries every image and both kinds of engine, with the programs that are built already.
///
/// # Errors
/// When one is not what it should be, or something is left behind.
pub(crate) fn check() -> Result<(), Failure> {
    let programs = workspace::programs()?.display().to_string();
    Step::new(script("images"), ["harness", &programs]).run()?;
    let test = script("test");
    if setup::is_root() {
        Step::new(test, [""; 0]).run()
    } else {
        // Engines of one's own and namespaces are part of the trials.
        Step::new("sudo", [test]).run()
    }
}

/// A name for a run of tests.
pub(crate) fn new_run() -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!("x{}-{}", now.as_secs(), std::process::id())
}

/// Fails when a run of tests left something on the engine.
///
/// # Errors
/// [`Failure::Unmet`] with what is there, or when the engine does not answer any more.
pub(crate) fn expect_nothing_left(run: &str) -> Result<(), Failure> {
    let label = format!("label={LABEL}={run}");
    let mut left = Vec::new();
    for list in [
        &["ps", "--all", "--format", "container {{.Names}}"][..],
        &["network", "ls", "--format", "network {{.Name}}"],
        &["volume", "ls", "--format", "volume {{.Name}}"],
    ] {
        let arguments = list.iter().copied().chain(["--filter", &label]);
        let names = Step::new("docker", arguments).text()?;
        left.extend(names.lines().map(str::to_owned));
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::Unmet {
        claim: "tests leave nothing on the engine".into(),
        found: left.join(", "),
    })
}

fn script(name: &str) -> String {
    let path = workspace::root().join("docker-test-env").join(name);
    path.display().to_string()
}
