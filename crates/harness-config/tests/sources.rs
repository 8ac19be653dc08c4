//! Several files, environment files, profiles, names: where a stack comes from.

mod support;

use std::fs;
use std::path::Path;

use harness_config::{Loaded, Sources, discover, load, unsupported};
use service_orchestration::spec::StackSpec;
use support::lines;

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).expect("the directory is ours");
}

fn stack(loaded: Loaded) -> StackSpec {
    let lines = lines(&loaded);
    loaded.stack.unwrap_or_else(|| panic!("{lines}"))
}

fn layered(base: &str, over: &str) -> Loaded {
    load(
        &Sources::new()
            .text("base.yaml", base)
            .text("over.yaml", over)
            .directory("/nonexistent/d"),
    )
}

fn places(loaded: &Loaded) -> Vec<String> {
    loaded
        .diagnostics
        .iter()
        .map(|d| format!("{} {}", d.location(), d.code))
        .collect()
}

#[test]
fn later_files_change_earlier_ones() {
    let base = "services:\n  a:\n    binary: x\n    args: [1, 2]\n    environment: {A: 1, B: 2}\n    ports: [80]\n    depends_on: [b]\n  b: {binary: y}\n";
    let over = "services:\n  a:\n    args: [3]\n    env: [B=3, C=4]\n    ports: [81, 80]\n    dependencies: [{service: c, condition: started}]\n  c: {binary: z}\n";
    let stack = stack(layered(base, over));
    let a = &stack.units["a"];
    let env: Vec<String> = a.env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(env, ["A=1", "B=3", "C=4"]);
    assert_eq!(a.ports.len(), 2);
    let edges: Vec<&str> = a.dependencies.iter().map(|d| d.unit.as_str()).collect();
    assert_eq!(edges, ["b", "c"]);
    assert_eq!(
        (a.dependencies[0].origin.file, a.dependencies[1].origin.file),
        (0, 1)
    );
    assert_eq!(stack.files.len(), 2);
    assert_eq!(stack.units["c"].origin.file, 1);
    let json = serde_json::to_string(&a.target).expect("plain data");
    assert!(
        json.contains('3') && !json.contains('2'),
        "lists that mean an order are replaced: {json}"
    );
}

#[test]
fn errors_point_into_the_file_they_come_from() {
    let loaded = layered(
        "services:\n  a: {binary: x, ports: [http]}\n",
        "services:\n  a:\n    restrat: always\n    depends_on: {nope: {}}\n",
    );
    assert_eq!(
        places(&loaded),
        [
            "base.yaml:2:26 H0203",
            "over.yaml:3:5 H0204",
            "over.yaml:4:18 H0402"
        ]
    );
    let loaded = layered("services: [", "nmae: x\nservices: {a: {binary: x}}");
    assert_eq!(
        places(&loaded),
        ["base.yaml:1:11 H0101"],
        "half a stack says nothing about the other half"
    );
}

#[test]
fn variables_come_from_the_caller_then_files_then_defaults() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    write(
        path,
        "s.yaml",
        "services: {a: {binary: '${V} ${W} ${X} ${Y:-default}', env_file: [one.env, two.env], env: {P: own}}}",
    );
    write(path, ".env", "V=dotenv\nW=dotenv\nX=dotenv\n");
    write(path, "given.env", "V=given\nW=given\n");
    write(path, "later.env", "X=later\n");
    write(path, "one.env", "export P=one\nQ=one\nR='${V}'\n");
    write(path, "two.env", "Q=two # later wins\n");
    let sources = Sources::new()
        .file(path.join("s.yaml"))
        .env_file(path.join("given.env"))
        .variable("V", "caller");
    // They stand in for `.env`.
    let loaded = load(&sources);
    let message = "the variable `X` is not set";
    assert!(
        loaded
            .diagnostics
            .iter()
            .any(|found| found.message == message)
    );
    let stack = stack(load(&sources.env_file(path.join("later.env"))));
    let names = ["given.env", "later.env"].map(|name| path.join(name));
    assert_eq!(stack.sources.env_files, names);
    let a = &stack.units["a"];
    let json = serde_json::to_string(&a.target).expect("plain data");
    assert!(json.contains("caller given later default"), "{json}");
    let env: Vec<String> = a
        .env
        .iter()
        .map(|(k, v)| format!("{k}={}", v.as_literal().unwrap_or("?")))
        .collect();
    assert_eq!(env, ["P=own", "Q=two", "R=${V}"]);
}

#[test]
fn environment_files_have_located_errors() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    write(
        path,
        "s.yaml",
        "services:\n  a: {binary: x, env_file: a.env}\n  b: {binary: x, env_file: a.env}\n",
    );
    write(path, "a.env", "OK=1\n 9=2\n");
    let loaded = load(&Sources::new().file(path.join("s.yaml")));
    let found = places(&loaded);
    assert_eq!(
        found.len(),
        1,
        "said once, however many units read it: {found:?}"
    );
    assert!(found[0].ends_with("a.env:2:2 H0212"), "{found:?}");
    let loaded = load(
        &Sources::new()
            .file(path.join("s.yaml"))
            .env_file(path.join("none.env")),
    );
    assert!(
        places(&loaded)[0].contains("none.env H0212")
            || places(&loaded)[1].contains("none.env H0212")
    );
}

#[test]
fn what_a_variable_holds_is_never_yaml_and_never_shown() {
    let secret = "s3cret: [&x *y ${V} }";
    let sources = |text: &str| {
        Sources::new()
            .text("t.yaml", text)
            .directory("/nonexistent/d")
            .variable("V", secret)
    };
    let stack = stack(load(&sources("services: {a: {binary: '${V}'}}")));
    let json = serde_json::to_string(&stack.units["a"].target).expect("plain data");
    assert!(json.contains(secret), "{json}");
    let loaded = load(&sources(
        "services: {a: {binary: x, ports: ['${V}'], restart: '${V}', user: '${V}', type: '${V}', network: n}}",
    ));
    let shown = harness_config::render_human(&loaded.diagnostics, &loaded.files, false);
    assert!(
        !loaded.diagnostics.is_empty() && !shown.contains("s3cret"),
        "{shown}"
    );
}

#[test]
fn profiles_leave_out_what_nothing_needs() {
    let text = "services:\n  a: {binary: x, depends_on: {b: {}, c: {required: false}}}\n  b: {binary: x, profiles: [p]}\n  c: {binary: x, profiles: [q]}\n  d: {binary: x, profiles: [p, q]}\n";
    let names = |sources: Sources| {
        let stack = stack(load(
            &sources.text("t.yaml", text).directory("/nonexistent/d"),
        ));
        assert!(
            stack
                .units
                .values()
                .flat_map(|u| &u.dependencies)
                .all(|d| stack.units.contains_key(&d.unit))
        );
        stack
            .units
            .keys()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
            .join("")
    };
    assert_eq!(names(Sources::new()), "ab");
    assert_eq!(names(Sources::new().profile("p")), "abd");
    assert_eq!(names(Sources::new().profile("q")), "abcd");
    assert_eq!(names(Sources::new().profile("*")), "abcd");
    assert_eq!(names(Sources::new().wanted("c")), "abc");
    let loaded = support::load_text(
        "services:\n  a: {binary: x, args: ['${b.port}']}\n  b: {binary: x, ports: [1], profiles: [p]}\n",
    );
    assert_eq!(places(&loaded), ["t.yaml:2:26 H0409", "t.yaml:2:26 H0408"]);
}

#[test]
fn the_nearest_file_is_found_by_its_names() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().canonicalize().expect("it exists");
    fs::create_dir_all(root.join("a/b")).expect("the directory is ours");
    assert_eq!(
        discover(&root.join("a/b")).filter(|found| found.starts_with(&root)),
        None
    );
    write(&root, "services.yml", "");
    assert_eq!(discover(&root.join("a/b")), Some(root.join("services.yml")));
    write(&root, "services.yaml", "");
    write(&root.join("a"), "harness.yaml", "");
    assert_eq!(discover(&root), Some(root.join("services.yaml")));
    assert_eq!(
        discover(&root.join("a/b")),
        Some(root.join("a/harness.yaml"))
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    let missing = load(&Sources::new().file(path.join("none.yaml")));
    assert!(missing.stack.is_none() && places(&missing)[0].ends_with("none.yaml H0100"));
    fs::write(path.join("bytes.yaml"), b"a: 1\nb: \xff\n").expect("the directory is ours");
    let bytes = load(&Sources::new().file(path.join("bytes.yaml")));
    assert!(bytes.diagnostics[0].message.contains("line 2 is not UTF-8"));
    assert_eq!(
        load(&Sources::new().file(path)).diagnostics[0]
            .code
            .as_str(),
        "H0100"
    );
}

#[test]
fn registered_implementations_are_no_warning() {
    let text = "services: {a: {binary: x, service_type: s}}\ntasks: {t: {task_type: k}}\n";
    let sources = Sources::new()
        .text("t.yaml", text)
        .directory("/nonexistent/d");
    let loaded = load(&sources);
    assert_eq!(places(&loaded), ["t.yaml:1:41 H0303", "t.yaml:2:24 H0304"]);
    let reasons: Vec<String> = unsupported(&stack(loaded))
        .into_iter()
        .map(|u| u.reason)
        .collect();
    assert_eq!(
        reasons,
        ["it has no target, and no implementation of `k` is registered here"]
    );
    assert_eq!(
        places(&load(&sources.implementation("s").implementation("k"))),
        Vec::<String>::new()
    );
}

#[test]
fn only_harmless_variables_are_inherited() {
    let sources = support::sources("services: {a: {binary: x}}")
        .variable("PATH", "/bin")
        .variable("LC_ALL", "C")
        .variable("AWS_SECRET", "x");
    let stack = stack(load(&sources));
    assert_eq!(
        stack.environment.keys().collect::<Vec<_>>(),
        ["LC_ALL", "PATH"]
    );
}

#[test]
fn what_images_are_built_from_must_be_there_where_the_stack_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    write(
        directory.path(),
        "harness.yaml",
        "services:\n  a: {build: ./nowhere}\n  b: {build: {context: ., dockerfile: Other}}\n  c: {build: .}\n  \
         d: {build: ./made, depends_on: [make]}\n  e: {image: x, build: ./nowhere}\n  f: {build: ./good}\n\
         tasks:\n  make: {binary: x}\n",
    );
    fs::create_dir(directory.path().join("good")).expect("the directory is ours");
    write(
        &directory.path().join("good"),
        "Dockerfile",
        "FROM scratch\n",
    );
    let sources = Sources::new().file(directory.path().join("harness.yaml"));
    let found = |sources: &Sources| {
        let places = load(sources).diagnostics;
        let places = places.iter().filter(|found| found.code.as_str() == "H0507");
        places.map(|d| (d.line, d.column)).collect::<Vec<_>>()
    };
    assert_eq!(found(&sources), [], "it may run elsewhere");
    assert_eq!(found(&sources.here()), [(2, 14), (3, 39), (4, 14)]);
}

#[test]
fn a_long_list_of_fields_is_told_once_and_not_where_one_comes_near() {
    let text = "services:\n  a: {type: docker, image: x, imge: y}\n  b: {type: docker, image: x, qqqqqq: y, wwwwww: z}\n";
    let loaded = load(&Sources::new().text("s.yaml", text));
    let helps: Vec<bool> = loaded
        .diagnostics
        .iter()
        .map(|d| d.help.is_some())
        .collect();
    assert_eq!(helps, [false, true, false], "{}", lines(&loaded));
    let help = loaded.diagnostics[1].help.as_deref().unwrap_or_default();
    assert!(
        help.contains("image") && !help.contains("replicas"),
        "{help}"
    );
}

#[test]
fn what_a_stack_is_read_from_is_told_apart_from_what_that_leads_to() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path();
    write(path, ".env", "A=1\n");
    write(path, "a.env", "B=1\n");
    write(path, "base.yaml", "services: {b: {image: base}}");
    write(
        path,
        "compose.yaml",
        "services: {a: {extends: {file: base.yaml, service: b}, env_file: a.env}}",
    );
    write(path, "more.yaml", "services: {a: {image: x}}");
    let files = ["compose.yaml", "more.yaml"].map(|name| path.join(name));
    let sources = files.iter().fold(Sources::new(), Sources::file);
    let stack = stack(load(&sources));
    assert_eq!(stack.files.len(), 5, "{:?}", stack.files);
    assert_eq!(stack.sources.files, files);
    assert!(stack.sources.env_files.is_empty());
}
