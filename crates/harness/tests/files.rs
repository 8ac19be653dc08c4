//! Stack files as the program meets them.

mod support;

use std::process::Stdio;

use support::Home;

fn fixture(name: &str) -> String {
    let path = format!(
        "{}/../harness-config/tests/fixtures/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).expect("a file of the workspace")
}

#[test]
fn all_errors_of_a_file_are_told_with_their_places() {
    let home = Home::empty();
    home.write("bad.yaml", &fixture("bad.yaml"));
    home.write("duplicate-key.yaml", &fixture("duplicate-key.yaml"));
    let run = home.run(&["validate", "bad.yaml"]).expect(78);
    let run = run
        .shows("bad.yaml:7:21")
        .shows("bad.yaml:11:7")
        .shows("bad.yaml:14:13");
    assert_eq!(run.stdout.matches("error[").count(), 3, "{}", run.stdout);
    home.run(&["validate", "duplicate-key.yaml"])
        .expect(78)
        .shows("duplicate-key.yaml:4:3");
    home.run(&["validate", "bad.yaml", "duplicate-key.yaml"])
        .expect(78)
        .shows("bad.yaml:7:21")
        .shows(":4:3");
    home.run(&["validate", "-o", "github", "bad.yaml"])
        .expect(78)
        .shows("::error file=bad.yaml,line=7,col=21");
    let json = home
        .run(&["validate", "-o", "json", "bad.yaml"])
        .expect(78)
        .json();
    assert_eq!(json["errors"], 3);
}

#[test]
fn good_files_are_good() {
    let home = Home::empty();
    for name in [
        "services.yaml",
        "seed-001.yaml",
        "graph-stack-with-tasks.yaml",
    ] {
        home.write(name, &fixture(name));
        let output = home
            .command(&["validate", name])
            .env("DEPLOYER_PRIVATE_KEY", "0x1")
            .output();
        let run = support::Run::of(output.expect("runs"));
        run.expect(0).shows(name);
    }
}

#[test]
fn files_are_laid_over_each_other_and_standard_input_is_one() {
    let home = Home::new("name: base\nservices: {a: {type: process, binary: /bin/true}}\n");
    home.write(
        "over.yaml",
        "services: {a: {env: {COLOUR: blue, API_KEY: hidden}}}\n",
    );
    let run = home
        .ok(&["config", "render", "-f", "harness.yaml", "-f", "over.yaml"])
        .shows("blue");
    assert!(!run.stdout.contains("hidden"), "{}", run.stdout);
    home.ok(&[
        "config",
        "render",
        "--show-secrets",
        "-f",
        "harness.yaml",
        "-f",
        "over.yaml",
    ])
    .shows("hidden");
    let mut command = home.command(&["config", "render", "-f", "-"]);
    let input = std::fs::File::open(home.path().join("harness.yaml")).expect("it is there");
    let output = command.stdin(Stdio::from(input)).output().expect("runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("name: base"));
}

#[test]
fn completions_are_made_for_shells() {
    let home = Home::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        home.ok(&["completions", shell]).shows("harness");
    }
    let script = home.ok(&["completions", "bash"]).stdout;
    home.write("completions.bash", &script);
    let checked = std::process::Command::new("bash")
        .arg("-n")
        .arg(home.path().join("completions.bash"))
        .status();
    assert!(checked.expect("bash is there").success());
    home.ok(&["--version"]).shows("harness 0.1.0");
}

/// What the shell would offer behind these words.
fn offered(home: &Home, words: &[&str]) -> Vec<String> {
    let last = words.len().to_string();
    let mut command = home.command(&["--", "harness"]);
    command
        .args(words)
        .env("HARNESS_COMPLETE", "fish")
        .env("_CLAP_COMPLETE_INDEX", last);
    let run = support::Run::of(command.output().expect("runs")).expect(0);
    assert_eq!(run.stderr, "", "the line is the user's");
    let word = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    run.stdout.lines().map(word).collect()
}

#[test]
fn names_are_completed_from_the_file_and_from_the_daemon() {
    let home = Home::new(
        "name: shop\nservices:\n  api: {type: process, binary: FIXTURE, args: [hold]}\n  \
         apex: {type: process, binary: FIXTURE, args: [hold]}\n\
         tasks:\n  seed: {target: {type: process, binary: /bin/true}}\n",
    );
    assert_eq!(offered(&home, &["stop", "ap"]), ["apex", "api"]);
    assert_eq!(offered(&home, &["run", "se"]), ["seed"]);
    assert_eq!(offered(&home, &["run", "ap"]), ["apex", "api"]);
    assert!(offered(&home, &["sta"]).contains(&"status".to_owned()));
    home.run(&["daemon", "status"]).expect(5);
    home.ok(&["start"]);
    home.write("harness.yaml", "no stack at all: [");
    assert_eq!(offered(&home, &["stop", "ap"]), Vec::<String>::new());
    assert_eq!(
        offered(&home, &["-p", "shop", "stop", "ap"]),
        ["apex", "api"]
    );
    assert_eq!(offered(&home, &["-p", "s"]), ["shop"]);
}

const COMPOSE: &str = "\
services:
  db:
    image: postgres:${TAG:-16}
    dns: [192.0.2.53]
    healthcheck: {test: pg_isready}
  web:
    image: web
    depends_on: {db: {condition: service_healthy}}
";

#[test]
fn a_compose_file_becomes_a_stack_file() {
    let home = Home::empty();
    home.write("compose.yaml", COMPOSE);
    let shown = home
        .ok(&["import", "compose", "compose.yaml"])
        .says("compose.yaml:4:5")
        .says("`dns` of `db` is not carried over");
    assert!(shown.stdout.starts_with("# Imported from compose.yaml."));
    home.ok(&["import", "compose", "compose.yaml", "-o", "harness.yaml"])
        .says("harness.yaml was made from compose.yaml; one thing is to be looked at");
    let written = std::fs::read_to_string(home.path().join("harness.yaml")).expect("it is there");
    assert_eq!(written, shown.stdout);
    home.ok(&["validate", "harness.yaml"]);
    home.run(&["import", "compose", "compose.yaml", "-o", "harness.yaml"])
        .expect(2)
        .says("needs --yes");
    home.ok(&[
        "-y",
        "import",
        "compose",
        "compose.yaml",
        "-o",
        "harness.yaml",
    ]);
    home.write("elsewhere/bad.yaml", "services: {web: {imge: x}}\n");
    home.run(&["import", "compose", "elsewhere/bad.yaml", "-o", "new.yaml"])
        .expect(78)
        .says("elsewhere/bad.yaml:1:18")
        .says("did you mean `image`?");
    assert!(!home.path().join("new.yaml").exists());
}

#[test]
fn a_compose_file_is_used_as_it_is() {
    let home = Home::empty();
    home.write("compose.yaml", COMPOSE);
    home.write("compose.override.yaml", "services: {web: {ports: [80]}}\n");
    let run = home.ok(&["config", "render"]);
    let is_told = run.stderr.contains("H0701") || run.stderr.contains("is a Compose file");
    assert!(!is_told, "nothing is started: {}", run.stderr);
    home.run(&["start", "nobody"])
        .expect(4)
        .says("compose.yaml is a Compose file, and is used as it is")
        .says("warning[H0701]: compose.yaml:4:5: `dns` of `db` is not carried over");
    for part in ["image: postgres:16", "condition: ready", "- \"80\""] {
        assert!(run.stdout.contains(part), "{part} in\n{}", run.stdout);
    }
    home.ok(&["validate"]).shows("compose.yaml:4:5");
    home.write("compose.override.yaml", "services: {web: {ports: [x]}}\n");
    home.run(&["start"])
        .expect(78)
        .says("compose.override.yaml:1:26");
    // A stack file beside it is what is meant.
    home.write(
        "harness.yaml",
        "services: {a: {type: process, binary: /bin/true}}\n",
    );
    let run = home.ok(&["config", "render"]);
    assert!(!run.stdout.contains("postgres"), "{}", run.stdout);
}
