//! Every failure of the client is told from the others.

use command_executor::Command;
use command_executor::ssh::{SshConnection, SshError, SshHost};
use futures_lite::future::block_on;
use testkit::{Hosts, within};

use crate::common::SOON;
use crate::place::{Place, sh};

fn fails(connection: &SshConnection) -> SshError {
    let open = within(SOON, "the failure", connection.open());
    let error = block_on(open).expect_err("it cannot be reached");
    // The same is told by a command that has a connection of its own.
    let run = within(SOON, "the failure", connection.run(Command::new("true")));
    let again = block_on(run).expect_err("it cannot be reached");
    assert_eq!(error.to_string(), again.to_string());
    error
}

#[test]
fn a_key_that_is_not_known_and_one_that_has_changed_are_told_apart() {
    let place = Place::shared();
    let known = testkit::temp_dir();
    let file = known.path().join("known_hosts");
    std::fs::write(&file, "").expect("written");
    let error = fails(&place.knowing(place.host("host1"), file.clone()));
    assert!(matches!(error, SshError::UnknownKey { .. }), "{error:?}");
    assert!(
        error
            .hint()
            .expect("one")
            .contains("harness host add host1")
    );

    let all = std::fs::read_to_string(place.hosts.directory().join("known_hosts")).expect("there");
    let others = all
        .lines()
        .find(|line| line.starts_with(&place.hosts.address("host2")));
    let (_, others) = others.expect("a line").split_once(' ').expect("a key");
    std::fs::write(
        &file,
        format!("{} {others}\n", place.hosts.address("host1")),
    )
    .expect("written");
    let error = fails(&place.knowing(place.host("host1"), file));
    assert!(matches!(error, SshError::ChangedKey { .. }), "{error:?}");
    assert!(!error.is_unreachable());
}

#[test]
fn refused_unresolvable_and_not_permitted_are_told_apart() {
    let place = Place::shared();
    let error = fails(&place.to(place.host("host1").with_port(23).expect("a port")));
    assert!(matches!(error, SshError::Refused { .. }), "{error:?}");
    assert!(error.is_unreachable());

    let nowhere = place.host("host1").with_address("nowhere.invalid");
    let error = fails(&place.to(nowhere.expect("a name")));
    assert!(matches!(error, SshError::Unresolvable { .. }), "{error:?}");

    let stranger = place.host("host1").with_user("nobody").expect("a user");
    let error = fails(&place.to(stranger));
    assert!(
        matches!(error, SshError::PermissionDenied { .. }),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!(
            "host1 lets nobody in with the keys that were tried: nobody@{}: Permission denied (publickey).",
            place.hosts.address("host1")
        )
    );
}

#[test]
fn a_host_that_is_off_is_unreachable_and_one_that_goes_off_is_lost() {
    let place = Place::with(Hosts::own(1, 0));
    let open = place.near();
    block_on(async {
        let wait = open.0.run(sh("sleep 1000"));
        let kill = async { place.hosts.act("kill", "host1", &[]) };
        let (ended, ()) = futures::join!(within(SOON * 2, "the loss", wait), kill);
        let error = ended.expect_err("it was lost");
        assert!(error.is_unreachable(), "{error:?}");
    });
    let off = place.to(place.host("host1"));
    let error = block_on(within(SOON, "the failure", off.open())).expect_err("it is off");
    assert!(matches!(error, SshError::TimedOut { .. }), "{error:?}");
    place.hosts.act("boot", "host1", &[]);
    assert_eq!(place.near().sh("hostname"), "host1");
}

#[test]
fn a_machine_without_the_client_says_so() {
    let directory = testkit::temp_dir();
    let host = SshHost::new("h").expect("a name");
    let way = SshConnection::prepare(host, directory.path().join("ssh"), "/known");
    let way = block_on(way).expect("written");
    let error = block_on(way.with_program("/no/such/ssh").open()).expect_err("there is none");
    assert!(matches!(error, SshError::NoProgram { .. }), "{error:?}");
}

#[test]
fn a_directory_too_deep_for_sockets_is_refused() {
    let host = SshHost::new("h").expect("a name");
    let deep = format!("/tmp/{}", "a".repeat(90));
    let error = block_on(SshConnection::prepare(host, deep, "/known")).expect_err("too long");
    assert!(matches!(error, SshError::LongPath { .. }), "{error:?}");
}
