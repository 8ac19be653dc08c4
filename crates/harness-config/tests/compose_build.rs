//! `build` in Compose files: what another image would come of is refused, where its service is taken in.

mod support;

use harness_config::{Code, Diagnostic, import_compose, load};
use support::compose::of;

/// What else stands in `build`, beside a context.
const ANOTHER: [&str; 4] = [
    "dockerfile_inline: FROM scratch",
    "additional_contexts: {base: ../base}",
    "secrets: [token]",
    "ssh: [default]",
];

const LESS: [&str; 9] = [
    "cache_from: [x]",
    "no_cache: true",
    "pull: true",
    "platforms: [linux/amd64]",
    "labels: {a: b}",
    "tags: [a:b]",
    "network: host",
    "shm_size: 1g",
    "privileged: true",
];

fn service(said: &str) -> String {
    format!("services: {{web: {{build: {{context: ., {said}}}}}}}")
}

fn is(found: &Diagnostic, code: Code) -> bool {
    found.code == code && found.help.is_some()
}

#[test]
fn a_build_that_would_make_another_image_is_refused() {
    for said in ANOTHER {
        let text = service(said);
        let loaded = load(&of(&text));
        assert!(loaded.stack.is_none(), "{said}");
        let [found] = loaded.diagnostics.as_slice() else {
            panic!("{said}: {:?}", loaded.diagnostics)
        };
        assert!(
            is(found, Code::ComposeRefused) && found.is_error(),
            "{found:?}"
        );
        let key = said.split(':').next().expect("a key");
        assert!(
            found
                .message
                .contains(&format!("`{key}` of `build` of `web`")),
            "{found:?}"
        );
        let imported = import_compose(&of(&text));
        assert!(imported.text.is_none(), "{said}");
        assert!(
            imported
                .diagnostics
                .iter()
                .any(|d| is(d, Code::ComposeRefused))
        );
    }
}

#[test]
fn a_build_that_makes_the_same_image_in_another_way_is_told() {
    for said in LESS {
        let loaded = load(&of(&service(said)));
        assert!(loaded.stack.is_some(), "{said}: {:?}", loaded.diagnostics);
        let [found] = loaded.diagnostics.as_slice() else {
            panic!("{said}: {:?}", loaded.diagnostics)
        };
        assert!(is(found, Code::ComposeLost), "{found:?}");
    }
    for said in ["no_cache: false", "pull: false", "ssh:", "x-a: b"] {
        let loaded = load(&of(&service(said)));
        assert!(
            loaded.diagnostics.is_empty(),
            "{said}: {:?}",
            loaded.diagnostics
        );
    }
}

#[test]
fn what_is_in_no_active_profile_is_not_built() {
    const TEXT: &str = "services:\n  web: {image: x}\n  \
        gone: {build: ./gone, profiles: [extra]}\n  \
        inline: {build: {context: ., dockerfile_inline: FROM scratch}, profiles: [extra]}\n";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let sources = of(TEXT).directory(directory.path()).here();
    let loaded = load(&sources);
    assert!(loaded.stack.is_some(), "{:?}", loaded.diagnostics);
    let codes = |found: &[Diagnostic]| found.iter().map(|d| d.code).collect::<Vec<_>>();
    assert_eq!(codes(&loaded.diagnostics), [Code::ComposeLost]);
    for sources in [
        sources.clone().profile("extra"),
        sources.clone().profile("*"),
    ] {
        let found = codes(&load(&sources).diagnostics);
        assert!(found.contains(&Code::NothingToBuild), "{found:?}");
        assert!(found.contains(&Code::ComposeRefused), "{found:?}");
    }
    let found = codes(&load(&sources.clone().wanted("gone")).diagnostics);
    assert!(found.contains(&Code::NothingToBuild), "{found:?}");
    // Where something that is taken in needs it, it is taken in too.
    let text = TEXT.replace("image: x", "image: x, depends_on: [inline]");
    let found = codes(&load(&of(&text).directory(directory.path())).diagnostics);
    assert_eq!(found, [Code::ComposeRefused]);
}
