//! Output: nothing lost, nothing invented, `Exit` last.

mod common;

use command_executor::event::{EventFilter, LineEnd, ProcessEventType};
use command_executor::{Executor, Exit, OutputMode, ProcessHandle, Target};
use common::{SOON, bytes, fixture, launch, managed, next, rest, told};
use testkit::lines::{check_lines, flood_byte};
use testkit::{alive, eventually, run_everywhere, within};

#[test]
fn events_come_as_started_lines_exit_and_every_line_once() {
    run_everywhere(|| async {
        let (events, handle) = launch(&managed(), fixture(&["lines", "5000", "--both"])).await;
        let events = rest(events).await;
        assert_eq!(events[0].event_type, ProcessEventType::Started);
        assert_eq!(
            events[0].data,
            handle.pid().expect("local").to_string().as_str()
        );
        assert_eq!(
            check_lines(&bytes(&events, ProcessEventType::Stdout), "stdout", 5000),
            Ok(())
        );
        assert_eq!(
            check_lines(&bytes(&events, ProcessEventType::Stderr), "stderr", 5000),
            Ok(())
        );
        let last = events.last().expect("there are events");
        assert_eq!(
            (last.event_type, last.exit()),
            (ProcessEventType::Exit, Some(Exit::Code(0)))
        );
        assert_eq!(
            events
                .iter()
                .filter(|e| e.event_type == ProcessEventType::Exit)
                .count(),
            1
        );
    });
}

#[test]
fn a_line_without_end_comes_in_bounded_pieces_and_byte_exact() {
    run_everywhere(|| async {
        let mut command = fixture(&["flood", "3000001", "--no-newline", "--invalid-utf8"]);
        command.max_line_bytes(10_000);
        let events = rest(launch(&managed(), command).await.0).await;
        let output = bytes(&events, ProcessEventType::Stdout);
        assert_eq!(output.len(), 3_000_001);
        assert!(
            (0..)
                .zip(&output)
                .all(|(i, byte)| *byte == flood_byte(i, false, true))
        );
        let pieces: Vec<_> = events
            .iter()
            .filter(|e| e.event_type == ProcessEventType::Stdout)
            .collect();
        assert!(
            pieces
                .iter()
                .all(|piece| piece.data.bytes().len() <= 10_000)
        );
        let (last, others) = pieces.split_last().expect("there are pieces");
        assert!(
            others
                .iter()
                .all(|piece| piece.line_end == Some(LineEnd::Continues))
        );
        assert_eq!(last.line_end, Some(LineEnd::EndOfOutput));
    });
}

#[test]
fn a_reader_that_waits_loses_nothing_and_holds_the_writer_up() {
    run_everywhere(|| async {
        let (mut events, handle) = launch(&managed(), fixture(&["lines", "20000"])).await;
        next(&mut events).await;
        // 20,000 lines are far more than a pipe holds: unread, the program cannot have ended.
        assert!(
            futures_lite::future::poll_once(handle.wait())
                .await
                .is_none()
        );
        let events = rest(events).await;
        assert_eq!(
            check_lines(&bytes(&events, ProcessEventType::Stdout), "stdout", 20_000),
            Ok(())
        );
    });
}

#[test]
fn dropping_next_in_the_middle_loses_nothing() {
    run_everywhere(|| async {
        let (mut events, _handle) =
            launch(&managed(), fixture(&["lines", "300", "--rate", "3000"])).await;
        let mut seen = vec![];
        loop {
            use futures_lite::StreamExt;
            // Polled once and dropped, again and again.
            match futures_lite::future::poll_once(events.next()).await {
                Some(Some(event)) => seen.push(event),
                Some(None) => break,
                None => seen.push(next(&mut events).await),
            }
        }
        assert_eq!(
            check_lines(&bytes(&seen, ProcessEventType::Stdout), "stdout", 300),
            Ok(())
        );
    });
}

#[test]
fn a_descendant_that_holds_the_pipes_does_not_delay_the_exit() {
    run_everywhere(|| async {
        let (mut events, handle) = launch(&managed(), fixture(&["tree", "--leave"])).await;
        let main = told(&mut events, "main").await;
        let events = rest(events).await;
        assert_eq!(
            events.last().and_then(|event| event.exit()),
            Some(Exit::Code(0))
        );
        assert!(
            events
                .iter()
                .any(|e| e.event_type == ProcessEventType::System && e.data.contains("stdout"))
        );
        handle.kill().await.expect("what is left can be killed");
        eventually(SOON, "the group is gone", || {
            testkit::group_members(main).is_empty()
        })
        .await;
    });
}

#[test]
fn a_descendant_that_never_stops_writing_does_not_delay_the_exit() {
    run_everywhere(|| async {
        let mut command = command_executor::Command::new("sh");
        command.args(["-c", "yes & echo last words >&2; exit 4"]);
        let (events, handle) = launch(&managed(), command).await;
        let events = rest(events).await;
        assert_eq!(
            events.last().and_then(|event| event.exit()),
            Some(Exit::Code(4))
        );
        assert_eq!(bytes(&events, ProcessEventType::Stderr), b"last words\n");
        handle.kill().await.expect("the writer can be killed");
    });
}

#[test]
fn filters_are_applied_and_the_program_still_runs_to_its_end() {
    run_everywhere(|| async {
        let (events, _handle) = launch(&managed(), fixture(&["lines", "20000", "--both"])).await;
        let filter = EventFilter::new()
            .types([ProcessEventType::Stderr, ProcessEventType::Exit])
            .matching("^0000001[0-9]{2} ")
            .expect("a regular expression");
        let events = rest(events.filtered(filter)).await;
        assert_eq!(events.len(), 101);
        assert!(
            events[..100]
                .iter()
                .all(|event| event.event_type == ProcessEventType::Stderr)
        );
        assert_eq!(events[100].data, "0");
    });
}

#[test]
fn the_exit_event_shows_code_or_signal() {
    run_everywhere(|| async {
        for (arguments, shown) in [
            (&["exit", "143"][..], "143"),
            (&["crash-after", "1"][..], "signal 6"),
        ] {
            let events = rest(launch(&Target::Command, fixture(arguments)).await.0).await;
            assert_eq!(events.last().expect("an exit").data, shown);
        }
    });
}

#[test]
fn execute_gives_status_and_exact_output() {
    run_everywhere(|| async {
        let executor = Executor::local();
        let mut command = command_executor::Command::new("sh");
        command.args(["-c", "printf 'a\\nb\\377'; echo oops >&2; exit 9"]);
        let done = executor
            .execute(&Target::Command, command)
            .await
            .expect("it runs");
        assert_eq!(done.exit, Exit::Code(9));
        assert_eq!(done.stdout, b"a\nb\xff");
        assert_eq!(done.stderr, b"oops\n");
        assert!(!done.truncated);
    });
}

#[test]
fn execute_keeps_no_more_than_its_limit_and_says_so() {
    run_everywhere(|| async {
        let executor = Executor::local().output_limit(1000);
        let done = executor
            .execute(&Target::Command, fixture(&["flood", "1000000"]))
            .await
            .expect("it runs");
        assert_eq!(
            (done.exit, done.stdout.len(), done.truncated),
            (Exit::Code(0), 1000, true)
        );
    });
}

#[test]
fn output_that_goes_nowhere_holds_nobody_up() {
    run_everywhere(|| async {
        let mut command = fixture(&["flood", "5000000"]);
        command.stdout(OutputMode::Null);
        let (events, handle) = launch(&managed(), command).await;
        let exit = within(SOON, "the end without a reader", handle.wait()).await;
        assert_eq!(exit.expect("it is watched"), Exit::Code(0));
        assert_eq!(rest(events).await.len(), 2);
    });
}

#[test]
fn a_gigabyte_without_a_newline_leaves_memory_flat() {
    use futures_lite::StreamExt;
    futures_lite::future::block_on(async {
        let (mut events, _handle) = launch(
            &managed(),
            fixture(&["flood", "1073741824", "--no-newline"]),
        )
        .await;
        next(&mut events).await;
        let before = resident_kib();
        let mut total = 0;
        while let Some(event) = events.next().await {
            if event.event_type == ProcessEventType::Stdout {
                total += event.data.bytes().len();
            }
        }
        assert_eq!(total, 1 << 30);
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < 8 * 1024, "grew by {grown} KiB");
    });
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("a resident size");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("a number")
}

#[test]
fn a_dropped_stream_closes_the_pipes() {
    run_everywhere(|| async {
        let (mut events, handle) = launch(&managed(), fixture(&["flood", "1000000000"])).await;
        next(&mut events).await;
        drop(events);
        within(SOON, "the writer notices", handle.wait())
            .await
            .expect("it is watched");
        assert!(!alive(common::pid(&handle)));
    });
}
