//! What others have at the engine under the name of a stack (image `harness-test/busybox`, see docker-test-env).
//!
//! `cargo nextest run -p harness --features docker-tests`

#![cfg(feature = "docker-tests")]

mod support;

use support::Home;
use support::docker::docker;

fn label() -> String {
    let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
    format!("harness-test.run={run}")
}

fn home(name: &str, image: &str, more: &str) -> Home {
    let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_default();
    Home::new(&format!(
        "name: {name}
services:
  db:
    type: docker
    image: {image}
    init: true
    command: [sleep, '3600']
    labels: {{harness-test.run: \"{run}\"}}
{more}"
    ))
}

#[test]
fn volumes_that_compose_made_are_shared_loudly_and_left() {
    let name = format!("others-{}", std::process::id());
    let (volume, theirs) = (format!("{name}_data"), format!("{name}-old"));
    let (label, project) = (label(), format!("com.docker.compose.project={name}"));
    let labels = ["--label", label.as_str(), "--label", project.as_str()];
    docker(&[&["volume", "create"][..], &labels, &[&volume]].concat());
    let mount = format!("{volume}:/data");
    let line = [
        "--init",
        "--name",
        &theirs,
        "-v",
        &mount,
        "harness-test/busybox",
        "sleep",
        "3600",
    ];
    docker(&[&["run", "-d"][..], &labels, &line].concat());
    let more = "    volumes: ['data:/data']\nvolumes: {data: {}}\n";
    let home = home(&name, "harness-test/busybox", more);
    home.ok(&["-q", "start", "--wait"]);
    let db = home.unit("db");
    let reason = db["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(&theirs) && reason.contains(&volume), "{db}");
    let left = format!("made by somebody else and left: {volume}");
    home.ok(&["down", "-v", "--yes"]).says(&left);
    docker(&["rm", "-f", &theirs]);
    docker(&["volume", "rm", &volume]);
}

#[test]
fn an_image_whose_name_was_given_to_another_is_told_and_labels_are_those_of_compose() {
    let name = format!("tagged-{}", std::process::id());
    docker(&["tag", "harness-test/busybox", &name]);
    let home = home(&name, &name, "");
    home.ok(&["start", "--wait"]);
    let run = home.ok(&["start"]);
    assert!(!run.stderr.contains("another one"), "{}", run.stderr);
    docker(&["tag", "harness-test/app", &name]);
    home.ok(&["start"])
        .says("db: the name of its image stands for another one now");

    let format = "{{index .Config.Labels \"com.docker.compose.project.config_files\"}}";
    let files = docker(&["inspect", "-f", format, &format!("{name}-db-1")]);
    let file = home.path().join("harness.yaml");
    assert!(
        files.ends_with(&*file.file_name().expect("named").to_string_lossy()),
        "{files}"
    );
    let format = "{{index .Labels \"com.docker.compose.network\"}}";
    let network = docker(&[
        "network",
        "inspect",
        "-f",
        format,
        &format!("{name}_default"),
    ]);
    assert_eq!(network, "default");
    home.ok(&["down", "--yes"]);
    docker(&["rmi", &name]);
}
