//! Output, as it comes and afterwards.

use std::collections::BTreeMap;

use container_engine::{ContainerConfig, LogConfig, LogsQuery};
use futures::StreamExt;

use crate::support::{text, with_engine};

#[test]
fn a_log_is_followed_to_the_end_of_the_container() {
    with_engine(async |world| {
        let config = world.shell("for i in 1 2 3; do echo line $i; done; echo bad >&2");
        let id = world.create("follow", &config).await;
        let follow = LogsQuery {
            follow: true,
            ..LogsQuery::default()
        };
        world.engine.start(&id).await.unwrap();
        let mut followed = world.logs(&id, &follow).await;
        let mut kept = world.logs(&id, &LogsQuery::default()).await;
        assert_eq!(followed.len(), 4);
        // Two outputs are read side by side, and the engine keeps no order between them in what it passes on live.
        followed.sort_by_key(|record| (record.source, record.time_ns));
        kept.sort_by_key(|record| (record.source, record.time_ns));
        assert_eq!(followed, kept);
    });
}

#[test]
fn lines_beyond_16_kib_come_in_parts_and_no_byte_is_lost() {
    with_engine(async |world| {
        let line = "dd if=/dev/zero bs=1000 count=40 2>/dev/null | tr '\\0' x; echo; echo next";
        let id = world.started("long", &world.shell(line)).await;
        world.engine.wait(&id).await.unwrap();
        let records = world.logs(&id, &LogsQuery::default()).await;
        let lengths: Vec<_> = records.iter().map(|record| record.bytes.len()).collect();
        assert_eq!(lengths, [16_384, 16_384, 40_001 - 2 * 16_384, 5]);
        assert_eq!(text(&records), format!("{}\nnext\n", "x".repeat(40_000)));
    });
}

#[test]
fn the_driver_local_keeps_bytes_that_are_no_text() {
    with_engine(async |world| {
        let config = ContainerConfig {
            log: Some(LogConfig {
                driver: "local".to_owned(),
                options: BTreeMap::new(),
            }),
            ..world.shell("printf '\\001\\377\\000\\r\\n\\n'; printf '\\303'")
        };
        let id = world.started("bytes", &config).await;
        world.engine.wait(&id).await.unwrap();
        assert_eq!(world.engine.inspect(&id).await.unwrap().log_driver, "local");
        let records = world.logs(&id, &LogsQuery::default()).await;
        let bytes: Vec<u8> = records.iter().flat_map(|r| r.bytes.to_vec()).collect();
        assert_eq!(bytes, b"\x01\xff\x00\r\n\n\xc3");
    });
}

#[test]
fn a_terminal_has_one_output_and_no_frames() {
    with_engine(async |world| {
        let config = ContainerConfig {
            tty: true,
            ..world.shell("echo one; echo two >&2; test -t 1 && echo terminal")
        };
        let id = world.started("tty", &config).await;
        world.engine.wait(&id).await.unwrap();
        let records = world.logs(&id, &LogsQuery::default()).await;
        assert_eq!(text(&records), "one\r\ntwo\r\nterminal\r\n");
        assert_eq!(records.len(), 3);
        assert!(world.engine.inspect(&id).await.unwrap().tty);
    });
}

#[test]
fn the_end_of_a_log_and_one_output_of_it_can_be_asked_for() {
    with_engine(async |world| {
        let config = world.shell("seq 1 100; echo bad >&2");
        let id = world.started("tail", &config).await;
        world.engine.wait(&id).await.unwrap();
        let tail = LogsQuery {
            tail: Some(2),
            stderr: false,
            ..LogsQuery::default()
        };
        let tail = world.logs(&id, &tail).await;
        assert!(text(&tail).ends_with("100\n"), "{tail:?}");
        let errors = LogsQuery {
            stdout: false,
            ..LogsQuery::default()
        };
        assert_eq!(text(&world.logs(&id, &errors).await), "bad\n");
    });
}

#[test]
fn what_comes_late_is_told_when_it_comes_and_the_stream_can_be_dropped() {
    with_engine(async |world| {
        let config =
            world.shell("trap 'echo second' USR1; echo first; while :; do sleep 0.05; done");
        let id = world.started("late", &config).await;
        let follow = LogsQuery {
            follow: true,
            ..LogsQuery::default()
        };
        let mut stream = world.engine.logs(&id, &follow).await.unwrap();
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(first.bytes.as_ref(), b"first\n");
        world.engine.kill(&id, "USR1").await.unwrap();
        let line = stream.next().await.unwrap().unwrap();
        assert_eq!(line.bytes.as_ref(), b"second\n");
        assert!(line.time_ns > first.time_ns);
        drop(stream);
        assert!(
            world
                .engine
                .inspect(&id)
                .await
                .unwrap()
                .state
                .status
                .is_alive()
        );
    });
}
