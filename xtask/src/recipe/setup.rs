//! What the tests and examples need beyond the toolchain.
//!
//! Owns: the list of programs and the packages that bring them. Installs nothing when all are there, and keeps packages
//! from starting their services. The engine and the images are [`containers`]' part.

use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::recipe::{containers, lint};
use crate::step::Step;
use crate::workspace;

/// A package of Debian, and the programs that make it needed. They may lie outside an ordinary user's PATH.
const PACKAGES: [(&str, &[&str]); 21] = [
    ("postgresql", &["psql", "pg_isready"]),
    ("redis-server", &["redis-server"]),
    ("nginx-light", &["nginx"]),
    // For the fault matrix; strace also for the counts of system calls.
    ("strace", &["strace"]),
    ("faketime", &["faketime"]),
    ("util-linux", &["unshare", "setpriv", "mount", "nsenter"]),
    ("e2fsprogs", &["mkfs.ext4"]),
    // The engine, and what its images are made from.
    ("docker.io", &["docker", "dockerd"]),
    ("iptables", &["iptables"]),
    ("iproute2", &["ip"]),
    ("busybox-static", &["busybox"]),
    ("openssh-server", &["sshd"]),
    ("openssh-client", &["ssh"]),
    ("docker-registry", &["docker-registry"]),
    ("minisign", &["minisign"]),
    ("curl", &["curl"]),
    ("shellcheck", &["shellcheck"]),
    // What fetches the programs that Debian does not have, and what those need beside them.
    ("npm", &["npm"]),
    ("python3-pip", &["pip3"]),
    ("python3", &["/usr/bin/python3"]),
    ("ca-certificates", &["/etc/ssl/certs/ca-certificates.crt"]),
];

/// Where Debian puts the server's own programs, one directory per version.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// With this file in place, the scripts of packages do not start services (man 8 invoke-rc.d).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing, and brings up the engine and its images. Idempotent.
///
/// # Errors
/// When the machine is no Debian and something is missing, apt-get fails, or the engine does not come up.
pub(crate) fn run() -> Result<(), Failure> {
    install_missing()?;
    containers::prepare()
}

fn install_missing() -> Result<(), Failure> {
    add_components();
    let missing: Vec<&str> = PACKAGES
        .into_iter()
        .filter(|(package, programs)| !is_there(package, programs))
        .map(|(package, _)| package)
        .collect();
    if missing.is_empty() {
        println!("setup: everything is there");
        return Ok(());
    }
    if find("apt-get").is_none() {
        return Err(Failure::Missing {
            what: format!("not installed: {}", missing.join(", ")),
            advice: "install what corresponds to these Debian packages".into(),
        });
    }
    install(&missing)?;
    println!("setup: installed {}", missing.join(", "));
    Ok(())
}

/// The directory of PostgreSQL's server programs: of the newest version that is installed.
///
/// # Errors
/// When there is none.
pub(crate) fn postgresql_programs() -> Result<PathBuf, Failure> {
    let newest = std::fs::read_dir(POSTGRESQL)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|directory| directory.join("initdb").exists())
        .max_by_key(|directory| version(directory));
    let beside_psql = || find("initdb").and_then(|program| program.parent().map(Path::to_path_buf));
    newest.or_else(beside_psql).ok_or_else(|| Failure::Missing {
        what: "PostgreSQL's server is not installed".into(),
        advice: "run `cargo xtask setup`".into(),
    })
}

/// Whether this process runs as root.
pub(crate) fn is_root() -> bool {
    Step::new("id", ["-u"])
        .text()
        .is_ok_and(|uid| uid.trim() == "0")
}

/// `PostgreSQL 15` before `PostgreSQL 9`.
fn version(directory: &Path) -> u32 {
    directory
        .parent()
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .and_then(|name| name.split('.').next()?.parse().ok())
        .unwrap_or(0)
}

fn is_there(package: &str, programs: &[&str]) -> bool {
    programs.iter().all(|program| find(program).is_some())
        && (package != "postgresql" || postgresql_programs().is_ok())
}

/// A program in the PATH, or where system administration's programs lie; a file that is named in full, there.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// A minimal toolchain lacks clippy and rustfmt. Where rustup cannot bring them, `lint` says so later.
fn add_components() {
    let missing = lint::missing_components();
    if !missing.is_empty() && find("rustup").is_some() {
        let arguments = ["component", "add"].into_iter().chain(missing);
        // Run where rust-toolchain files of the workspace apply.
        Step::new("rustup", arguments)
            .within(&workspace::root())
            .succeeds();
    }
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    // One shell, so that sudo asks once at most. The policy file is removed again only if it was put there here.
    let script = format!(
        "set -eu
export DEBIAN_FRONTEND=noninteractive
if ! [ -e {POLICY} ]; then
  printf '#!/bin/sh\\nexit 101\\n' > {POLICY}
  chmod 755 {POLICY}
  trap 'rm -f {POLICY}' EXIT
fi
apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install {}",
        packages.join(" ")
    );
    if is_root() {
        Step::new("sh", ["-c", &script]).run()
    } else if find("sudo").is_some() {
        Step::new("sudo", ["sh", "-c", &script]).run()
    } else {
        Err(Failure::Missing {
            what: format!("not installed: {}", packages.join(", ")),
            advice: "run `cargo xtask setup` as root once, or install sudo".into(),
        })
    }
}
