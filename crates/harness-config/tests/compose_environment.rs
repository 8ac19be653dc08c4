//! What Compose takes from the environment, `.env` and the files of an environment.

use harness_config::{Code, Sources, import_compose, load};

#[test]
fn the_environment_names_the_project_and_its_profiles_as_under_compose() {
    const TEXT: &str = "services: {web: {image: x}, tracer: {image: y, profiles: [debug]}, mail: {image: z, profiles: [mail]}}";
    let home = tempfile::tempdir().expect("a directory");
    let directory = home.path().join("_My.Shop v2");
    std::fs::create_dir(&directory).expect("made");
    let sources = |text: &str| {
        Sources::new()
            .text("compose.yaml", text)
            .directory(&directory)
    };
    let loaded = |sources: Sources| {
        let stack = load(&sources).stack.expect("a stack");
        let units: Vec<_> = stack.units.keys().map(ToString::to_string).collect();
        (stack.name.to_string(), units.join(" "))
    };
    let is = |sources: Sources, name: &str, units: &str| {
        assert_eq!(loaded(sources), (name.to_owned(), units.to_owned()));
    };
    is(sources(TEXT), "myshopv2", "web");
    // What is imported is called the same, wherever it is put.
    let text = import_compose(&sources(TEXT)).text.expect("an import");
    assert!(text.contains("\nname: myshopv2\n"), "{text}");
    let named = format!("name: file\n{TEXT}");
    is(sources(&named), "file", "web");
    std::fs::write(
        directory.join(".env"),
        "B=debug\nCOMPOSE_PROJECT_NAME=dotenv\nCOMPOSE_PROFILES=$B,,mail\n",
    )
    .expect("written");
    is(sources(&named), "dotenv", "mail tracer web");
    let given = || {
        sources(&named)
            .variable("COMPOSE_PROJECT_NAME", "env")
            .variable("COMPOSE_PROFILES", "mail")
    };
    is(given(), "env", "mail web");
    is(
        given().project("flag").profile("debug"),
        "flag",
        "tracer web",
    );
    let text = import_compose(&given()).text.expect("an import");
    assert!(
        text.contains("\nname: env\n") && !text.contains("name: file"),
        "{text}"
    );
    // A stack file of ours does not look at them.
    let own = Sources::new().text("harness.yaml", "services: {a: {binary: x}}");
    let own = own
        .directory(&directory)
        .variable("COMPOSE_PROJECT_NAME", "env");
    is(own, "my.shop-v2", "a");
    let wrong = load(&sources(TEXT).variable("COMPOSE_PROJECT_NAME", "My.Shop"));
    assert_eq!(wrong.diagnostics[0].code, Code::Name);
    assert!(wrong.diagnostics[0].message.contains("`My.Shop`"));
}

#[test]
fn the_files_are_those_that_the_environment_names() {
    let home = tempfile::tempdir().expect("a directory");
    let files = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        harness_config::compose_files(home.path(), &[], &pairs.collect())
    };
    assert_eq!(files(&[]), None);
    let of = |names: &[&str]| {
        Some(
            names
                .iter()
                .map(std::path::PathBuf::from)
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        files(&[("COMPOSE_FILE", "a.yaml:/b.yaml")]),
        of(&["a.yaml", "/b.yaml"])
    );
    let separated = [
        ("COMPOSE_FILE", "a:x.yaml;b.yaml"),
        ("COMPOSE_PATH_SEPARATOR", ";"),
    ];
    assert_eq!(files(&separated), of(&["a:x.yaml", "b.yaml"]));
    let dotenv = "COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=one.yaml,two.yaml\n";
    std::fs::write(home.path().join(".env"), dotenv).expect("written");
    let expected = ["one.yaml", "two.yaml"].map(|name| home.path().join(name));
    assert_eq!(files(&[]), Some(expected.to_vec()));
    assert_eq!(files(&[("COMPOSE_FILE", "a.yaml")]), of(&["a.yaml"]));
    let named = home.path().join("prod.env");
    std::fs::write(&named, "BASE=three\nCOMPOSE_FILE=${BASE}.yaml\n").expect("written");
    let found = harness_config::compose_files(home.path(), &[named], &Default::default());
    assert_eq!(found, Some(vec![home.path().join("three.yaml")]));
}

#[test]
fn environment_files_that_are_named_stand_in_for_dotenv() {
    let home = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    write(".env", "TAG=dotenv\nONLY=dotenv\n");
    let one = write("one.env", "TAG=one\nNAME=web\n");
    let two = write("two.env", "TAG=${NAME}-2\n");
    let compose = write(
        "compose.yaml",
        "services: {a: {image: 'x:${TAG}', hostname: 'h${ONLY:-}'}}",
    );
    let shown = |sources: Sources| {
        let stack = load(&sources.file(&compose)).stack.expect("a stack");
        format!("{:?}", stack.units["a"].target)
    };
    let plain = shown(Sources::new());
    assert!(plain.contains("x:dotenv"), "{plain}");
    assert!(plain.contains("hdotenv"), "{plain}");
    let named = shown(Sources::new().env_file(&one).env_file(&two));
    assert!(named.contains("x:web-2"), "{named}");
    assert!(!named.contains("hdotenv"), "{named}");
}

#[test]
fn environment_files_are_read_in_composes_way_and_stay_so_in_the_import() {
    let home = tempfile::tempdir().expect("a directory");
    let write =
        |name: &str, text: &str| std::fs::write(home.path().join(name), text).expect("written");
    write("one.env", "A=1\nB=\"$A$SET\"\nC='$A'\nD=${NONE}x\nSET\n");
    write("two.env", "E=${B:-none}\n");
    write("raw.env", "R='$A'\n");
    const TEXT: &str = "services:\n  web:\n    image: x\n    env_file:\n      - one.env\n      - {path: two.env}\n      - {path: raw.env, format: raw}\n      - {path: none.env, required: false}\n";
    let sources = |name: &str, text: &str| {
        let sources = Sources::new().text(name, text).directory(home.path());
        sources.variable("SET", "value")
    };
    let env = |sources: Sources| {
        let loaded = load(&sources);
        let unset = loaded
            .diagnostics
            .iter()
            .filter(|found| found.code == Code::Unset);
        assert_eq!(unset.count(), 1, "{:?}", loaded.diagnostics);
        let stack = loaded.stack.expect("a stack");
        let web = stack.units.values().next().expect("a unit");
        let pairs = web
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join(" ")
    };
    let expected = "A=1 B=1value C=$A D=x E=1value R='$A' SET=value";
    assert_eq!(env(sources("compose.yaml", TEXT)), expected);
    let imported = import_compose(&sources("compose.yaml", TEXT));
    let text = imported.text.expect("an import");
    assert_eq!(env(sources("harness.yaml", &text)), expected, "{text}");
    // A stack file takes values as they stand.
    let plain = "services: {web: {binary: x, env_file: two.env}}";
    let loaded = load(&sources("harness.yaml", plain))
        .stack
        .expect("a stack");
    let web = loaded.units.values().next().expect("a unit");
    assert_eq!(web.env["E"].as_literal(), Some("${B:-none}"));
    let wrong = TEXT.replace("format: raw", "format: odd");
    let wrong = load(&sources("compose.yaml", &wrong));
    let mut errors = wrong.diagnostics.iter().filter(|found| found.is_error());
    let error = errors.next().expect("it is refused");
    assert_eq!((error.code, error.line), (Code::Invalid, 7));
}
