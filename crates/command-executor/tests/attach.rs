//! Attaching: the right process or an error, and never a signal.

mod common;

use command_executor::event::ProcessEventType;
use command_executor::{
    AttachError, AttachedHandle, AttachedProcess, AttachedStatus, Executor, Exit, ProcessHandle,
    ProcessIdentity, Target,
};
use common::{SOON, fixture, launch, managed, next, pid, rest, told};
use testkit::{alive, fixture_path, run_everywhere, temp_dir, within};

fn by_pid(pid: u32) -> Target {
    Target::AttachedProcess(AttachedProcess::Pid(pid))
}

fn by_name(name: &str) -> Target {
    Target::AttachedProcess(AttachedProcess::Name(name.to_owned()))
}

#[test]
fn an_attached_process_is_seen_running_and_ending_and_is_left_alone() {
    run_everywhere(|| async {
        let executor = Executor::local();
        let (mut output, process) = launch(&managed(), fixture(&["hold"])).await;
        told(&mut output, "pid").await;
        let (mut events, attached) = executor
            .attach(&by_pid(pid(&process)))
            .await
            .expect("it runs");
        assert_eq!(
            attached.status().await.expect("it is watched"),
            AttachedStatus::Running
        );
        assert_eq!(next(&mut events).await.event_type, ProcessEventType::System);

        drop(attached);
        assert!(alive(pid(&process)), "detaching does nothing to it");

        let (_, attached) = executor
            .attach(&by_pid(pid(&process)))
            .await
            .expect("it runs");
        process.kill().await.expect("it is ours");
        let end = within(SOON, "its end", attached.wait())
            .await
            .expect("it is watched");
        assert_eq!(end, Exit::Unknown);
        let ended = AttachedStatus::Ended(Exit::Unknown);
        assert_eq!(attached.status().await.expect("it is watched"), ended);
        assert_eq!(
            rest(events).await.last().and_then(|event| event.exit()),
            Some(Exit::Unknown)
        );
    });
}

#[test]
fn a_name_means_exactly_one_process() {
    run_everywhere(|| async {
        let directory = temp_dir();
        // The directory's random name: processes of the run before may still be dying.
        let name = directory
            .path()
            .file_name()
            .expect("it has a name")
            .to_string_lossy()
            .into_owned();
        let program = directory.path().join(&name);
        std::os::unix::fs::symlink(fixture_path(), &program).expect("it can be linked");
        let executor = Executor::local();
        let missing = executor
            .attach(&by_name(&name))
            .await
            .expect_err("none runs");
        assert!(
            matches!(missing, AttachError::NoSuchName { .. }),
            "{missing:?}"
        );

        let mut command = command_executor::Command::new(&program);
        command.arg("hold");
        let (mut events, first) = launch(&managed(), command.clone()).await;
        // The kernel lets the launcher go on a moment before the new program has its name.
        told(&mut events, "pid").await;
        let (_, attached) = executor.attach(&by_name(&name)).await.expect("one runs");
        assert_eq!(attached.identity().pid, pid(&first));

        let (mut more, second) = launch(&managed(), command).await;
        told(&mut more, "pid").await;
        let error = executor.attach(&by_name(&name)).await.expect_err("two run");
        let AttachError::Ambiguous { matches, .. } = &error else {
            panic!("{error:?}")
        };
        let mut expected = [pid(&first), pid(&second)];
        expected.sort_unstable();
        assert!(
            matches.iter().map(|found| found.pid).eq(expected),
            "{error}"
        );
        assert!(
            error.to_string().contains(&format!("{} (", expected[1])),
            "{error}"
        );
    });
}

#[test]
fn a_recorded_identity_means_that_process_and_no_other() {
    run_everywhere(|| async {
        let executor = Executor::local();
        let (_output, process) = launch(&managed(), fixture(&["hold"])).await;
        let (_, seen) = executor
            .attach(&by_pid(pid(&process)))
            .await
            .expect("it runs");
        let identity = seen.identity().clone();
        let exact = Target::AttachedProcess(AttachedProcess::Identity(identity.clone()));
        executor.attach(&exact).await.expect("it is the same");

        for stranger in [
            ProcessIdentity {
                start_ticks: identity.start_ticks + 1,
                ..identity.clone()
            },
            ProcessIdentity {
                boot_id: "another boot".to_owned(),
                ..identity.clone()
            },
        ] {
            let target = Target::AttachedProcess(AttachedProcess::Identity(stranger));
            let error = executor
                .attach(&target)
                .await
                .expect_err("the PID has a new owner");
            assert!(matches!(error, AttachError::Ended { .. }), "{error:?}");
        }

        process.kill().await.expect("it is ours");
        process.wait().await.expect("it is watched");
        let error = executor.attach(&exact).await.expect_err("it is gone");
        assert!(matches!(error, AttachError::Ended { .. }), "{error:?}");
    });
}

#[test]
fn a_pid_that_is_nobodys_is_refused() {
    run_everywhere(|| async {
        for nobody in [0, u32::MAX, i32::MAX as u32] {
            let error = Executor::local()
                .attach(&by_pid(nobody))
                .await
                .expect_err("there is none");
            assert!(
                matches!(error, AttachError::NoSuchProcess { .. }),
                "{error:?}"
            );
        }
        let error = Executor::local()
            .attach(&managed())
            .await
            .expect_err("it is to be launched");
        assert!(
            matches!(error, AttachError::Unsupported { .. }),
            "{error:?}"
        );
    });
}
