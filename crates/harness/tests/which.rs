//! Which stack is meant, and which of its units: names, profiles, files that are laid over others.

mod support;

use support::Home;

const PROFILED: &str = "\
name: shop
services:
  web: {type: process, binary: FIXTURE, args: [hold]}
  tracer: {type: process, binary: FIXTURE, args: [hold], profiles: [debug]}
  mailer: {type: process, binary: FIXTURE, args: [hold], profiles: [mail, full]}
";

fn names(home: &Home) -> Vec<String> {
    let status = home.status();
    let items = status["items"].as_array().expect("a list");
    let name = |unit: &serde_json::Value| unit["name"].as_str().expect("a name").to_owned();
    items.iter().map(name).collect()
}

#[test]
fn units_of_a_profile_are_started_only_with_it_or_by_name() {
    let home = Home::new(PROFILED);
    home.ok(&["start", "--wait"]).says("shop: 1 ready");
    assert_eq!(names(&home), ["web"]);
    home.ok(&["start", "--profile", "debug"])
        .says("shop: 1 started, 1 as before");
    assert_eq!(names(&home), ["tracer", "web"]);
    home.ok(&["start", "--profile", "debug", "--profile", "full"])
        .says("shop: 1 started, 2 as before");
    assert_eq!(names(&home), ["mailer", "tracer", "web"]);
    let pids = |home: &Home| ["tracer", "web"].map(|unit| home.unit(unit)["pid"].clone());
    let before = pids(&home);
    home.ok(&["stop", "mailer"]);
    home.ok(&["start", "mailer", "--profile", "debug"])
        .says("shop: 1 started");
    assert_eq!(pids(&home), before, "what ran was left alone");
    home.ok(&["down", "--yes"]);
    home.ok(&["start", "--profile", "*"])
        .says("shop: 3 started");
}

#[test]
fn a_known_stack_is_started_by_its_name_from_its_own_files() {
    let home = Home::new(PROFILED);
    home.ok(&["start"]);
    home.ok(&["stop"]);
    home.write(
        "elsewhere/harness.yaml",
        "name: other\nservices: {o: {type: process, binary: FIXTURE, args: [hold]}}\n",
    );
    let start = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.current_dir(home.path().join("elsewhere"));
        support::Run::of(command.output().expect("runs"))
    };
    // What lies in this directory is not what `-p` names.
    start(&["-p", "shop", "start"])
        .expect(0)
        .says("shop: 1 started");
    home.ok(&["-p", "shop", "stop"]);
    start(&["-p", "shop", "start", "tracer"])
        .expect(0)
        .says("shop: 1 started");
    // A file that is named is, under the given name; and so is what lies here when nobody knows the name.
    start(&["-p", "copy", "start", "-f", "harness.yaml"])
        .expect(0)
        .says("copy: 1 started");
    start(&["-p", "fresh", "start"])
        .expect(0)
        .says("fresh: 1 started");
    let daemon = home.ok(&["daemon", "status", "-o", "json"]).json();
    let known = daemon["stacks"].as_array().expect("a list").iter();
    let known: Vec<_> = known.map(|stack| stack["name"].clone()).collect();
    assert_eq!(known, ["copy", "fresh", "shop"]);
}

#[test]
fn a_known_stack_is_read_again_from_its_stack_files_and_not_from_what_those_lead_to() {
    let home = Home::empty();
    home.write(".env", "GREETING=hey\n");
    home.write("a.env", "B=1\n");
    home.write(
        "one.yaml",
        "name: twice\nservices: {a: {type: process, binary: FIXTURE, args: [hold], env_file: a.env}}\n",
    );
    home.write("two.yaml", "services: {a: {env: {G: \"${GREETING}\"}}}\n");
    home.ok(&["start", "-f", "one.yaml", "-f", "two.yaml"]);
    home.write("elsewhere/.env", "GREETING=other\n");
    let elsewhere = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.current_dir(home.path().join("elsewhere"));
        support::Run::of(command.output().expect("runs")).expect(0)
    };
    elsewhere(&["-p", "twice", "start"]).says("twice: already running");
    elsewhere(&["-p", "twice", "graph"]);
    elsewhere(&["-p", "twice", "validate"]);
    let config = elsewhere(&["-p", "twice", "config"]);
    assert!(config.stdout.contains("G: hey"), "{}", config.stdout);
    let listed = home.ok(&["ls", "-o", "json"]).json();
    let files = |list: &serde_json::Value| list.as_array().expect("a list").len();
    assert_eq!(files(&listed["items"][0]["files"]), 4, "{listed}");
    assert_eq!(
        files(&listed["items"][0]["sources"]["files"]),
        2,
        "{listed}"
    );
    home.ok(&["-p", "twice", "down", "--yes"]);
}

#[test]
fn environment_files_stand_in_for_dotenv_and_are_kept_with_the_stack() {
    let home = Home::new(
        "name: env\nservices: {a: {type: process, binary: FIXTURE, args: [hold], env: {G: \"${G}\"}}}\n",
    );
    home.write(".env", "G=dotenv\n");
    home.write("one.env", "G=one\n");
    home.write("two.env", "G=two\n");
    let shows = |arguments: &[&str], expected: &str| {
        let shown = home.ok(arguments).stdout;
        let line = format!("G: {expected}\n");
        assert!(shown.contains(&line), "{arguments:?}: {shown}");
    };
    shows(&["config"], "dotenv");
    let both = ["--env-file", "one.env", "--env-file", "two.env", "config"];
    shows(&both, "two");
    let mut command = home.command(&["config"]);
    command.env("COMPOSE_ENV_FILES", "two.env,one.env");
    let shown = support::Run::of(command.output().expect("runs")).expect(0);
    assert!(shown.stdout.contains("G: one\n"), "{}", shown.stdout);
    home.ok(&["start", "--env-file", "two.env"]);
    shows(&["-p", "env", "config"], "two");
    home.ok(&["-p", "env", "start"])
        .says("env: already running");
    shows(&["-p", "env", "config", "--env-file", "one.env"], "one");
    home.ok(&["down", "--yes"]);
}

#[test]
fn quiet_and_all_are_what_they_are_in_compose() {
    let home =
        Home::new("name: quiet\nservices: {a: {type: process, binary: FIXTURE, args: [hold]}}\n");
    home.ok(&["start"]);
    assert_eq!(home.ok(&["config", "-q"]).stdout, "");
    assert_eq!(home.ok(&["ls", "-q"]).stdout, "quiet\n");
    let ids = home.ok(&["ps", "-q"]).stdout;
    assert_eq!(ids, "", "a process has no id of a container");
    home.ok(&["logs", "--tail", "all"]);
    home.ok(&["down", "--yes"]);
}

#[test]
fn an_override_beside_the_file_is_laid_over_it_unless_files_are_named() {
    let home = Home::new(PROFILED);
    home.write(
        "harness.override.yaml",
        "services: {web: {env: {COLOUR: blue}}}\n",
    );
    home.ok(&["config", "render"]).shows("blue");
    home.ok(&["validate"])
        .shows("harness.yaml, harness.override.yaml");
    home.write("below/notes.txt", "");
    let mut below = home.command(&["config", "render"]);
    below.current_dir(home.path().join("below"));
    support::Run::of(below.output().expect("runs"))
        .expect(0)
        .shows("blue");
    let plain = home.ok(&["config", "render", "-f", "harness.yaml"]);
    assert!(!plain.stdout.contains("blue"), "{}", plain.stdout);
    home.ok(&["start"]).says("shop: 1 started");
    home.ok(&["status"]).shows("web");
    home.write("harness.override.yaml", "services: {web: {binry: x}}\n");
    home.run(&["validate"])
        .expect(78)
        .shows("harness.override.yaml:1:18");
    home.ok(&["stop"]).says("shop: stopped");
}

#[test]
fn compose_file_names_the_files_where_there_is_no_stack_file() {
    let home = Home::empty();
    home.write(
        "base.yaml",
        "services: {web: {image: one, ports: ['80']}}\n",
    );
    home.write("more.yaml", "services: {web: {image: two}}\n");
    home.write("other.yaml", "services: {web: {image: three}}\n");
    home.write(
        ".env",
        "COMPOSE_FILE=base.yaml:more.yaml\nCOMPOSE_PROJECT_NAME=of-dotenv\n",
    );
    let render = |pairs: &[(&str, &str)]| {
        let mut command = home.command(&["config", "render"]);
        let command = command.envs(pairs.iter().copied());
        support::Run::of(command.output().expect("runs")).expect(0)
    };
    let made = render(&[]).stdout;
    assert!(
        made.contains("name: of-dotenv") && made.contains("image: two"),
        "{made}"
    );
    let given = [
        ("COMPOSE_FILE", "other.yaml"),
        ("COMPOSE_PROJECT_NAME", "given"),
    ];
    let made = render(&given).stdout;
    assert!(
        made.contains("name: given") && made.contains("image: three"),
        "{made}"
    );
    home.write(
        "harness.yaml",
        "services: {o: {type: process, binary: FIXTURE}}\n",
    );
    let made = render(&given).stdout;
    assert!(
        !made.contains("image:") && !made.contains("name: given"),
        "{made}"
    );
}
