//! The stack files that people have: accepted, or refused at the right places; what cannot be run here is named.

mod shown;
mod support;

use shown::Sandbox;
use support::Run;

fn with(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new("");
    std::fs::remove_file(sandbox.path().join("harness.yaml")).expect("it was just written");
    for name in names {
        let path = format!(
            "{}/../harness-config/tests/fixtures/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).expect("a file of the workspace");
        sandbox.write(name, &text);
    }
    sandbox
}

/// The places of the errors (or warnings) that `validate` tells.
fn places(sandbox: &Sandbox, severity: &str, file: &str, code: i32) -> Vec<String> {
    let mut command = sandbox.command(&["validate", "-o", "github", file]);
    let output = command
        .env("DEPLOYER_PRIVATE_KEY", "0x1")
        .output()
        .expect("runs");
    let run = Run::of(output).expect(code);
    let place = |line: &str| -> Option<String> {
        let rest = line.strip_prefix(&format!("::{severity} file={file},line="))?;
        let (line, rest) = rest.split_once(",col=")?;
        let column = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(format!("{line}:{column}"))
    };
    run.stdout.lines().filter_map(place).collect()
}

#[test]
fn every_error_is_told_at_its_place_and_no_other() {
    let sandbox = with(&["bad.yaml", "duplicate-key.yaml"]);
    assert_eq!(
        places(&sandbox, "error", "bad.yaml", 78),
        ["7:21", "11:7", "14:13"]
    );
    assert_eq!(places(&sandbox, "error", "duplicate-key.yaml", 78), ["4:3"]);
    sandbox
        .run(&["validate", "duplicate-key.yaml"])
        .expect(78)
        .shows("duplicate-key.yaml:4:3")
        .shows("db");
    for file in ["bad.yaml", "duplicate-key.yaml"] {
        sandbox
            .run(&["start", "--file", file])
            .expect(78)
            .says(file);
    }
    sandbox
        .run(&["status"])
        .expect(5)
        .says("no daemon is running");
}

#[test]
fn what_people_have_is_accepted() {
    let files = [
        "services.yaml",
        "seed-001.yaml",
        "graph-stack-with-tasks.yaml",
    ];
    let sandbox = with(&files);
    for file in files {
        assert_eq!(places(&sandbox, "error", file, 0), [""; 0], "{file}");
        let mut strict = sandbox.command(&["validate", "--strict", file]);
        let output = strict
            .env("DEPLOYER_PRIVATE_KEY", "0x1")
            .output()
            .expect("runs");
        // All that one of them needs is there; the others link to implementations that this program does not have.
        Run::of(output).expect(if file == "services.yaml" { 0 } else { 78 });
    }
    sandbox
        .run(&["validate", "graph-stack-with-tasks.yaml"])
        .expect(78)
        .shows("DEPLOYER_PRIVATE_KEY");
}

#[test]
fn a_stack_that_needs_what_cannot_be_run_is_refused_by_name_and_the_rest_of_it_runs() {
    let sandbox = with(&[]);
    sandbox.write(
        "mixed.yaml",
        "name: mixed\nservices:\n  \
         db: {type: remote, host: elsewhere, binary: postgres}\n  \
         api: {type: process, binary: FIXTURE, args: [hold], depends_on: [db]}\n  \
         cache: {type: process, binary: FIXTURE, args: [hold]}\n  \
         web: {type: process, binary: FIXTURE, args: [hold], depends_on: [cache]}\n",
    );
    let mixed = ["--file", "mixed.yaml"];
    let run = |rest: &[&str]| sandbox.run(&[&mixed[..], rest].concat());
    run(&["start"]).expect(69).says("`db` cannot be run here");
    run(&["start", "--wait", "web"]).expect(0);
    let states = run(&["status", "-o", "json"]).expect(0).json();
    let state = |name: &str| {
        let units = states["items"].as_array().expect("a list");
        let unit = units.iter().find(|unit| unit["name"] == name);
        unit.map(|unit| (unit["state"].clone(), unit["pid"].is_u64()))
    };
    assert_eq!(state("web"), Some(("ready".into(), true)));
    assert_eq!(state("cache"), Some(("ready".into(), true)));
    assert_eq!(state("api"), Some(("idle".into(), false)));
    assert_eq!(state("db"), Some(("idle".into(), false)));
    run(&["start", "api"]).expect(69).says("`db`");
    run(&["start", "--wait", "--no-deps", "api"]).expect(0);
}
