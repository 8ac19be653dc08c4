//! Keys and certificates on disk: made once, kept private, renewed in time.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn contents(directory: &Path, file: &str) -> String {
    fs::read_to_string(directory.join(file)).unwrap()
}

#[test]
fn first_use_makes_private_files_and_second_use_keeps_them() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("a/pki");
    let now = SystemTime::now();
    let pki = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap();
    pki.server_config(now).unwrap();
    pki.client_config("owner", Role::Admin, now).unwrap();
    assert_eq!(mode(&directory), 0o700);
    let files = ["ca.pem", "ca.key", "server.pem", "client-owner.pem"];
    for file in files {
        assert_eq!(mode(directory.join(file)), 0o600, "{file}");
    }
    assert!(
        !contents(&directory, "ca.pem").contains("PRIVATE"),
        "clients need no key of the authority"
    );
    let before = files.map(|file| contents(&directory, file));

    let again = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap();
    again.server_config(now).unwrap();
    again.client_config("owner", Role::Admin, now).unwrap();
    assert_eq!(files.map(|file| contents(&directory, file)), before);
    let identity = local_identity(&directory, "owner").unwrap();
    assert_eq!(
        (identity.name.as_str(), identity.role),
        ("owner", Role::Admin)
    );
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("pki");
    let now = SystemTime::now();
    let pki = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap();
    pki.server_config(now).unwrap();
    pki.client_config("owner", Role::Admin, now).unwrap();
    let is_exposed = |error: PkiError, file: &str| match error {
        PkiError::Exposed { path, mode: 0o644 } => path.ends_with(file),
        _ => false,
    };
    set_mode(directory.join("server.pem"), 0o644);
    assert!(is_exposed(
        pki.server_config(now).unwrap_err(),
        "server.pem"
    ));
    set_mode(directory.join("client-owner.pem"), 0o644);
    assert!(is_exposed(
        ClientTls::load(&directory, "owner").unwrap_err(),
        "client-owner.pem"
    ));
    set_mode(directory.join("ca.key"), 0o644);
    assert!(is_exposed(
        Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap_err(),
        "ca.key"
    ));
    set_mode(&directory, 0o755);
    let error = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap_err();
    assert!(matches!(&error, PkiError::Exposed { mode: 0o755, .. }));
    assert!(error.to_string().contains("others have access"), "{error}");
}

#[test]
fn a_symbolic_link_is_no_key() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("pki");
    Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap();
    fs::rename(directory.join("ca.key"), directory.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", directory.join("ca.key")).unwrap();
    let error = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap_err();
    assert!(
        matches!(error, PkiError::Io { action: "open", .. }),
        "{error:?}"
    );
}

#[test]
fn damaged_files_are_reported_and_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("pki");
    let pki = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap();
    fs::write(directory.join("server.pem"), "half a ce").unwrap();
    set_mode(directory.join("server.pem"), 0o600);
    assert!(matches!(
        pki.server_config(SystemTime::now()),
        Err(PkiError::Damaged { .. })
    ));
    assert_eq!(contents(&directory, "server.pem"), "half a ce");
}

#[test]
fn a_leaf_is_renewed_after_two_thirds_of_its_life() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("pki");
    let now = SystemTime::now();
    let pki = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap();
    assert!(pki.needs_renewal(now).unwrap(), "there is none yet");
    pki.server_config(now).unwrap();
    assert!(!pki.needs_renewal(now).unwrap());
    assert!(!pki.needs_renewal(now + 59 * DAY).unwrap());
    assert!(pki.needs_renewal(now + 61 * DAY).unwrap());
    assert!(pki.needs_renewal(now - 2 * DAY).unwrap(), "not valid yet");
    let first = contents(&directory, "server.pem");
    pki.server_config(now + 61 * DAY).unwrap();
    assert_ne!(contents(&directory, "server.pem"), first);
    assert!(!pki.needs_renewal(now + 61 * DAY).unwrap());

    pki.client_config("ci", Role::Observer, now).unwrap();
    let first = contents(&directory, "client-ci.pem");
    pki.client_config("ci", Role::Observer, now + 61 * DAY)
        .unwrap();
    assert_ne!(contents(&directory, "client-ci.pem"), first);
}

#[test]
fn a_leaf_is_replaced_when_names_or_role_change() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("pki");
    let now = SystemTime::now();
    Pki::open_or_create(&directory, &ServerNames::loopback())
        .unwrap()
        .server_config(now)
        .unwrap();
    let first = contents(&directory, "server.pem");
    let names = ServerNames::loopback()
        .with_name("Build-Host.lan")
        .with_address("10.0.0.7".parse().unwrap());
    assert!(
        names.contains("build-host.lan") && names.contains("10.0.0.7") && names.contains("[::1]")
    );
    let pki = Pki::open_or_create(&directory, &names).unwrap();
    pki.server_config(now).unwrap();
    let second = contents(&directory, "server.pem");
    assert_ne!(second, first);
    pki.server_config(now).unwrap();
    assert_eq!(contents(&directory, "server.pem"), second);

    pki.client_config("ci", Role::Observer, now).unwrap();
    pki.client_config("ci", Role::Operator, now).unwrap();
    assert_eq!(
        local_identity(&directory, "ci").unwrap().role,
        Role::Operator
    );
}

#[test]
fn names_that_lead_out_of_the_directory_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let pki = Pki::open_or_create(temporary.path().join("pki"), &ServerNames::loopback()).unwrap();
    for name in [
        "",
        "../x",
        "a/b",
        ".hidden",
        "Upper",
        "a b",
        &"a".repeat(64),
    ] {
        let refused = pki.client_config(name, Role::Observer, SystemTime::now());
        assert!(matches!(refused, Err(PkiError::BadName { .. })), "{name}");
    }
}

#[test]
fn processes_that_begin_together_share_one_authority() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("pki");
    let now = SystemTime::now();
    let authorities: Vec<_> = std::thread::scope(|scope| {
        let start = || {
            let pki = Pki::open_or_create(&directory, &ServerNames::loopback()).unwrap();
            pki.server_config(now).unwrap();
            pki.client_config("owner", Role::Admin, now).unwrap();
            pki.authority
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(authorities.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_client_without_a_server_is_told_so() {
    let temporary = tempfile::tempdir().unwrap();
    let error = ClientTls::load(temporary.path().join("pki"), "owner").unwrap_err();
    assert!(matches!(error, PkiError::Absent { .. }), "{error:?}");
}
