//! Compose files: what becomes of each, and where what is wrong stands.

mod support;

use std::path::Path;

use harness_config::{Code, Diagnostic, Imported, Sources, import_compose, load};
use service_orchestration::spec::{
    Gate, MountKind, ProbeAction, RestartWhen, TargetSpec, UnitKind,
};
use support::compose::{STACKS, directory, of, set, without_places};

/// A stack under a name without a path, with nothing set but what it insists on.
fn named(stack: &str) -> Sources {
    let name = format!("{stack}.yaml");
    let text = std::fs::read_to_string(directory().join(&name)).expect("a stack");
    Sources::new()
        .text(name, text)
        .directory(directory())
        .variable("DB_PASSWORD", "x")
}

fn lines(imported: &Imported) -> String {
    let line = |d: &Diagnostic| {
        let file = Path::new(&d.file)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let help = d.help.as_deref().unwrap_or("-");
        format!(
            "{} {file}:{}:{} {} | {help}\n",
            d.code, d.line, d.column, d.message
        )
    };
    imported.diagnostics.iter().map(line).collect()
}

/// The import, which must be possible.
fn import(text: &str) -> (String, Imported) {
    let imported = import_compose(&of(text));
    let made = imported.text.clone();
    (
        made.unwrap_or_else(|| panic!("{}", lines(&imported))),
        imported,
    )
}

#[test]
fn what_becomes_of_well_known_stacks() {
    for stack in STACKS {
        let imported = import_compose(&named(stack));
        let text = imported
            .text
            .clone()
            .unwrap_or_else(|| panic!("{stack}:\n{}", lines(&imported)));
        insta::assert_snapshot!(stack, format!("{text}\n=====\n{}", lines(&imported)));
    }
}

#[test]
fn an_empty_entry_point_is_none_and_not_the_images() {
    for empty in ["[]", "''"] {
        let text = format!("services: {{db: {{image: y, entrypoint: {empty}, command: [run]}}}}");
        let (made, imported) = import(&text);
        assert!(imported.diagnostics.is_empty(), "{}", lines(&imported));
        assert!(made.contains("entrypoint: []"), "{made}");
        let loaded = load(&of(&text)).stack.expect("a stack");
        let TargetSpec::Docker(target) = &loaded.units["db"].target else {
            panic!("a container")
        };
        assert_eq!(target.entrypoint.as_deref(), Some(&[][..]));
    }
}

#[test]
fn nothing_is_injected_into_a_compose_stack_unless_a_file_over_it_asks() {
    const TEXT: &str = "services: {web: {image: x, depends_on: [db]}, db: {image: y}}";
    let loaded = load(&of(TEXT)).stack.expect("a stack");
    assert!(loaded.units.values().all(|unit| !unit.inject));
    let asked = of(TEXT).text("harness.override.yaml", "settings: {inject: true}");
    let loaded = load(&asked).stack.expect("a stack");
    assert!(loaded.units.values().all(|unit| unit.inject));
    let (text, _) = import(TEXT);
    assert!(text.contains("settings:\n  inject: false\n"), "{text}");
}

#[test]
fn what_was_external_by_its_name_once_still_is() {
    const TEXT: &str = "services: {web: {image: x, networks: [out], volumes: ['data:/d']}}\nnetworks: {out: {external: {name: public}}}\nvolumes: {data: {external: {name: shared}}}\n";
    let (text, imported) = import(TEXT);
    assert!(imported.diagnostics.is_empty(), "{}", lines(&imported));
    assert!(
        text.contains("external: true") && text.contains("name: shared"),
        "{text}"
    );
    let stack = load(&of(TEXT)).stack.expect("a stack");
    let volume = &stack.volumes["data"];
    assert!(volume.external);
    assert_eq!(volume.engine_name.as_deref(), Some("shared"));
}

#[test]
fn a_compose_file_runs_as_what_it_is_imported_to() {
    for stack in STACKS {
        let directly = load(&named(stack).profile("*"));
        let made = import_compose(&named(stack)).text.expect("it was imported");
        let sources = named_text(&made);
        let imported = load(&set(sources, &directly.diagnostics));
        let shown = support::lines(&imported);
        let imported = imported
            .stack
            .unwrap_or_else(|| panic!("{stack}:\n{shown}\n{made}"));
        let directly = directly.stack.expect("it loads");
        assert_eq!(
            without_places(directly),
            without_places(imported),
            "{stack}"
        );
    }
}

/// The text of a stack file, with what the stacks insist on.
fn named_text(text: &str) -> Sources {
    Sources::new()
        .text("harness.yaml", text)
        .directory(directory())
        .variable("DB_PASSWORD", "x")
        .profile("*")
}

#[test]
fn findings_point_into_the_compose_file() {
    let text = "services:\n  web:\n    image: x\n    dns: [192.0.2.1]\n    networks: {a: {ipv4_address: 192.0.2.9}}\n  db:\n    image: y\n    gpus: all\n    deploy: {replicas: 3, placement: {}}\n";
    let (_, imported) = import(text);
    let places: Vec<String> = imported
        .diagnostics
        .iter()
        .map(Diagnostic::location)
        .collect();
    assert_eq!(
        places,
        [
            "compose.yaml:4:5",
            "compose.yaml:5:20",
            "compose.yaml:8:5",
            "compose.yaml:9:14",
            "compose.yaml:9:27"
        ]
    );
    for found in &imported.diagnostics {
        assert!(
            !found.is_error() && found.help.is_some(),
            "{}",
            found.message
        );
    }
}

#[test]
fn what_is_wrong_is_an_error_where_it_stands() {
    for (text, code, place) in [
        ("services:\n  web:\n    imge: x\n", "H0204", (3, 5)),
        (
            "services: {web: {image: x, depends_on: [bd]}}\n",
            "H0402",
            (1, 41),
        ),
        (
            "services: {web: {image: x, ports: [\"x:y\"]}}\n",
            "H0203",
            (1, 36),
        ),
        ("services: {web: {image: \"${X:?no}\"}}\n", "H0210", (1, 26)),
        ("services: {web: {image: \"$X ${Y\"}}\n", "H0211", (1, 29)),
        (
            "services: {web: {image: x, secrets: [s]}}\n",
            "H0202",
            (1, 38),
        ),
        (
            "services: {web: {image: x, extends: wbe}}\n",
            "H0402",
            (1, 37),
        ),
        (
            "services: {a: {extends: b}, b: {extends: a}}\n",
            "H0401",
            (1, 25),
        ),
        (
            "services: {a: {image: x, extends: {file: no.yaml, service: a}}}\n",
            "H0100",
            (1, 42),
        ),
        ("sevices: {}\n", "H0204", (1, 1)),
        ("services: []\n", "H0201", (1, 11)),
        ("services: {web: }\n", "H0202", (1, 12)),
        (
            "services: {web: {restart: sometimes, image: x}}\n",
            "H0203",
            (1, 27),
        ),
    ] {
        let imported = import_compose(&of(text));
        let error = imported.diagnostics.iter().find(|found| found.is_error());
        let error = error.unwrap_or_else(|| {
            panic!(
                "no error in {text}{}",
                imported.text.clone().unwrap_or_default()
            )
        });
        assert_eq!(
            (error.code.as_str(), (error.line, error.column)),
            (code, place),
            "{text}{}",
            lines(&imported)
        );
        assert!(imported.text.is_none());
    }
}

#[test]
fn a_service_that_others_wait_out_is_a_task() {
    let with = |more: &str, waits: &str| {
        let text = format!(
            "services:\n  job: {{image: x{more}}}\n  web: {{image: y, depends_on: {{job: {{condition: {waits}}}}}}}\n"
        );
        load(&of(&text)).stack.expect("it loads").units["job"].kind
    };
    let completed = "service_completed_successfully";
    assert_eq!(with("", completed), UnitKind::Task);
    assert_eq!(with(", restart: \"no\"", completed), UnitKind::Task);
    assert_eq!(
        with(", restart: \"on-failure:2\"", completed),
        UnitKind::Task
    );
    assert_eq!(with(", restart: on-failure", completed), UnitKind::Service);
    assert_eq!(with(", restart: always", completed), UnitKind::Service);
    assert_eq!(with(", ports: [80]", completed), UnitKind::Service);
    assert_eq!(with("", "service_started"), UnitKind::Service);
}

#[test]
fn waiting_means_what_it_means_in_compose() {
    let text = "services:\n  db: {image: x, healthcheck: {test: pg_isready}}\n  cache: {image: x}\n  a: {image: x, depends_on: [db, cache]}\n  b: {image: x, depends_on: {cache: {condition: service_healthy, required: false}}}\n";
    let stack = load(&of(text)).stack.expect("it loads");
    let waits = |unit: &str| -> Vec<(String, Option<Gate>, bool)> {
        let needs = stack.units[unit].dependencies.iter();
        needs
            .map(|need| (need.unit.to_string(), need.gate, need.required))
            .collect()
    };
    assert_eq!(waits("a")[0], ("db".into(), Some(Gate::Started), true));
    assert_eq!(waits("b")[0], ("cache".into(), Some(Gate::Ready), false));
    let asked = stack.units["cache"]
        .readiness
        .as_ref()
        .expect("it is asked");
    assert!(matches!(asked.action, ProbeAction::Container));
    assert_eq!(stack.units["a"].restart.when, RestartWhen::Never);
}

#[test]
fn files_are_laid_over_each_other_included_and_extended() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        std::fs::write(&path, text).expect("it is written");
        path
    };
    write(
        "lib/base.yaml",
        "services: {base: {build: ./src, volumes: [\"./data:/data\", \"cache:/cache\"], environment: [A=1, B=2]}}\n",
    );
    write(
        "lib/more.yaml",
        "services: {more: {image: m, env_file: more.env}}\n",
    );
    write("lib/more.env", "C=3\n");
    let first = write(
        "compose.yaml",
        "include: [lib/more.yaml]\nservices: {web: {extends: {file: lib/base.yaml, service: base}, environment: {B: two}}}\nvolumes: {cache: }\n",
    );
    let over = write(
        "compose.override.yaml",
        "services: {web: {ports: [80], volumes: [\"./other:/data\"]}}\n",
    );
    let loaded = load(&Sources::new().file(&first).file(&over));
    let stack = loaded
        .stack
        .clone()
        .unwrap_or_else(|| panic!("{}", support::lines(&loaded)));
    let web = &stack.units["web"];
    assert_eq!(web.env["B"].to_string(), "two");
    assert_eq!(web.env["A"].to_string(), "1");
    assert_eq!(web.ports.len(), 1);
    assert_eq!(stack.units["more"].env["C"].to_string(), "3");
    assert_eq!(loaded.compose_names().len(), 4);
    let text = import_compose(&Sources::new().file(&first))
        .text
        .expect("it is imported");
    assert!(text.contains("context: ./lib/src"), "{text}");
    assert!(text.contains("./lib/data:/data"), "{text}");
    let both = import_compose(&Sources::new().file(&first).file(&over));
    let text = both.text.expect("it is imported");
    assert!(
        text.contains(r#"volumes: ["./other:/data", "cache:/cache"]"#),
        "{text}"
    );
}

#[test]
fn a_file_can_repeat_others_only_so_often() {
    let mut text = String::from("services:\n  s0: {image: x, environment: {");
    for n in 0..2_000 {
        text += &format!("V{n}: x, ");
    }
    text += "}}\n";
    for n in 1..500 {
        text += &format!("  s{n}: {{extends: s0}}\n");
    }
    let imported = import_compose(&of(&text));
    assert!(
        imported
            .diagnostics
            .iter()
            .any(|found| found.code == Code::Limit)
    );
}

#[test]
fn names_networks_of_others_and_mounts_of_memory_are_carried_over() {
    let text = "services:\n  db:\n    image: x\n    tmpfs: [\"/run:size=1m,noexec,nosuid,uid=5\", \"/x:huge=always\"]\n    \
        networks: {back: {aliases: [sql, db]}, front: {aliases: [sql, store]}}\n  \
        proxy:\n    image: y\n    networks: [edge]\n  \
        two:\n    image: z\n    networks: [other, back]\n\
        networks:\n  back:\n  front:\n  edge: {external: true, name: public}\n  other: {external: true}\n";
    let (yaml, imported) = import(text);
    for wanted in [
        "aliases",
        "sql",
        "store",
        "network: public",
        "noexec",
        "nosuid",
        "uid=5",
    ] {
        assert!(yaml.contains(wanted), "{wanted}: {yaml}");
    }
    assert_eq!(yaml.matches("sql").count(), 1, "each name once: {yaml}");
    let said = lines(&imported);
    for lost in ["huge=always", "`external` of the network `other`"] {
        assert!(said.contains(lost), "{lost}: {said}");
    }
    for kept in ["sql", "noexec", "network `edge`"] {
        assert!(!said.contains(kept), "{kept}: {said}");
    }
}

#[test]
fn a_misspelt_key_further_down_is_an_error_that_names_the_near_one() {
    for (part, near) in [
        ("healthcheck: {test: x, intervall: 5s}", "interval"),
        ("build: {contxt: .}", "context"),
        ("deploy: {resorces: {}}", "resources"),
        ("deploy: {resources: {limit: {}}}", "limits"),
        ("deploy: {resources: {limits: {memry: 1g}}}", "memory"),
        ("deploy: {resources: {reservations: {cpu: 1}}}", "cpus"),
        ("deploy: {restart_policy: {conditon: any}}", "condition"),
        ("logging: {drivr: json-file}", "driver"),
        ("ports: [{target: 80, publishd: 81}]", "published"),
        ("volumes: [{type: bind, source: ., taget: /x}]", "target"),
        (
            "volumes: [{type: bind, source: ., target: /x, bind: {selinx: z}}]",
            "selinux",
        ),
        ("networks: {default: {aliasses: [x]}}", "aliases"),
    ] {
        let text = format!("services: {{web: {{image: x, {part}}}}}\n");
        let imported = import_compose(&of(&text));
        let error = imported.diagnostics.iter().find(|found| found.is_error());
        let error = error.unwrap_or_else(|| panic!("{part} is no error:\n{}", lines(&imported)));
        assert_eq!(error.code.as_str(), "H0204", "{part}: {}", error.message);
        let meant = format!("did you mean `{near}`?");
        assert_eq!(error.label.as_deref(), Some(meant.as_str()), "{part}");
    }
}

#[test]
fn a_mount_without_a_target_is_told() {
    let imported = import_compose(&of(
        "services: {web: {image: x, volumes: [{type: bind, source: .}]}}\n",
    ));
    let said = lines(&imported);
    assert!(
        said.contains("H0202") && said.contains("a mount of `web` has no `target`"),
        "{said}"
    );
}

#[test]
fn a_duration_without_a_unit_is_an_error_as_in_compose() {
    for part in [
        "healthcheck: {test: x, timeout: 5}",
        "healthcheck: {test: x, interval: \"5\"}",
        "stop_grace_period: 5",
    ] {
        let text = format!("services: {{web: {{image: x, {part}}}}}\n");
        let imported = import_compose(&of(&text));
        let said = lines(&imported);
        assert!(imported.text.is_none(), "{part}");
        assert!(
            said.contains("has no unit") && said.contains(": 5s`"),
            "{said}"
        );
    }
    let (_, imported) =
        import("services: {web: {image: x, healthcheck: {test: x, interval: 0, timeout: 0s}}}\n");
    assert!(imported.diagnostics.is_empty(), "{}", lines(&imported));
}

#[test]
fn a_directory_that_must_be_there_still_must() {
    let text = "services: {web: {image: x, volumes: [{type: bind, source: data, target: /d, read_only: true, bind: {create_host_path: false, propagation: rslave}}]}}";
    let (made, imported) = import(text);
    assert!(imported.diagnostics.is_empty(), "{}", lines(&imported));
    assert!(made.contains("create_host_path: false"), "{made}");
    let strict = load(&of(text)).stack.expect("a stack");
    let TargetSpec::Docker(target) = &strict.units["web"].target else {
        panic!("a container")
    };
    let expected = MountKind::Bind {
        source: "./data".into(),
        create: false,
        propagation: Some("rslave".into()),
    };
    assert_eq!(target.mounts[0].kind, expected);
    assert!(target.mounts[0].read_only);
    let made = load(&named_text(&made)).stack.expect("a stack");
    assert_eq!(without_places(made).units, without_places(strict).units);
}

#[test]
fn containers_on_networks_of_others_are_not_among_those_that_reach_each_other() {
    let told = |services: &str| {
        let networks = "networks: {out: {external: true}, one: , two: }";
        let loaded = load(&of(&format!("{networks}\nservices: {{{services}}}")));
        let mut found = loaded.diagnostics.into_iter();
        let found = found.find(|found| found.message.contains("the networks are one here"));
        found.map(|found| found.message)
    };
    let alone = "a: {image: x, networks: [out]}, b: {image: x}";
    assert_eq!(told(alone), None, "as under Compose");
    let apart = "b: {image: x, networks: [one]}, c: {image: x, networks: [two]}";
    let message = told(apart).expect("they are one here");
    assert!(message.ends_with("reaches every other"), "{message}");
    let message = told(&format!("{apart}, a: {{image: x, networks: [out]}}"));
    let message = message.expect("they are one here");
    assert!(
        message.ends_with("but for those on external networks alone"),
        "{message}"
    );
}
