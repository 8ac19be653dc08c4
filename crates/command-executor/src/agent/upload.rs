//! Brings the shim's program to a host.
//!
//! Owns: where it lies there: in a directory named by its hash, so that versions stand beside each other and none is ever
//! overwritten. It is put there whole, checked by the host itself, and run once, before it has its name.

use std::path::PathBuf;
use std::process::Command;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use rustix::system::uname;
use service_shim::agent::sha256;

use super::connect::{AgentPipes, StartedAgent, complaint, start};
use super::error::ConnectError;
use crate::blocking::unblock;
use crate::ssh::{SshConnection, SshError};

/// The program, as it is brought.
#[derive(Debug)]
pub(super) struct Binary {
    program: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
}

impl Binary {
    pub(super) async fn read(program: PathBuf) -> Result<Binary, ConnectError> {
        let path = program.clone();
        let read = unblock(move || {
            let bytes = std::fs::read(path)?;
            let sha256 = sha256(&bytes);
            Ok((bytes, sha256))
        });
        match read.await {
            Ok((bytes, sha256)) => Ok(Binary {
                program,
                bytes,
                sha256,
            }),
            Err(source) => Err(ConnectError::Program { program, source }),
        }
    }

    /// Below the user's home.
    pub(super) fn place(&self) -> String {
        format!(".local/share/harness/bin/{}/harness-shim", self.sha256)
    }

    /// What the host does with the bytes. It says in its last line what came of it.
    fn script(&self) -> String {
        let (place, sha256) = (self.place(), &self.sha256);
        format!(
            "set -e; echo \"machine $(uname -sm)\"; [ \"$(uname -sm)\" = '{}' ] || {{ cat >/dev/null; exit 0; }}; \
             umask 077; p=\"$HOME/{place}\"; mkdir -p \"${{p%/*}}\"; t=\"$p.$$.new\"; trap 'rm -f \"$t\"' EXIT; \
             cat >\"$t\"; s=$(sha256sum <\"$t\"); [ \"${{s%% *}}\" = {sha256} ] || {{ echo 'said its hash is another'; exit 0; }}; \
             chmod 700 \"$t\"; v=$(\"$t\" --version 2>&1) || {{ echo \"said it does not run there: $v\"; exit 0; }}; \
             mv -f \"$t\" \"$p\"; echo done",
            machine()
        )
    }
}

/// Brings the program there.
pub(super) async fn bring(
    connection: &SshConnection,
    binary: &Binary,
    client: impl Fn(&str) -> Result<Command, ConnectError>,
) -> Result<(), ConnectError> {
    let failed = |said: String| ConnectError::Upload {
        program: binary.program.clone(),
        said,
    };
    let started = start(client(&binary.script())?).await;
    let StartedAgent { pipes, stderr } = started.map_err(|error| failed(error.to_string()))?;
    let AgentPipes {
        mut reader,
        mut writer,
        hold,
    } = pipes;
    let write = async move {
        // Whoever stops reading says why.
        drop(writer.write_all(&binary.bytes).await);
        drop(writer);
    };
    let mut output = Vec::new();
    let read = async { drop(reader.read_to_end(&mut output).await) };
    future::zip(write, read).await;
    let complaint = complaint(stderr).await;
    drop(hold);
    let text = String::from_utf8_lossy(&output);
    let said = |word: &str| text.lines().find_map(|line| line.strip_prefix(word));
    match (said("machine "), text.lines().next_back()) {
        (_, Some("done")) => Ok(()),
        (Some(theirs), _) if theirs != machine() => Err(ConnectError::Machine {
            theirs: theirs.to_owned(),
            ours: machine(),
        }),
        _ => Err(match said("said ") {
            Some(why) => failed(why.to_owned()),
            // A shell there names itself in what it complains about; all else is the client's.
            None if complaint.starts_with(b"sh: ") => {
                failed(String::from_utf8_lossy(&complaint).trim().to_owned())
            }
            None => SshError::explain(connection.host(), &complaint).into(),
        }),
    }
}

/// `uname -sm` of this machine.
fn machine() -> String {
    let own = uname();
    format!(
        "{} {}",
        own.sysname().to_string_lossy(),
        own.machine().to_string_lossy()
    )
}
