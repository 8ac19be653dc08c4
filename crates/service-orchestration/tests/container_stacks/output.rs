//! All that a container says, each line once, whatever its engine does with its files meanwhile.

use service_orchestration::logs::{LogQuery, LogStore};

use super::*;

/// Says numbered lines of about 90 bytes as fast as it can, then slowly a few more.
fn talker(lines: u32) -> ServiceSpec {
    let filler = "x".repeat(80);
    let script = format!(
        "seq 1 {lines} | sed 's/$/ {filler}/'; for n in 1 2 3; do echo slow $n; sleep 0.3; done; echo END; exec sleep 1000"
    );
    let target = ContainerTarget {
        image: Some("harness-test/busybox".into()),
        command: Some(words(&["/bin/sh", "-c", &script])),
        init: true,
        ..ContainerTarget::default()
    };
    let mut spec = container("talker", UnitKind::Service, target);
    // The engine begins a new file some seven times.
    spec.log.max_size = 2 << 20;
    spec.log.max_files = 16;
    spec.stop.grace = Duration::from_millis(200);
    spec
}

#[test]
fn a_flood_that_fills_many_files_of_the_engine_is_taken_line_by_line() {
    const LINES: u32 = 100_000;
    async_io::block_on(async {
        let yard = Yard::new();
        let manager = yard.manager().await;
        yard.up(&manager, vec![talker(LINES)]).await;
        let unit = UnitId::single(yard.stack.clone(), name("talker"));
        let logs = LogStore::new(yard.home.path().join("log"));
        let said = async || {
            let lines = logs.open(&unit).read(LogQuery::default()).await;
            lines.expect("readable")
        };
        eventually_async(SOON, "the last line", async || {
            said().await.last().is_some_and(|line| line.bytes == b"END")
        })
        .await;
        let mut lines = said().await.into_iter();
        for number in 1..=LINES {
            let line = lines.next().expect("a line");
            let text = String::from_utf8(line.bytes).expect("text");
            let found = text.split(' ').next();
            assert_eq!(found, Some(number.to_string().as_str()), "{text}");
        }
        let rest: Vec<_> = lines.map(|line| line.bytes).collect();
        assert_eq!(rest, [&b"slow 1"[..], b"slow 2", b"slow 3", b"END"]);
        manager.shutdown(false).await;
    });
}
