//! What embedders are promised who start a service by itself and read its events.

use command_executor::event::{ProcessEvent, ProcessEventType};
use futures::StreamExt;
use service_orchestration::executors::{RunningService, ServiceExecutor};
use testkit::within;

use crate::ground::*;

pub(crate) async fn every_reader_gets_everything_from_the_first_byte_and_the_exit_last(
    ground: &dyn Ground,
) {
    let executor = ground.executor();
    let config = ground.config(&[ground.fixture(), "lines", "300", "--rate", "300"]);
    let service = executor.start(config).await.expect("the fixture is there");
    let readers = (0..3).map(|_| events(&*executor, &service));
    let together = futures::future::join_all(readers).await;
    let late = events(&*executor, &service).await;
    let texts = |events: &[ProcessEvent]| -> Vec<(ProcessEventType, String)> {
        events
            .iter()
            .map(|event| (event.event_type, event.data.to_string()))
            .collect()
    };
    for read in &together {
        assert_eq!(texts(read), texts(&late));
    }
    let (first, last) = (&late[0], &late[late.len() - 1]);
    let pid = service.pid.expect("a process").to_string();
    assert_eq!(
        (first.event_type, first.data.as_str()),
        (ProcessEventType::Started, pid.as_str())
    );
    assert_eq!(
        (last.event_type, last.data.as_str()),
        (ProcessEventType::Exit, "0")
    );
    let mut said = Vec::new();
    for event in &late[1..late.len() - 1] {
        assert_eq!(event.event_type, ProcessEventType::Stdout);
        said.extend_from_slice(event.data.bytes());
        said.push(b'\n');
    }
    testkit::lines::check_lines(&said, "stdout", 300).expect("every line, once");
}

pub(crate) async fn a_reader_is_told_what_is_said_while_it_reads(ground: &dyn Ground) {
    let executor = ground.executor();
    let config = ground.config(&[ground.fixture(), "signals", "--exit-on", "TERM"]);
    let service = executor.start(config).await.expect("the fixture is there");
    let mut reader = executor.stream_events(&service).await.expect("a log");
    let mut next = async || {
        within(SOON, "the next event", reader.next())
            .await
            .expect("no end yet")
    };
    assert_eq!(next().await.event_type, ProcessEventType::Started);
    assert!(next().await.data.starts_with("ready "));
    let stopping = executor.stop(&service);
    let (stopped, said) = futures::join!(stopping, next());
    assert_eq!(said.data, "signal TERM");
    assert_eq!(plain(&stopped.expect("it ends when asked")), code(0));
    assert_eq!(next().await.event_type, ProcessEventType::Exit);
    assert!(
        within(SOON, "the end of the stream", reader.next())
            .await
            .is_none()
    );
}

pub(crate) async fn a_stop_returns_when_the_service_is_gone(ground: &dyn Ground) {
    let executor = ground.executor();
    let config = ground.config(&[ground.fixture(), "signals", "--exit-on", "TERM"]);
    let service = executor.start(config).await.expect("the fixture is there");
    let mut reader = executor.stream_events(&service).await.expect("a log");
    let listening = async {
        while !reader
            .next()
            .await
            .expect("no end yet")
            .data
            .starts_with("ready")
        {}
    };
    within(SOON, "a program that listens", listening).await;
    let exit = within(SOON, "the stop", executor.stop(&service))
        .await
        .expect("it ends");
    assert_eq!(plain(&exit), code(0));
    assert!(!ground.is_alive(service.pid.expect("a process")));
    assert_eq!(service.wait().await, exit);
    assert_eq!(
        executor.stop(&service).await.expect("stopped already"),
        exit
    );
}

pub(crate) async fn an_end_by_a_signal_is_the_last_event(ground: &dyn Ground) {
    let executor = ground.executor();
    let config = ground.config(&[ground.fixture(), "crash-after", "1"]);
    let service = executor.start(config).await.expect("the fixture is there");
    let read = events(&*executor, &service).await;
    let told = match ground.by_signal(6) {
        (Some(code), None, false) => code.to_string(),
        (_, signal, _) => format!("signal {}", signal.expect("one or the other")),
    };
    assert_eq!(read[read.len() - 1].data, told.as_str());
}

/// All events, to the end.
async fn events(executor: &dyn ServiceExecutor, service: &RunningService) -> Vec<ProcessEvent> {
    let events = executor.stream_events(service).await.expect("a log");
    within(SOON, "the end of the stream", events.collect()).await
}
