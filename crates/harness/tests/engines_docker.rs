//! Engines that are not at a socket of this machine: the current context of docker leads to one over ssh.
#![cfg(feature = "docker-tests")]

mod support;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{DEADLINE, Home, Run};
use testkit::{TempDir, eventually_blocking};

/// A server of its own for the user who runs the tests, and an `ssh` that knows its key.
struct Server {
    directory: TempDir,
    port: u16,
    child: Child,
}

impl Server {
    fn new() -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).expect("loopback is there");
        let port = free.local_addr().expect("bound").port();
        drop(free);
        let directory = testkit::temp_dir();
        let place = directory.path();
        for name in ["host", "key"] {
            let words = ["-q", "-t", "ed25519", "-N", "", "-f"];
            let mut command = Command::new("ssh-keygen");
            let made = command.args(words).arg(place.join(name)).status();
            assert!(made.expect("ssh-keygen is installed").success());
        }
        let at = place.display();
        let server = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/key.pub\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        );
        fs::write(place.join("server"), server).expect("written");
        let host_key = fs::read_to_string(place.join("host.pub")).expect("made");
        fs::write(
            place.join("known"),
            format!("[127.0.0.1]:{port} {host_key}"),
        )
        .expect("written");
        let client = format!(
            "IdentityFile {at}/key\nIdentitiesOnly yes\nUserKnownHostsFile {at}/known\nStrictHostKeyChecking yes\n"
        );
        fs::write(place.join("client"), client).expect("written");
        let program = format!("#!/bin/sh\nexec /usr/bin/ssh -F {at}/client \"$@\"\n");
        fs::create_dir(place.join("bin")).expect("made");
        fs::write(place.join("bin/ssh"), program).expect("written");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.join("bin/ssh"), executable).expect("ours");
        // Where Debian's server wants a directory that its service makes.
        drop(fs::create_dir_all("/run/sshd"));
        let child = Self::start(place);
        let server = Self {
            directory,
            port,
            child,
        };
        eventually_blocking(DEADLINE, "the server listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        server
    }

    fn start(place: &Path) -> Child {
        let mut command = Command::new("/usr/sbin/sshd");
        command.arg("-D").arg("-f").arg(place.join("server"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("openssh-server is installed")
    }

    /// The program, with that `ssh` before the machine's.
    fn run(&self, home: &Home, arguments: &[&str]) -> Run {
        let mut command = home.command(arguments);
        Run::of(self.prepared(&mut command).output().expect("it runs"))
    }

    fn prepared<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let path = std::env::var("PATH").expect("it is text");
        let own = self.directory.path().join("bin");
        let command = command.env("PATH", format!("{}:{path}", own.display()));
        command.env_remove("DOCKER_HOST")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_current_context_of_docker_leads_to_an_engine_over_ssh() {
    let server = Server::new();
    let run = std::env::var("HARNESS_TEST_RUN").unwrap_or_else(|_| "by-hand".into());
    let home = Home::new(&format!(
        "name: far-{}\nservices:\n  app:\n    type: docker\n    image: harness-test/busybox\n    pull: never\n    \
         labels: {{harness-test.run: \"{run}\"}}\n    stop_grace_period: 1s\n    \
         command: [sh, -c, 'echo it runs far away; exec sleep 1000']\n    \
         readiness: {{command: [\"true\"], interval: 200ms}}\n",
        std::process::id()
    ));
    let user = Command::new("id").arg("-un").output().expect("it is there");
    let user = String::from_utf8(user.stdout).expect("a name");
    let host = format!("host=ssh://{}@127.0.0.1:{}", user.trim(), server.port);
    for words in [
        &["context", "create", "far", "--docker", &host][..],
        &["context", "use", "far"],
    ] {
        let mut command = Command::new("docker");
        let command = command.args(words).env("HOME", home.path());
        let command = command.env_remove("DOCKER_HOST").stdout(Stdio::null());
        assert!(command.status().expect("docker's command line").success());
    }
    server.run(&home, &["start", "--wait"]).expect(0);
    // It is ready before its output has come from so far.
    eventually_blocking(DEADLINE, "its output has come", || {
        let logs = server.run(&home, &["logs", "app"]).expect(0);
        logs.stdout.contains("it runs far away")
    });
    let said = server.run(&home, &["exec", "app", "--", "echo", "and hears"]);
    said.expect(0).shows("and hears");
    let status = server
        .run(&home, &["status", "-o", "json"])
        .expect(0)
        .json();
    let container = status["items"][0]["container_id"].clone();

    // A daemon that is killed is followed by one that takes it over, as at a socket.
    let daemon = server
        .run(&home, &["daemon", "status", "-o", "json"])
        .json();
    let pid = daemon["pid"].as_u64().expect("it runs").to_string();
    let killed = Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.expect("it is ours").success());
    server.run(&home, &["start", "--wait"]).expect(0);
    let status = server
        .run(&home, &["status", "-o", "json"])
        .expect(0)
        .json();
    assert_eq!(status["items"][0]["container_id"], container);

    server.run(&home, &["down", "--yes"]).expect(0);
}
