//! What the tests of this crate share.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::time::Duration;

use command_executor::event::{LineEnd, ProcessEvent, ProcessEventStream, ProcessEventType};
use command_executor::{Command, Executor, LocalHandle, ManagedProcess, ProcessHandle, Target};
use futures_lite::StreamExt;
use testkit::{fixture_path, within};

/// Far longer than anything here takes on a loaded machine.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn fixture(arguments: &[&str]) -> Command {
    let mut command = Command::new(fixture_path());
    command.args(arguments);
    command
}

pub(crate) fn managed() -> Target {
    Target::ManagedProcess(ManagedProcess::new().kill_on_drop(true))
}

pub(crate) async fn launch(target: &Target, command: Command) -> (ProcessEventStream, LocalHandle) {
    Executor::local()
        .launch(target, command)
        .await
        .expect("it can be launched")
}

pub(crate) async fn next(events: &mut ProcessEventStream) -> ProcessEvent {
    within(SOON, "the next event", events.next())
        .await
        .expect("the stream goes on")
}

/// The value of the next stdout line `name value`.
pub(crate) async fn told(events: &mut ProcessEventStream, name: &str) -> u32 {
    loop {
        let event = next(events).await;
        if event.event_type == ProcessEventType::Stdout {
            let value = event
                .data
                .strip_prefix(name)
                .unwrap_or_else(|| panic!("{name} in {}", event.data));
            return value.trim().parse().expect("a number");
        }
    }
}

/// All events to the end.
pub(crate) async fn rest(events: ProcessEventStream) -> Vec<ProcessEvent> {
    within(SOON, "the end of the stream", events.collect()).await
}

/// The exact bytes of one output.
pub(crate) fn bytes(events: &[ProcessEvent], of: ProcessEventType) -> Vec<u8> {
    let mut bytes = vec![];
    for event in events.iter().filter(|event| event.event_type == of) {
        bytes.extend_from_slice(event.data.bytes());
        if event.line_end == Some(LineEnd::Newline) {
            bytes.push(b'\n');
        }
    }
    bytes
}

pub(crate) fn pid(handle: &LocalHandle) -> u32 {
    handle.pid().expect("a local process has a PID")
}
