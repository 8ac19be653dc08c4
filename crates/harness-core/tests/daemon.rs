//! One daemon per state directory, where it listens, who may come in, and how it ends.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use common::{Home, SOON, any_port};
use futures_lite::future;
use harness_core::daemon::Listen;
use harness_core::{BaseDaemon, ConnectError, DaemonError, Endpoint, HarnessClient, is_running};
use harness_wire::{Acceptor, Hello, Pki, ServerNames, VersionRange};

#[test]
fn a_client_finds_the_daemon_by_its_directory_and_learns_who_it_is() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        let listen = home
            .with_daemon(|handle| {
                let home = &home;
                async move {
                    let info = home
                        .client()
                        .await
                        .daemon_status()
                        .await
                        .expect("an answer");
                    assert_eq!(
                        (info.pid, info.program.as_str()),
                        (std::process::id(), "harness")
                    );
                    assert_eq!(info.listen, handle.endpoint().listen);
                    assert!(is_running(&home.dirs).expect("readable"));
                    info.listen
                }
            })
            .await;
        assert!(
            !home.endpoint_file().exists(),
            "nobody is sent to {listen} any more"
        );
        assert!(!is_running(&home.dirs).expect("readable"));
        assert!(matches!(
            HarnessClient::connect(&home.dirs).await,
            Err(ConnectError::NotRunning { .. })
        ));
    });
}

#[test]
fn a_second_daemon_is_refused_and_names_the_first() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            match home.build().await {
                Err(DaemonError::AlreadyRunning { holder_pid, .. }) => {
                    assert_eq!(holder_pid, Some(std::process::id()))
                }
                other => panic!("{other:?}"),
            }
            home.client()
                .await
                .daemon_status()
                .await
                .expect("the first goes on");
        })
        .await;
    });
}

#[test]
fn a_busy_usual_port_is_replaced_by_a_free_one() {
    async_io::block_on(async {
        // Whether we hold it or somebody else does, it is busy.
        let _busy = TcpListener::bind("127.0.0.1:9443");
        let home = Home::new();
        let builder = BaseDaemon::builder()
            .dirs(home.dirs.clone())
            .listen(Listen::Usual);
        let daemon = builder.build().await.expect("another port");
        assert_ne!(daemon.listen().port(), 9443);
        assert!(daemon.listen().ip().is_loopback());
    });
}

#[test]
fn a_daemon_that_cannot_have_its_address_touches_nothing() {
    async_io::block_on(async {
        let home = Home::new();
        let everywhere: Listen = "0.0.0.0:0".parse().expect("an address");
        let refused = BaseDaemon::builder()
            .dirs(home.dirs.clone())
            .listen(everywhere)
            .build()
            .await;
        assert!(
            matches!(refused, Err(DaemonError::NotLoopback { .. })),
            "{refused:?}"
        );
        let held = TcpListener::bind("127.0.0.1:0")
            .and_then(|held| held.local_addr().map(|at| (held, at)));
        let (_held, address) = held.expect("a port");
        let refused = BaseDaemon::builder()
            .dirs(home.dirs.clone())
            .listen(Listen::At(address))
            .build()
            .await;
        assert!(
            matches!(refused, Err(DaemonError::Listen { .. })),
            "{refused:?}"
        );
        assert!(!is_running(&home.dirs).expect("readable"));
        drop(home.build().await.expect("the directory is free again"));
    });
}

#[test]
fn keys_that_others_can_read_are_refused() {
    async_io::block_on(async {
        let home = Home::new();
        drop(home.build().await.expect("keys are made"));
        let key = home.dirs.pki().join("ca.key");
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("ours");
        let refused = home.build().await.expect_err("open to others");
        assert!(matches!(refused, DaemonError::Certificates(_)), "{refused}");
        assert_eq!(refused.exit_code(), 6);
    });
}

#[test]
fn an_endpoint_file_of_a_daemon_that_was_killed_means_not_running() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            std::fs::copy(home.endpoint_file(), home.directory.path().join("kept"))
                .expect("copied");
        })
        .await;
        std::fs::rename(home.directory.path().join("kept"), home.endpoint_file())
            .expect("put back");
        // Somebody else listens there by now, and says nothing sensible.
        let endpoint = std::fs::read_to_string(home.endpoint_file()).expect("readable");
        let endpoint: Endpoint = serde_json::from_str(&endpoint).expect("an endpoint");
        let stranger = TcpListener::bind(&endpoint.listen).expect("free again");
        let greeting = std::thread::spawn(move || {
            use std::io::Write;
            let (mut stream, _) = stranger.accept().expect("a client");
            stream
                .write_all(b"220 mail.example.org\r\n")
                .expect("written");
        });
        let refused = HarnessClient::connect(&home.dirs)
            .await
            .expect_err("nobody there");
        assert!(
            matches!(refused, ConnectError::NotRunning { .. }),
            "{refused}"
        );
        assert_eq!(refused.exit_code(), 5);
        greeting.join().expect("it was asked");
        home.with_daemon(|_handle| async {
            home.client()
                .await
                .daemon_status()
                .await
                .expect("a new daemon")
        })
        .await;
    });
}

#[test]
fn a_client_with_certificates_of_another_installation_is_refused() {
    async_io::block_on(async {
        let (home, other) = (Home::new(), Home::new());
        drop(other.build().await.expect("keys are made"));
        home.with_daemon(|_handle| async {
            std::fs::copy(home.endpoint_file(), other.endpoint_file()).expect("copied");
            let lock = std::fs::File::open(other.dirs.state().join("daemon.lock")).expect("there");
            lock.lock().expect("free");
            let refused = HarnessClient::connect(&other.dirs)
                .await
                .expect_err("a stranger");
            assert!(matches!(refused, ConnectError::Refused { .. }), "{refused}");
            assert_eq!(refused.exit_code(), 6);
        })
        .await;
    });
}

#[test]
fn the_daemon_answers_who_asked_for_its_end_when_all_is_done() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        let daemon = home.build().await.expect("a daemon");
        let asking = async {
            testkit::eventually(SOON, "the endpoint file", || home.endpoint_file().exists()).await;
            let (one, other) = (home.client().await, home.client().await);
            let (first, second) = future::zip(one.shutdown(false), other.shutdown(true)).await;
            first.expect("an answer");
            second.expect("an answer");
            assert!(!home.endpoint_file().exists());
        };
        let (ran, ()) = testkit::within(SOON, "the end", future::zip(daemon.run(), asking)).await;
        ran.expect("an orderly end");
        drop(
            BaseDaemon::builder()
                .dirs(home.dirs.clone())
                .listen(any_port())
                .build()
                .await
                .expect("free again"),
        );
    });
}

#[test]
fn a_daemon_of_another_protocol_is_told_from_none() {
    async_io::block_on(async {
        let home = Home::new();
        home.with_daemon(|_handle| async {
            std::fs::copy(home.endpoint_file(), home.directory.path().join("kept"))
                .expect("copied");
        })
        .await;
        let endpoint = std::fs::read(home.directory.path().join("kept")).expect("readable");
        let mut endpoint: Endpoint = serde_json::from_slice(&endpoint).expect("an endpoint");
        let listener = async_net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        endpoint.listen = listener.local_addr().expect("bound").to_string();
        let text = serde_json::to_vec(&endpoint).expect("JSON");
        std::fs::write(home.endpoint_file(), text).expect("written");
        let lock = std::fs::File::open(home.dirs.state().join("daemon.lock")).expect("there");
        lock.lock().expect("free");

        let pki = Pki::open_or_create(home.dirs.pki(), &ServerNames::loopback()).expect("there");
        let tls = pki.server_config(SystemTime::now()).expect("a certificate");
        let protocol = VersionRange { min: 900, max: 901 };
        let acceptor = Acceptor::new(
            tls,
            Hello {
                protocol,
                ..Hello::new("newer", "9")
            },
        );
        let serving = async {
            let (stream, _) = listener.accept().await.expect("a client");
            acceptor
                .accept_tcp(stream)
                .await
                .expect_err("no common version");
        };
        let ((), refused) = future::zip(serving, HarnessClient::connect(&home.dirs)).await;
        match refused {
            Err(ConnectError::Version { theirs, .. }) => assert_eq!(theirs, protocol),
            other => panic!("{other:?}"),
        }
    });
}
