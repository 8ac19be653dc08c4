//! From create to remove.

use container_engine::{ContainerId, ContainerStatus, EngineError, LogsQuery, Object};

use crate::support::{IMAGE, text, with_engine};

#[test]
fn a_container_is_made_started_signalled_and_removed() {
    with_engine(async |world| {
        let engine = &world.engine;
        let config = world.shell(
            "trap 'echo got it; exit 7' TERM; echo up; while :; do read -t 1 x <>/dev/zero; done",
        );
        let id = world.create("life", &config).await;
        let made = engine.inspect(&id).await.unwrap();
        assert_eq!(made.state.status, ContainerStatus::Created);
        assert_eq!(
            (made.name, made.image.as_str()),
            (world.name("life"), IMAGE)
        );
        engine.start(&id).await.unwrap();
        engine.start(&id).await.unwrap();
        let running = engine.inspect(&id).await.unwrap();
        assert!(running.state.pid.is_some() && running.state.exit_code.is_none());
        assert!(running.state.started_ns > made.created_ns);
        let listed = engine.list(&world.mine()).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(
            (&listed[0].id, &listed[0].status),
            (&id, &ContainerStatus::Running)
        );
        engine.kill(&id, "SIGKILL").await.unwrap();
        assert_eq!(engine.wait(&id).await.unwrap().exit_code, 137);
        let ended = engine.inspect(&id).await.unwrap();
        assert_eq!(ended.state.exit_code, Some(137));
        assert!(ended.state.finished_ns > ended.state.started_ns);
        let error = engine.kill(&id, "TERM").await.unwrap_err();
        assert!(matches!(error, EngineError::NotRunning { .. }), "{error:?}");
        engine.rename(&id, &world.name("other")).await.unwrap();
        engine
            .remove(&ContainerId::new(world.name("other")), false, true)
            .await
            .unwrap();
        let error = engine.inspect(&id).await.unwrap_err();
        assert!(
            matches!(
                error,
                EngineError::NotFound {
                    object: Object::Container(_)
                }
            ),
            "{error:?}"
        );
    });
}

#[test]
fn output_is_told_exactly_with_times_and_sources() {
    with_engine(async |world| {
        let config = world.shell("echo one; echo two >&2; printf 'no end'");
        let id = world.started("out", &config).await;
        world.engine.wait(&id).await.unwrap();
        let records = world.logs(&id, &LogsQuery::default()).await;
        let errors: Vec<_> = records
            .iter()
            .filter(|r| r.source == container_engine::LogSource::Stderr)
            .cloned()
            .collect();
        let outputs: Vec<_> = records
            .iter()
            .filter(|r| r.source == container_engine::LogSource::Stdout)
            .cloned()
            .collect();
        assert_eq!(text(&errors), "two\n");
        assert_eq!(text(&outputs), "one\nno end");
        assert!(records.is_sorted_by_key(|record| record.time_ns));
        let last = records.last().unwrap();
        // What is asked from a time on begins with the record of that time.
        let since = LogsQuery {
            since_ns: Some(last.time_ns),
            ..LogsQuery::default()
        };
        assert_eq!(world.logs(&id, &since).await, std::slice::from_ref(last));
        let later = LogsQuery {
            since_ns: Some(last.time_ns + 1),
            ..LogsQuery::default()
        };
        assert_eq!(world.logs(&id, &later).await, []);
    });
}
