//! Clients of other homes, enrolled at a daemon.

use std::fs;
use std::path::Path;

use harness_core::client::Remote;
use harness_core::protocol::{ErrorCode, InviteParams, Invited};
use harness_core::{ClientError, ConnectError, Dirs, HarnessClient};
use harness_wire::Role;
use testkit::TempDir;

use super::Home;

/// Another machine: a home without a daemon.
pub fn elsewhere() -> (TempDir, Dirs) {
    let directory = testkit::temp_dir();
    let dirs = Dirs::under(directory.path().join("home"));
    (directory, dirs)
}

pub fn invitation(role: Role, name: &str) -> InviteParams {
    InviteParams {
        role,
        ttl_ms: 60_000,
        name: Some(name.to_owned()),
        address: None,
        register: Vec::new(),
    }
}

pub async fn invited(home: &Home, role: Role, name: &str) -> Invited {
    let admin = home.client().await;
    admin
        .invite(&invitation(role, name))
        .await
        .expect("invited")
}

/// A client of this role, enrolled from another home.
pub async fn enrolled(home: &Home, role: Role, name: &str) -> (TempDir, HarnessClient) {
    let (directory, dirs) = elsewhere();
    let invited = invited(home, role, name).await;
    let remote = Remote::enrol(&dirs, &invited.token, None)
        .await
        .expect("enrolled");
    let client = HarnessClient::connect_remote(&remote)
        .await
        .expect("let in");
    (directory, client)
}

pub fn forbidden<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> String {
    match outcome {
        Err(ClientError::Api(error)) if error.code == ErrorCode::Forbidden => {
            assert_eq!(error.exit_code, 6);
            error.message
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

pub fn refused(error: ConnectError) -> String {
    match &error {
        ConnectError::Refused { .. } => {
            assert_eq!(error.exit_code(), 6);
            service_orchestration::error_chain(&error)
        }
        other => panic!("expected to be refused, got {other:?}"),
    }
}

/// Every file below a directory.
pub fn files(directory: &Path, all: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).expect("listed").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(&path, all),
            false => all.push((
                path.display().to_string(),
                fs::read(&path).unwrap_or_default(),
            )),
        }
    }
}
