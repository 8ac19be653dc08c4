//! Control: signals that reach what they should and nothing else, waits, drops.

mod common;

use command_executor::event::ProcessEventType;
use command_executor::{
    Command, Executor, Exit, LaunchError, ManagedProcess, ProcessHandle, StdinMode, Target,
};
use common::{SOON, bytes, fixture, launch, managed, next, pid, rest, told};
use testkit::{alive, eventually, process_state, run_everywhere, temp_dir, within};

async fn exit_of(handle: &impl ProcessHandle) -> Exit {
    within(SOON, "the end of the process", handle.wait())
        .await
        .expect("it is watched")
}

#[test]
fn wait_is_repeatable_concurrent_and_survives_being_dropped() {
    run_everywhere(|| async {
        let mut command = fixture(&["cat"]);
        command.stdin(StdinMode::Channel);
        let (_events, handle) = launch(&Target::Command, command).await;
        assert!(
            futures_lite::future::poll_once(handle.wait())
                .await
                .is_none()
        );
        let end_input = async {
            handle.take_stdin().expect("stdin is a channel").close();
            exit_of(&handle).await
        };
        let both = futures_lite::future::zip(exit_of(&handle), end_input).await;
        assert_eq!(both, (Exit::Code(0), Exit::Code(0)));
        assert_eq!(exit_of(&handle).await, Exit::Code(0));
        assert_eq!(process_state(pid(&handle)), None, "it is reaped");
    });
}

#[test]
fn each_signal_arrives_under_its_name() {
    run_everywhere(|| async {
        let (mut events, handle) =
            launch(&managed(), fixture(&["signals", "--exit-on", "TERM"])).await;
        told(&mut events, "ready").await;
        handle.interrupt().await.expect("it lives");
        assert_eq!(next(&mut events).await.data, "signal INT");
        handle.reload().await.expect("it lives");
        assert_eq!(next(&mut events).await.data, "signal HUP");
        handle.terminate().await.expect("it lives");
        assert_eq!(next(&mut events).await.data, "signal TERM");
        assert_eq!(exit_of(&handle).await, Exit::Code(0));
    });
}

#[test]
fn terminate_and_kill_reach_the_whole_group() {
    run_everywhere(|| async {
        for (kill, signal) in [(false, 15), (true, 9)] {
            let (mut events, handle) = launch(&managed(), fixture(&["tree"])).await;
            let mut tree = vec![];
            for name in ["main", "child", "grandchild"] {
                tree.push(told(&mut events, name).await);
            }
            if kill {
                handle.kill().await
            } else {
                handle.terminate().await
            }
            .expect("it lives");
            assert_eq!(exit_of(&handle).await, Exit::Signal(signal));
            eventually(SOON, "the whole group is gone", || {
                tree.iter().all(|pid| !alive(*pid))
            })
            .await;
        }
    });
}

#[test]
fn a_group_is_still_reached_after_its_main_process_has_ended() {
    run_everywhere(|| async {
        let (mut events, handle) = launch(&managed(), fixture(&["tree", "--leave"])).await;
        told(&mut events, "main").await;
        assert_eq!(exit_of(&handle).await, Exit::Code(0));
        eventually(SOON, "child and grandchild live", || {
            testkit::group_members(pid(&handle)).len() == 2
        })
        .await;
        handle
            .terminate()
            .await
            .expect("the group can be signalled");
        eventually(SOON, "the group is gone", || {
            testkit::group_members(pid(&handle)).is_empty()
        })
        .await;
        handle
            .kill()
            .await
            .expect("nothing is left, which is no error");
        assert_eq!(process_state(pid(&handle)), None, "it is reaped");
    });
}

#[test]
fn signals_to_an_ended_process_do_nothing() {
    run_everywhere(|| async {
        let (_events, handle) = launch(&managed(), fixture(&["exit", "3"])).await;
        assert_eq!(exit_of(&handle).await, Exit::Code(3));
        handle.terminate().await.expect("no error");
        handle.kill().await.expect("no error");
        handle.reload().await.expect("no error");
        assert_eq!(exit_of(&handle).await, Exit::Code(3));
    });
}

#[test]
fn a_program_that_ignores_terminate_is_ended_by_kill() {
    run_everywhere(|| async {
        let (mut events, handle) = launch(&managed(), fixture(&["ignore-term"])).await;
        let deaf = told(&mut events, "pid").await;
        handle.terminate().await.expect("it lives");
        handle.interrupt().await.expect("it lives");
        assert!(alive(deaf));
        handle.kill().await.expect("it lives");
        assert_eq!(exit_of(&handle).await, Exit::Signal(9));
    });
}

#[test]
fn dropping_the_handle_kills_a_command_and_reaps_it() {
    run_everywhere(|| async {
        let (mut events, handle) = launch(&Target::Command, fixture(&["hold"])).await;
        let pid = told(&mut events, "pid").await;
        drop(handle);
        eventually(SOON, "it is killed and reaped", || {
            process_state(pid).is_none()
        })
        .await;
        let events = rest(events).await;
        assert_eq!(
            events.last().and_then(|event| event.exit()),
            Some(Exit::Signal(9))
        );
    });
}

#[test]
fn dropping_the_handle_lets_a_managed_process_go_on() {
    run_everywhere(|| async {
        let target = Target::ManagedProcess(ManagedProcess::new());
        let mut command = fixture(&["cat"]);
        command.stdin(StdinMode::Channel);
        let (mut events, handle) = launch(&target, command).await;
        let stdin = handle.take_stdin().expect("stdin is a channel");
        let pid = pid(&handle);
        drop(handle);
        stdin.send("still here\n").await.expect("it reads");
        next(&mut events).await;
        assert_eq!(next(&mut events).await.data, "still here");
        stdin.close();
        drop(events);
        eventually(SOON, "it ends by itself and is reaped", || {
            process_state(pid).is_none()
        })
        .await;
    });
}

#[test]
fn a_cancelled_launch_leaves_nothing_behind() {
    let marker = format!("HARNESS_TEST_CANCELLED={}", std::process::id());
    let (name, value) = marker.split_once('=').expect("a name and a value");
    run_everywhere(|| async {
        for _ in 0..20 {
            let executor = Executor::local();
            let mut command = fixture(&["hold"]);
            command.env(name, value);
            let target = Target::ManagedProcess(ManagedProcess::new());
            // One poll may already be enough; then it is no cancelled launch, and ours to end.
            if let Some(launched) =
                futures_lite::future::poll_once(executor.launch(&target, command)).await
            {
                launched.expect("it runs").1.kill().await.expect("it lives");
            }
        }
        // Launches begin in order, so after these no cancelled one is still to begin; one that had begun is ended a
        // moment later.
        for _ in 0..20 {
            let done = Executor::local()
                .execute(&Target::Command, Command::new("true"))
                .await;
            assert!(done.expect("it runs").exit.is_success());
        }
        eventually(SOON, "nothing runs", || {
            testkit::processes_with_env(&marker).is_empty()
        })
        .await;
    });
}

#[test]
fn stdin_arrives_in_order_and_closing_it_ends_the_reader() {
    run_everywhere(|| async {
        let mut command = fixture(&["cat"]);
        command.stdin(StdinMode::Channel);
        let (events, handle) = launch(&managed(), command).await;
        let stdin = handle.take_stdin().expect("stdin is a channel");
        assert!(handle.take_stdin().is_none(), "it is given once");
        let feed = async {
            for number in 0..5000 {
                stdin
                    .send(testkit::lines::line("stdin", number) + "\n")
                    .await
                    .expect("it reads");
            }
            stdin.close();
            stdin.send("late").await.expect_err("it is closed");
        };
        let (events, ()) = futures_lite::future::zip(rest(events), feed).await;
        let echoed = bytes(&events, ProcessEventType::Stdout);
        assert_eq!(testkit::lines::check_lines(&echoed, "stdin", 5000), Ok(()));
    });
}

#[test]
fn stdin_of_a_program_that_has_ended_refuses() {
    run_everywhere(|| async {
        let mut command = fixture(&["exit", "0"]);
        command.stdin(StdinMode::Channel);
        let (_events, handle) = launch(&managed(), command).await;
        let stdin = handle.take_stdin().expect("stdin is a channel");
        exit_of(&handle).await;
        let refused = async { while stdin.send("anyone?").await.is_ok() {} };
        within(SOON, "the pump notices", refused).await;
    });
}

#[test]
fn environment_and_directory_are_as_told() {
    run_everywhere(|| async {
        let directory = temp_dir();
        let mut command = Command::new("sh");
        command.args(["-c", "pwd; echo ${A-unset} ${B-unset} ${HOME-unset}"]);
        command
            .env("B", "1")
            .env_clear()
            .envs([("A", "x y")])
            .current_dir(directory.path());
        let done = Executor::local()
            .execute(&Target::Command, command)
            .await
            .expect("it runs");
        let expected = format!("{}\nx y unset unset\n", directory.path().display());
        assert_eq!(String::from_utf8_lossy(&done.stdout), expected);
    });
}

#[test]
fn what_cannot_run_is_told_apart() {
    run_everywhere(|| async {
        let executor = Executor::local();
        let missing = executor
            .launch(&managed(), Command::new("/no/such/program"))
            .await;
        let error = missing.expect_err("there is none");
        assert!(
            matches!(error, LaunchError::NotRunnable { .. }),
            "{error:?}"
        );
        assert_eq!(error.to_string(), "cannot run `/no/such/program`");

        let mut command = Command::new("true");
        command.current_dir("/no/such/directory");
        let error = executor
            .launch(&managed(), command)
            .await
            .expect_err("there is none");
        assert!(
            matches!(error, LaunchError::WorkingDirectory { .. }),
            "{error:?}"
        );
    });
}

#[test]
fn a_thousand_launches_leave_no_descriptor_and_no_zombie() {
    futures_lite::future::block_on(async {
        let run = || async {
            let (events, handle) = launch(&managed(), Command::new("true")).await;
            rest(events).await;
            pid(&handle)
        };
        run().await;
        let before = open_descriptors();
        let mut pids = vec![];
        for _ in 0..1000 {
            pids.push(run().await);
        }
        assert_eq!(open_descriptors(), before);
        let own = std::process::id();
        pids.retain(|pid| {
            let parent = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            parent.lines().any(|line| line == format!("PPid:\t{own}"))
        });
        assert!(pids.is_empty(), "not reaped: {pids:?}");
    });
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .expect("/proc is mounted")
        .count()
}
