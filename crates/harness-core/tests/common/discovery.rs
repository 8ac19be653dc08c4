//! Services that are registered, and what is told of them.

use harness_core::client::{RegistryWatch, Remote};
use harness_core::protocol::{
    ErrorCode, InstanceName, InviteParams, NamePattern, RegistryEvent, RegistryPublishParams,
    SnapshotReason, UnregisterReason,
};
use harness_core::{ClientError, HarnessClient};
use harness_wire::Role;
use testkit::TempDir;

use super::enrolled::{elsewhere, invitation};
use super::{Home, SOON};

pub fn instance(text: &str) -> InstanceName {
    text.parse().expect("a name")
}

pub fn pattern(text: &str) -> NamePattern {
    text.parse().expect("a pattern")
}

pub fn service(text: &str, port: u16) -> RegistryPublishParams {
    RegistryPublishParams::new(instance(text), port)
}

pub fn short(text: &str, port: u16) -> RegistryPublishParams {
    RegistryPublishParams {
        ttl_ms: 1_000,
        ..service(text, port)
    }
}

/// An observer of another home that may register these.
pub async fn granted(home: &Home, client: &str, register: &[&str]) -> (TempDir, HarnessClient) {
    let (directory, dirs) = elsewhere();
    let params = InviteParams {
        register: register.iter().map(|text| pattern(text)).collect(),
        ..invitation(Role::Observer, client)
    };
    let invited = home.client().await.invite(&params).await.expect("invited");
    let remote = Remote::enrol(&dirs, &invited.token, None).await;
    let client = HarnessClient::connect_remote(&remote.expect("enrolled")).await;
    (directory, client.expect("let in"))
}

/// A client of a daemon that is about to answer.
pub async fn soon(home: &Home) -> HarnessClient {
    testkit::eventually_async(SOON, "the daemon answers", || async {
        HarnessClient::connect(&home.dirs).await.is_ok()
    })
    .await;
    home.client().await
}

pub fn code<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ErrorCode {
    match outcome {
        Err(ClientError::Api(error)) => error.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// What a watch says next, in short.
pub async fn told(watch: &mut RegistryWatch) -> String {
    let event = testkit::within(SOON, "an event", watch.next()).await;
    match event.expect("the watch goes on") {
        RegistryEvent::Snapshot {
            reason, entries, ..
        } => {
            let names: Vec<_> = entries.iter().map(|entry| entry.name.to_string()).collect();
            let reason = match reason {
                SnapshotReason::First => "first",
                SnapshotReason::Gap => "gap",
            };
            format!("{reason} [{}]", names.join(" "))
        }
        RegistryEvent::ServiceRegistered { entry, .. } => {
            format!("registered {} {}", entry.name, entry.incarnation)
        }
        RegistryEvent::ServiceHealthChanged { entry, .. } => {
            format!("{:?} {}", entry.health, entry.name)
        }
        RegistryEvent::ServiceUnregistered { name, reason, .. } => match reason {
            UnregisterReason::Withdrawn => format!("withdrawn {name}"),
            UnregisterReason::Lost => format!("lost {name}"),
        },
        other => panic!("{other:?}"),
    }
}
