//! What is promised of output: every byte, in order, as it was.

use service_orchestration::logs::{AttemptFilter, LogQuery, LogStream};
use testkit::lines::{check_lines, flood_byte};

use crate::ground::*;

pub(crate) async fn lines_of_both_streams_arrive_complete_and_in_order(ground: &dyn Ground) {
    run(ground, &["lines", "20000", "--both"]).await;
    for (stream, name) in [(LogStream::Stdout, "stdout"), (LogStream::Stderr, "stderr")] {
        check_lines(&written(ground, stream).await, name, 20_000).expect("every line, once");
    }
}

pub(crate) async fn bytes_that_are_no_text_arrive_as_they_are(ground: &dyn Ground) {
    run(ground, &["flood", "300001", "--invalid-utf8", "--stderr"]).await;
    let expected: Vec<u8> = (0..300_001)
        .map(|index| flood_byte(index, true, true))
        .collect();
    assert!(written(ground, LogStream::Stderr).await == expected);
    assert!(written(ground, LogStream::Stdout).await.is_empty());
}

pub(crate) async fn a_line_of_a_mebibyte_arrives_whole(ground: &dyn Ground) {
    run(ground, &["flood", "1048576", "--no-newline"]).await;
    let expected: Vec<u8> = (0..1 << 20)
        .map(|index| flood_byte(index, false, false))
        .collect();
    assert!(written(ground, LogStream::Stdout).await == expected);
}

pub(crate) async fn a_last_line_without_newline_is_not_lost(ground: &dyn Ground) {
    let order = shell(ground, "printf 'first\\nlast'");
    end_of(&mut *launch(ground, order).await).await;
    assert_eq!(written(ground, LogStream::Stdout).await, b"first\nlast");
}

pub(crate) async fn attempts_are_told_apart(ground: &dyn Ground) {
    for attempt in 1..=3 {
        let mut order = shell(ground, &format!("echo this is {attempt}"));
        order.attempt = attempt;
        end_of(&mut *launch(ground, order).await).await;
    }
    let log = ground.logs().open(&ground.unit());
    for (filter, text) in [
        (AttemptFilter::Last, "this is 3"),
        (AttemptFilter::Previous, "this is 2"),
        (AttemptFilter::Number(1), "this is 1"),
    ] {
        let query = LogQuery {
            attempt: Some(filter),
            ..LogQuery::default()
        };
        let lines = log.read(query).await.expect("the log is readable");
        let texts: Vec<_> = lines.iter().map(|line| line.bytes.as_slice()).collect();
        assert_eq!(texts, [text.as_bytes()]);
    }
}

async fn run(ground: &dyn Ground, arguments: &[&str]) {
    let mut attempt = launch(ground, fixture(ground, arguments)).await;
    assert_eq!(plain(&end_of(&mut *attempt).await), code(0));
}
