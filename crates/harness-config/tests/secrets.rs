//! Secrets: where they may stand, where they come from, and what is said when they cannot be had.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness_config::{
    Code, Diagnostic, Loaded, Secrets, Severity, Sources, examine_secrets, load, read_secrets,
    render_config,
};
use service_orchestration::spec::{SecretName, UnitName};

const CANARY: &str = "canary-7b1e";

fn read(directory: &Path, text: &str) -> (Loaded, Sources) {
    let sources = Sources::new()
        .text("stack.yaml", text)
        .directory(directory)
        .variable("PATH", "/usr/bin:/bin")
        .variable("FROM_ENV", CANARY);
    (load(&sources), sources)
}

/// What is said when the secrets of every unit are read, and the values by name.
fn values(directory: &Path, text: &str) -> (Vec<(String, String)>, Vec<Diagnostic>) {
    let (loaded, sources) = read(directory, text);
    let stack = loaded.stack.clone().expect("a stack");
    let units: BTreeSet<&UnitName> = stack.units.keys().collect();
    let read = futures_lite::future::block_on(read_secrets(&loaded, &sources, &stack, &units));
    let values = read.values.names().map(|name| {
        let value = read.values.get(name).expect("one of them");
        (name.to_string(), value.expose().clone())
    });
    (values.collect(), read.diagnostics)
}

fn errors(text: &str) -> Vec<(Code, String)> {
    let directory = tempfile::tempdir().expect("a directory");
    let (loaded, _) = read(directory.path(), text);
    let errors = loaded.diagnostics.into_iter();
    errors
        .filter(|found| found.severity == Severity::Error)
        .map(|found| (found.code, found.location()))
        .collect()
}

#[test]
fn values_come_from_files_variables_and_programs() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("db.secret");
    fs::write(&file, format!("{CANARY}\n")).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("ours");
    let text = "\
secrets:
  db: {file: db.secret}
  token: {env: FROM_ENV}
  unused: {file: not-there}
services:
  api:
    type: process
    binary: api
    env:
      DB: {secret: db}
      URL: postgres://u:${secret.db}@127.0.0.1/x
      TOKEN: {secret: token}
      OWN: {secret: {command: [printf, '%s\\n', canary-7b1e]}}
      SHELL_OWN: {secret: {command: 'printf canary-7b1e'}}
    health_check: {http: {port: 80, headers: {Authorization: 'Bearer ${secret.token}'}}}
";
    let (values, diagnostics) = values(directory.path(), text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let names: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["api/OWN", "api/SHELL_OWN", "db", "token"]);
    assert!(
        values.iter().all(|(_, value)| value == CANARY),
        "{values:?}"
    );
}

#[test]
fn a_stack_holds_no_value_and_is_rendered_as_it_was_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "\
secrets:
  token: {env: FROM_ENV}
services:
  api:
    type: process
    binary: api
    env:
      TOKEN: {secret: token}
      MIXED: a-${secret.token}
      OWN: {secret: {file: own}}
";
    let (loaded, _) = read(directory.path(), text);
    let stack = loaded.stack.expect("a stack");
    let kept = serde_json::to_string(&stack).expect("plain data");
    assert!(!kept.contains(CANARY) && !format!("{stack:?}").contains(CANARY));
    let back: service_orchestration::spec::StackSpec =
        serde_json::from_str(&kept).expect("what was written");
    assert_eq!(back, stack);
    let shown = render_config(&stack, Secrets::Show);
    assert!(!shown.contains(CANARY), "{shown}");
    let (again, _) = read(directory.path(), &shown);
    let again = again.stack.expect("what was rendered loads");
    assert_eq!(again.units["api"].env, stack.units["api"].env, "{shown}");
    assert_eq!(
        again.secrets.keys().collect::<Vec<_>>(),
        stack.secrets.keys().collect::<Vec<_>>()
    );
}

#[test]
fn a_source_that_gives_nothing_is_named_with_its_place_and_never_with_its_output() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("empty"), "\n").expect("written");
    fs::write(directory.path().join("bytes"), [0xff, 0xfe]).expect("written");
    for (source, expected) in [
        ("{file: not-there}", "No such file"),
        ("{file: empty}", "is empty"),
        ("{file: bytes}", "is not UTF-8"),
        ("{env: NOT_SET}", "the variable `NOT_SET` is not set"),
        ("{command: [not-a-program-of-this-machine]}", "cannot run"),
        ("{command: 'true'}", "is empty"),
        (
            "{command: 'printf canary-; printf why-not >&2; exit 3'}",
            "exit status: 3",
        ),
    ] {
        let text = format!(
            "services:\n  api:\n    type: process\n    binary: api\n    env:\n      X: {{secret: {source}}}\n"
        );
        let (values, diagnostics) = values(directory.path(), &text);
        assert!(values.is_empty(), "{source}: {values:?}");
        let found = diagnostics
            .iter()
            .find(|found| found.code == Code::SecretUnread)
            .unwrap_or_else(|| panic!("{source}: {diagnostics:?}"));
        assert!(found.message.contains(expected), "{source}: {found:?}");
        assert_eq!(found.line, 6, "{source}");
        if source.contains("why-not") {
            let help = found.help.as_deref().unwrap_or_default();
            assert_eq!(help, "it said: why-not");
        }
    }
}

#[test]
fn validate_warns_of_what_start_could_not_read_and_runs_no_program() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "\
services:
  api:
    type: process
    binary: api
    env:
      A: {secret: {file: not-there}}
      B: {secret: {env: NOT_SET}}
      C: {secret: {command: 'touch ran; printf x'}}
";
    let (loaded, _) = read(directory.path(), text);
    let found = examine_secrets(&loaded);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found
            .iter()
            .all(|found| found.severity == Severity::Warning && found.code == Code::SecretUnread)
    );
    assert!(!directory.path().join("ran").exists());
}

#[test]
fn a_file_that_others_can_read_is_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("open");
    fs::write(&file, CANARY).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("ours");
    let text = "services:\n  api: {type: process, binary: a, env: {X: {secret: {file: open}}}}\n";
    let (values, diagnostics) = values(directory.path(), text);
    assert_eq!(values.len(), 1);
    let codes: Vec<Code> = diagnostics.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::SecretExposed]);
    assert_eq!(diagnostics[0].severity, Severity::Warning);
}

#[test]
fn secrets_are_refused_where_others_can_see_them() {
    let head = "secrets: {s: {env: FROM_ENV}}\nservices:\n  a:\n    type: process\n";
    for rest in [
        "    binary: '${secret.s}'\n",
        "    binary: a\n    args: [--password, '${secret.s}']\n",
        "    command: [a, '--password=${secret.s}']\n",
        "    command: a --password ${secret.s}\n",
        "    binary: a\n    working_dir: '/${secret.s}'\n",
        "    binary: a\n    health_check: {command: [a, '${secret.s}']}\n",
        "    binary: a\n    health_check: {http: 'http://127.0.0.1:1/?t=${secret.s}'}\n",
        "    binary: a\n    stop: {command: [a, '${secret.s}']}\n",
    ] {
        let found = errors(&format!("{head}{rest}"));
        let codes: Vec<Code> = found.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [Code::SecretSeen], "{rest}: {found:?}");
    }
    let label = "    binary: a\n    labels: {x: '${secret.s}'}\n";
    assert_eq!(errors(&format!("{head}{label}"))[0].0, Code::ReferenceHere);
}

#[test]
fn names_and_sources_must_be_there() {
    let unit = "services:\n  a:\n    type: process\n    binary: a\n    env:\n";
    for (text, code, place) in [
        (
            format!("secrets: {{token: {{env: X}}}}\n{unit}      X: {{secret: tokn}}\n"),
            Code::UnknownSecret,
            "stack.yaml:7:19",
        ),
        (
            format!("{unit}      X: a-${{secret.none}}\n"),
            Code::UnknownSecret,
            "stack.yaml:6:12",
        ),
        (
            format!("{unit}      X: {{secret: {{}}}}\n"),
            Code::Missing,
            "stack.yaml:6:11",
        ),
        (
            format!("{unit}      X: {{secret: {{env: A, file: b}}}}\n"),
            Code::Twice,
            "stack.yaml:6:20",
        ),
        (
            format!("{unit}      X: {{secret: {{value: hunter2}}}}\n"),
            Code::UnknownField,
            "stack.yaml:6:20",
        ),
        (
            format!("secrets: {{a b: {{env: X}}}}\n{unit}      X: y\n"),
            Code::Name,
            "stack.yaml:1:11",
        ),
    ] {
        let found = errors(&text);
        assert_eq!(found, [(code, place.to_owned())], "{text}");
    }
}

#[test]
fn a_unit_called_secret_keeps_its_references() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "\
services:
  secret: {type: process, binary: a, ports: [80]}
  b: {type: process, binary: b, depends_on: [secret], args: ['${secret.port}']}
";
    let (loaded, _) = read(directory.path(), text);
    assert!(loaded.stack.is_some(), "{:?}", loaded.diagnostics);
}

#[test]
fn a_value_in_clear_that_looks_like_a_secret_is_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let text = "\
services:
  a:
    type: process
    binary: a
    env:
      DB_PASSWORD: hunter2
      TOKEN: ${FROM_ENV}
      API_KEY: {secret: {env: FROM_ENV}}
      TOKEN_TTL: '3600'
  b: {type: process, binary: b, env: [PASSWORD=hunter2, USER=me]}
";
    let (loaded, _) = read(directory.path(), text);
    let found: Vec<(Code, String)> = loaded
        .diagnostics
        .iter()
        .map(|found| (found.code, found.location()))
        .collect();
    assert_eq!(
        found,
        [
            (Code::SecretInClear, "stack.yaml:6:20".to_owned()),
            (Code::SecretInClear, "stack.yaml:10:39".to_owned()),
        ]
    );
    assert!(
        loaded
            .diagnostics
            .iter()
            .all(|found| !found.message.contains("hunter2"))
    );
    assert!(loaded.stack.is_some());
}

#[test]
fn the_name_of_a_secret_of_a_variable_cannot_be_declared() {
    assert!(SecretName::declared("api/TOKEN").is_err());
}
