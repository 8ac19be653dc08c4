//! The configuration that the client is given, and nothing beside it.
//!
//! Owns: its text and its file. Neither the user's configuration nor the machine's is read by the client.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::SshHost;

/// Where the files of a connection lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) directory: PathBuf,
    pub(super) known_hosts: PathBuf,
}

impl Files {
    pub(super) fn config(&self, host: &SshHost) -> PathBuf {
        self.directory.join(format!("{}.conf", host.name()))
    }

    /// The socket of the connection that is shared.
    pub(super) fn control(&self, host: &SshHost) -> PathBuf {
        self.directory.join(host.name())
    }

    /// Writes the configuration of `host`, in a directory that nobody else can read.
    pub(super) fn write(&self, host: &SshHost) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)?;
        let found = fs::metadata(&self.directory)?;
        if found.mode() & 0o077 != 0 || found.uid() != rustix::process::geteuid().as_raw() {
            let said = "others have access to it, and the connections in it";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, said));
        }
        let file = self.config(host);
        // Others may write the same one meanwhile: each a file of its own, and each a whole one.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = format!("{}.{}-{number}.new", host.name(), std::process::id());
        let fresh = self.directory.join(own);
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?
            .write_all(self.text(host).as_bytes())?;
        fs::rename(fresh, file)
    }

    /// Sections for the host and those before it, and what holds for all.
    fn text(&self, host: &SshHost) -> String {
        let mut text = String::new();
        let mut next = Some(host);
        while let Some(host) = next {
            section(&mut text, host);
            let control = quoted(&self.control(host));
            line(&mut text, &format!("  ControlPath {control}"));
            next = host.jump();
        }
        line(&mut text, "Host *");
        let known_hosts = quoted(&self.known_hosts);
        line(&mut text, &format!("  UserKnownHostsFile {known_hosts}"));
        text.push_str(FOR_ALL);
        text
    }
}

fn section(text: &mut String, host: &SshHost) {
    line(text, &format!("Host {}", host.name()));
    line(text, &format!("  HostName {}", host.address()));
    line(text, &format!("  Port {}", host.port()));
    if let Some(user) = host.user() {
        line(text, &format!("  User {user}"));
    }
    if let Some(identity) = host.identity() {
        line(text, &format!("  IdentityFile {}", quoted(identity)));
        line(text, "  IdentitiesOnly yes");
    }
    if let Some(jump) = host.jump() {
        line(text, &format!("  ProxyJump {}", jump.name()));
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes everything");
}

/// A path that was checked, with what is left that means something.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('%', "%%"))
}

/// A command uses the shared connection where there is one, and makes none that would outlive it.
const FOR_ALL: &str = "\
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  UpdateHostKeys no
  BatchMode yes
  ControlMaster no
  ControlPersist 600
  ConnectTimeout 10
  ServerAliveInterval 5
  ServerAliveCountMax 3
  ClearAllForwardings yes
  ExitOnForwardFailure yes
  ForwardAgent no
  ForwardX11 no
  PermitLocalCommand no
  EscapeChar none
  LogLevel ERROR
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_may_write_it_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files {
            directory: directory.path().join("ssh"),
            known_hosts: "/etc/known".into(),
        };
        let host = SshHost::new("host1").expect("a name");
        let all = std::sync::Barrier::new(16);
        std::thread::scope(|scope| {
            let write = || {
                all.wait();
                (0..20).try_for_each(|_| files.write(&host))
            };
            let writers: Vec<_> = (0..16).map(|_| scope.spawn(write)).collect();
            for writer in writers {
                let written = writer.join().expect("no panic");
                written.expect("each has a file of its own");
            }
        });
        let left = fs::read_dir(&files.directory).expect("it is there").count();
        assert_eq!(left, 1, "only the configuration");
    }

    #[test]
    fn the_configuration_names_every_host_on_the_way() {
        let router = SshHost::new("router").expect("it is");
        let host = SshHost::new("far1")
            .and_then(|host| {
                host.with_address("10.0.0.9")?
                    .with_user("me")?
                    .with_port(2222)
            })
            .and_then(|host| host.with_identity("/keys/100%/a key"))
            .expect("it is")
            .with_jump(router);
        let files = Files {
            directory: "/run/ssh".into(),
            known_hosts: "/etc/known".into(),
        };
        let text = files.text(&host);
        let own = text.strip_suffix(FOR_ALL).expect("it ends as all do");
        assert_eq!(
            own,
            "Host far1\n  HostName 10.0.0.9\n  Port 2222\n  User me\n  IdentityFile \"/keys/100%%/a key\"\n  \
             IdentitiesOnly yes\n  ProxyJump router\n  ControlPath \"/run/ssh/far1\"\nHost router\n  HostName router\n  \
             Port 22\n  ControlPath \"/run/ssh/router\"\nHost *\n  UserKnownHostsFile \"/etc/known\"\n"
        );
    }

    #[test]
    fn a_directory_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("made");
        let files = Files {
            directory: directory.path().join("own"),
            known_hosts: "/known".into(),
        };
        let host = SshHost::new("h").expect("it is");
        files.write(&host).expect("written");
        let mode = fs::metadata(files.config(&host)).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&files.directory, open).expect("changed");
        files.write(&host).expect_err("others look in");
    }
}
