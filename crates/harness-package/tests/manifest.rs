//! Manifests: what they hold, and where an error is.

#![allow(clippy::unwrap_used, reason = "a panic is the report of a test")]

use harness_package::{Manifest, Recipe};

const WHOLE: &str = r#"
name: api
version: 2.1.0-rc.1+build.5
service:
  binary: bin/api
  args: [--listen, "0.0.0.0:8080"]
setup: setup.sh
health:
  command: bin/check
  interval: 1m30s
  timeout: 5
dependencies: [db, queue]
environment:
  LOG: info
files:
  - {path: bin/api, mode: 0755}
  - {path: setup.sh, mode: "0700"}
"#;

#[test]
fn a_whole_manifest_is_read() {
    let recipe = Recipe::from_yaml(WHOLE).unwrap();
    let about = &recipe.about;
    assert_eq!(about.name.as_str(), "api");
    assert_eq!(about.version.to_string(), "2.1.0-rc.1+build.5");
    assert_eq!(about.service.binary.as_str(), "bin/api");
    let health = about.health.as_ref().unwrap();
    assert_eq!(
        (health.interval.as_secs(), health.timeout.as_secs()),
        (90, 5)
    );
    assert_eq!(health.retries, 3);
    let picks = recipe.picks.unwrap();
    assert_eq!(picks[1].mode.unwrap().bits(), 0o700);
}

/// Changes one piece of the whole manifest, and gives the error as a user sees it.
fn error(from: &str, to: &str) -> String {
    assert!(WHOLE.contains(from));
    let error = Recipe::from_yaml(&WHOLE.replacen(from, to, 1)).unwrap_err();
    error.to_string()
}

#[test]
fn an_error_in_a_value_names_its_line() {
    for (from, to, place) in [
        ("name: api", "name: Api", "line 2, column 7: "),
        ("2.1.0-rc.1+build.5", "2.1", "line 3, column 10: "),
        ("bin/api\n", "/bin/api\n", "line 5, column 11: "),
        ("setup.sh", "../setup.sh", "line 7, column 8: "),
        ("1m30s", "soon", "line 10, column 13: "),
        ("[db, queue]", "[db, Queue]", "line 12, column 20: "),
        ("0755", "4755", "line 16, column 27: "),
        ("environment:", "enviroment:", "line 13, column 1: "),
    ] {
        let error = error(from, to);
        assert!(error.starts_with(place), "{to}: {error}");
        assert_eq!(error.matches("line").count(), 1, "{error}");
    }
}

#[test]
fn an_error_between_fields_names_the_field() {
    let twice = error("[db, queue]", "[db, db]");
    assert_eq!(twice, "`dependencies[1]`: `db` is named twice");
    let variable = error("LOG: info", "\"A=B\": info");
    assert!(variable.starts_with("`environment.A=B`: "), "{variable}");
}

fn json(files: &str) -> String {
    let text = format!(
        r#"{{"format":1,"name":"a","version":"1.0.0","service":{{"binary":"run"}},"files":[{files}]}}"#
    );
    Manifest::from_json(text.as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn an_error_of_an_archives_manifest_names_the_entry() {
    let file = |path: &str, mode: &str| {
        let hash = "0".repeat(64);
        format!(r#"{{"path":"{path}","mode":"{mode}","size":0,"sha256":"{hash}"}}"#)
    };
    assert_eq!(json(r#"{"path":"run"}"#), "`files[0].mode` is missing");
    let clash = [file("run", "0755"), file("Run", "0755")].join(",");
    assert_eq!(json(&clash), "`files[1].path`");
    assert_eq!(json(""), "`service.binary`: `run` is not among the files");
    let plain = file("run", "0644");
    assert_eq!(json(&plain), "`service.binary`: `run` is not executable");
    let own = file("MANIFEST.json", "0644");
    assert_eq!(
        json(&own),
        "`files[0].path`: `manifest.json` is the manifest's own"
    );
    let out = r#"{"path":"l","link":"../x"}"#;
    assert_eq!(json(out), "`files[0].link`");
    assert!(json(&file("run", "7755")).starts_with("line 1, column "));
}

#[test]
fn a_later_format_is_refused_by_its_number() {
    let text = r#"{"format":2,"name":"a","version":"1.0.0","service":{"binary":"run"},"files":[]}"#;
    let error = Manifest::from_json(text.as_bytes()).unwrap_err();
    let expected = "`format`: this is format 2, and 1 is the only one known";
    assert_eq!(error.to_string(), expected);
}
