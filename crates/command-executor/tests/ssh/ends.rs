//! What a command over ssh learns of the end of whoever launched it.

use command_executor::event::ProcessEventType;
use command_executor::{
    Command, DockerLayer, Exit, ManagedProcess, OutputMode, ProcessHandle, StdinMode, Target,
};
use futures_lite::StreamExt;
use futures_lite::future::block_on;
use testkit::{Hosts, eventually_blocking, within};

use crate::common::SOON;
use crate::place::{Open, Place, sh, through};

/// Whether somebody on the host has this word among its arguments.
fn runs(open: &Open, mark: &str) -> bool {
    // The brackets keep the search from finding itself.
    let (first, others) = mark.split_at(1);
    !open
        .sh(&format!("pgrep -f '[{first}]{others}' || true"))
        .is_empty()
}

/// A program with a child, both of which bear the mark; it has begun when this returns.
fn begin(
    open: &Open,
    mark: &str,
    target: &Target,
    stdin: StdinMode,
) -> command_executor::LocalHandle {
    let mut command = sh(&format!("sleep 1{mark} & echo begun; sleep 2{mark}"));
    command.stdin(stdin);
    block_on(async {
        let executor = through(open.layer());
        let (mut events, handle) = executor.launch(target, command).await.expect("it runs");
        loop {
            let event = within(SOON, "it begins", events.next())
                .await
                .expect("more");
            if event.event_type == ProcessEventType::Stdout {
                assert_eq!(&*event.data, "begun");
                return handle;
            }
        }
    })
}

#[test]
fn a_dropped_handle_ends_the_command_and_its_children_on_the_host() {
    let place = Place::shared();
    let open = place.near();
    for target in [
        Target::Command,
        Target::ManagedProcess(ManagedProcess::new()),
    ] {
        let handle = begin(&open, "900001", &target, StdinMode::Null);
        assert!(runs(&open, "900001"));
        drop(handle);
        eventually_blocking(SOON, "it has ended there", || !runs(&open, "900001"));
    }
}

#[test]
fn a_killed_client_ends_the_command_on_the_host() {
    let place = Place::shared();
    let open = place.near();
    let handle = begin(&open, "900002", &Target::Command, StdinMode::Null);
    block_on(handle.kill()).expect("sent");
    eventually_blocking(SOON, "it has ended there", || !runs(&open, "900002"));
}

#[test]
fn a_command_that_does_not_listen_is_killed_after_its_grace() {
    let place = Place::shared();
    let open = place.near();
    let mut deaf = sh("trap '' TERM; echo begun; sleep 900004; sleep 900004");
    deaf.stderr(OutputMode::Null);
    let deaf = block_on(async {
        let (mut events, handle) = through(open.layer())
            .launch(&Target::Command, deaf)
            .await
            .expect("it runs");
        while let Some(event) = within(SOON, "it begins", events.next()).await {
            if event.event_type == ProcessEventType::Stdout {
                break;
            }
        }
        handle
    });
    drop(deaf);
    eventually_blocking(SOON, "it has ended there", || !runs(&open, "900004"));
}

#[test]
fn what_a_command_leaves_behind_on_purpose_stays() {
    let place = Place::shared();
    let open = place.near();
    let completed = open.run(sh("nohup sleep 900005 >/dev/null 2>&1 </dev/null & exit 7"));
    assert_eq!(completed.exit, Exit::Code(7));
    // A round trip more than sshd needs to close its stdin.
    assert!(runs(&open, "900005"));
    open.sh("pkill -f '[9]00005'");
}

#[test]
fn a_stdin_of_its_own_ends_and_a_mark_reaches_who_does_not_read_it() {
    let place = Place::shared();
    let open = place.near();
    let mut reader = Command::new("cat");
    reader.stdin(StdinMode::Channel);
    let handle = block_on(async {
        let (_, handle) = through(open.layer())
            .launch(&Target::Command, reader)
            .await
            .expect("it runs");
        handle
    });
    drop(handle);
    let mut deaf = sh("sleep 900006");
    deaf.stdin(StdinMode::Channel).env("HARNESS_EXEC", "mark-6");
    let handle = block_on(async {
        let (_events, handle) = through(open.layer())
            .launch(&Target::Command, deaf)
            .await
            .expect("it runs");
        handle
    });
    eventually_blocking(SOON, "it runs there", || runs(&open, "900006"));
    drop(handle);
    assert!(runs(&open, "900006"), "it does not read its stdin");
    let end = DockerLayer::signal_marked("mark-6", command_executor::Signal::Kill);
    assert_eq!(open.run(end).exit, Exit::Code(0));
    eventually_blocking(SOON, "it has ended there", || !runs(&open, "900006"));
}

#[test]
fn a_command_does_not_outlive_the_client_that_loses_its_host() {
    let place = Place::with(Hosts::own(1, 0));
    let open = place.near();
    let handle = begin(&open, "900007", &Target::Command, StdinMode::Null);
    place.hosts.act("cut", "host1", &[]);
    // Three unanswered questions, five seconds apart.
    let exit = block_on(within(SOON * 2, "the client gives up", handle.wait())).expect("told");
    assert_eq!(exit, Exit::Code(255));
    place.hosts.act("heal", "host1", &[]);
    let again = place.near();
    assert!(again.sh("hostname") == "host1");
}
