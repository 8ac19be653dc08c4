//! A daemon is brought up where none runs, once, away from who asked, and says why when it cannot.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use common::{Home, SOON, any_port};
use harness_core::client::DaemonProgram;
use harness_core::{
    AutoStart, BaseDaemon, ConnectError, HarnessClient, LaunchError, ensure_daemon, is_running,
};

/// The daemon of the other tests: this program, called by [`daemon_program`].
#[test]
#[ignore = "it is the daemon of the other tests"]
fn daemon_process() {
    let outcome = async_io::block_on(async {
        let daemon = BaseDaemon::builder()
            .listen(any_port())
            .detached(true)
            .build()
            .await?;
        daemon.run().await
    });
    if let Err(error) = outcome {
        let code = error.exit_code();
        eprintln!("{}", service_orchestration::error_chain(&error));
        std::process::exit(code.into());
    }
}

/// A program that ignores how it is called and becomes [`daemon_process`].
fn daemon_program(home: &Home) -> DaemonProgram {
    let program: PathBuf = home.directory.path().join("daemon");
    let test = std::env::current_exe().expect("a running test has a path");
    let script = format!(
        "#!/bin/sh\nexec '{}' --exact daemon_process --ignored --nocapture\n",
        test.display()
    );
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).expect("ours");
    DaemonProgram {
        program,
        listen: None,
        allow_remote: false,
    }
}

async fn end(home: &Home, client: &HarnessClient) {
    client.shutdown(false).await.expect("an answer");
    testkit::eventually(SOON, "the daemon is gone", || {
        !is_running(&home.dirs).expect("readable")
    })
    .await;
}

#[test]
fn clients_that_start_at_once_end_with_one_daemon_in_a_session_of_its_own() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        let program = daemon_program(&home);
        let starting =
            futures::future::join_all((0..4).map(|_| ensure_daemon(&home.dirs, &program)));
        let mut pids = Vec::new();
        for client in testkit::within(SOON, "a daemon", starting).await {
            pids.push(
                client
                    .expect("a daemon")
                    .daemon_status()
                    .await
                    .expect("an answer")
                    .pid,
            );
        }
        pids.dedup();
        assert_eq!(pids.len(), 1, "{pids:?}");
        let pid = rustix::process::Pid::from_raw(pids[0].cast_signed());
        assert_eq!(rustix::process::getsid(pid).ok(), pid);
        end(&home, &home.client().await).await;
        // And once more, right after the end.
        let client = ensure_daemon(&home.dirs, &program).await.expect("a daemon");
        end(&home, &client).await;
    });
}

#[test]
fn a_daemon_that_is_killed_while_it_is_asked_has_a_successor_though_nothing_is_left_to_do() {
    testkit::run_everywhere(|| async {
        let home = Home::new();
        let program = daemon_program(&home);
        let first = testkit::within(SOON, "a daemon", ensure_daemon(&home.dirs, &program)).await;
        drop(first.expect("a daemon"));
        let client = HarnessClient::open(&home.dirs, &program, AutoStart::WhenActive).await;
        let client = client.expect("it runs");
        let before = client.daemon_status().await.expect("an answer").pid;
        let pid = rustix::process::Pid::from_raw(before.cast_signed()).expect("a process");
        let signal = |signal| rustix::process::kill_process(pid, signal).expect("ours");
        // It does not answer any more when the question comes, and is killed only then.
        signal(rustix::process::Signal::STOP);
        testkit::eventually(SOON, "it is stopped", || testkit::is_stopped(before)).await;
        let kill = async { signal(rustix::process::Signal::KILL) };
        let (after, ()) = futures_lite::future::zip(client.daemon_status(), kill).await;
        assert_ne!(after.expect("an answer").pid, before);
        end(&home, &client).await;
    });
}

#[test]
fn a_daemon_that_cannot_start_says_why() {
    async_io::block_on(async {
        let home = Home::new();
        drop(home.build().await.expect("keys are made"));
        std::fs::set_permissions(
            home.dirs.pki().join("ca.key"),
            PermissionsExt::from_mode(0o644),
        )
        .expect("ours");
        let program = daemon_program(&home);
        let starting = ensure_daemon(&home.dirs, &program);
        let error = testkit::within(SOON, "the refusal", starting)
            .await
            .expect_err("keys open to others");
        match &error {
            LaunchError::Exited { output, .. } => {
                assert!(output.contains("others have access"), "{output}")
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(error.exit_code(), 6);
    });
}

#[test]
fn a_program_that_is_missing_is_named() {
    async_io::block_on(async {
        let home = Home::new();
        let program = DaemonProgram {
            program: "/nonexistent/harness".into(),
            listen: None,
            allow_remote: false,
        };
        let error = ensure_daemon(&home.dirs, &program)
            .await
            .expect_err("no such program");
        assert!(
            error.to_string().contains("/nonexistent/harness"),
            "{error}"
        );
    });
}

#[test]
fn a_daemon_is_started_for_stacks_that_were_not_stopped_and_for_nothing_else() {
    async_io::block_on(async {
        let home = Home::new();
        let program = daemon_program(&home);
        let refused = HarnessClient::open(&home.dirs, &program, AutoStart::WhenActive).await;
        let refused = refused.expect_err("nothing to look after");
        assert!(
            matches!(
                refused,
                LaunchError::Connect(ConnectError::NotRunning { .. })
            ),
            "{refused}"
        );
        assert_eq!(refused.exit_code(), 5);
        home.dirs.create().expect("made");
        std::fs::write(home.dirs.state().join("active"), "web\n").expect("written");
        let refused = HarnessClient::open(&home.dirs, &program, AutoStart::Never).await;
        assert!(refused.is_err());
        let client = HarnessClient::open(&home.dirs, &program, AutoStart::WhenActive)
            .await
            .expect("a daemon");
        end(&home, &client).await;
    });
}
