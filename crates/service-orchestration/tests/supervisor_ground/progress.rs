//! What is told while a ground is made.

use service_orchestration::report::EventKind;

use super::*;

#[test]
fn what_a_ground_takes_its_time_for_is_told_until_it_is_there() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let (open, door) = async_channel::unbounded();
        yard.state().door = Some(door);
        let manager = yard.manager(&world).await;
        let events = manager.subscribe(None, 1000).await.events;
        begin(&manager, with_containers("db; api needs db", &["db"])).await;
        let reason = "building db:1 (step 1 of 2)";
        eventually_async(PATIENCE, "it is told", async || {
            status(&manager, "db").await.reason.as_deref() == Some(reason)
        })
        .await;
        let why = manager.why(&stack_name(), &unit("api")).await;
        let why = why.expect("a known unit");
        let told: Vec<_> = why.reasons.iter().map(|reason| &reason.reason).collect();
        let expected = format!("it is being launched: {reason} (needs started)");
        assert!(told.contains(&&expected), "{told:?}");
        open.send(()).await.expect("somebody waits");
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        assert_eq!(status(&manager, "db").await.reason, None);
        let told = std::iter::from_fn(|| events.try_recv().ok());
        let preparing: Vec<_> = told
            .filter(|event| event.event_type == EventKind::ServicePreparing)
            .collect();
        assert_eq!(preparing.len(), 1);
        assert_eq!(preparing[0].event_data["activity"], "building");
        assert_eq!(preparing[0].event_data["reason"], reason);
        assert_eq!(preparing[0].event_data["output"][0], "compiling");
    });
}
