//! A way to a test host, with files of its own.

use std::path::PathBuf;

use command_executor::ssh::{SshConnection, SshHost, SshLayer};
use command_executor::{Command, Completed, Executor, LayeredLauncher, LocalLauncher};
use futures_lite::future::block_on;
use testkit::{Hosts, TempDir, within};

use crate::common::SOON;

/// Hosts, and a directory for connections to them.
pub(crate) struct Place {
    pub(crate) hosts: Hosts,
    directory: TempDir,
}

impl Place {
    /// With the hosts that all tests share.
    pub(crate) fn shared() -> Self {
        Self::with(Hosts::shared())
    }

    pub(crate) fn with(hosts: Hosts) -> Self {
        let directory = testkit::temp_dir();
        Self { hosts, directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("ssh")
    }

    /// A host of the set, with its key.
    pub(crate) fn host(&self, name: &str) -> SshHost {
        let host = SshHost::new(name).expect("a name");
        let host = host.with_address(self.hosts.address(name));
        let key = self.hosts.directory().join("id_ed25519");
        let host = host.expect("an address").with_user("root").expect("a user");
        host.with_identity(key).expect("a path")
    }

    pub(crate) fn to(&self, host: SshHost) -> SshConnection {
        self.knowing(host, self.hosts.directory().join("known_hosts"))
    }

    pub(crate) fn knowing(&self, host: SshHost, known_hosts: PathBuf) -> SshConnection {
        block_on(SshConnection::prepare(host, self.path(), known_hosts)).expect("it can be written")
    }

    /// The way to `host1`, open; the connection ends with the value.
    pub(crate) fn near(&self) -> Open {
        self.open(self.host("host1"))
    }

    pub(crate) fn open(&self, host: SshHost) -> Open {
        let connection = self.to(host);
        block_on(connection.open()).expect("it can be reached");
        Open(connection)
    }
}

/// A connection that is closed in the end.
pub(crate) struct Open(pub(crate) SshConnection);

impl Open {
    pub(crate) fn layer(&self) -> SshLayer {
        SshLayer::new(&self.0)
    }

    pub(crate) fn run(&self, command: Command) -> Completed {
        block_on(within(SOON, "the command", self.0.run(command))).expect("it runs")
    }

    /// What a shell says there.
    pub(crate) fn sh(&self, script: &str) -> String {
        let completed = self.run(sh(script));
        String::from_utf8_lossy(&completed.stdout).trim().to_owned()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        block_on(self.0.close()).expect("it can be closed");
    }
}

pub(crate) fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

pub(crate) fn through(layer: SshLayer) -> Executor<LayeredLauncher<LocalLauncher>> {
    Executor::local().with_layer(layer)
}
