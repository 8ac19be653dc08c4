//! Containers of ours that somebody else starts.

use super::*;

impl Yard {
    /// Whoever runs it tells of a start, at a time after now by so much.
    fn tells_of_a_start(&self, name: &str, after: chrono::TimeDelta) {
        self.tells_of_a_start_at(name, chrono::Utc::now() + after);
    }

    fn tells_of_a_start_at(&self, name: &str, at: chrono::DateTime<chrono::Utc>) {
        let at_ns = at.timestamp_nanos_opt().expect("a time of this century");
        let started = Started {
            unit: UnitId::single(stack_name(), unit(name)),
            at_ns: Some(u64::try_from(at_ns).expect("after 1970")),
        };
        let state = self.state();
        let starts = state.starts.as_ref().expect("somebody listens");
        starts.try_send(started).expect("somebody listens");
    }
}

fn once(text: &str, names: &[&str]) -> StackSpec {
    let mut spec = with_containers(text, names);
    for unit in spec.units.values_mut() {
        unit.restart.when = RestartWhen::Never;
    }
    spec
}

const SOON: chrono::TimeDelta = chrono::TimeDelta::milliseconds(50);
const BEFORE: chrono::TimeDelta = chrono::TimeDelta::seconds(-5);

#[test]
fn one_that_somebody_starts_after_its_end_counts_as_running_and_says_so_and_a_stop_ends_it() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        begin(&manager, once("db", &["db"])).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        for again in [2, 3] {
            match again {
                2 => yard.stage.exits("db", 143),
                _ => drop(
                    manager
                        .order(&stack_name(), &[], STOP)
                        .await
                        .expect("known"),
                ),
            }
            let at_rest = if again == 2 { "failed" } else { "idle" };
            comes_to(&manager, "db", at_rest).await;
            yard.state().foreign.insert("db".into());
            yard.tells_of_a_start("db", SOON);
            comes_to(&manager, "db", "ready").await;
            let taken = status(&manager, "db").await;
            assert_eq!(
                taken.reason.as_deref(),
                Some("it was started by somebody else")
            );
            assert_eq!((yard.order("db").attempt, taken.restarts), (again, 0));
        }
        // How it began says nothing of its end.
        yard.stage.exits("db", 137);
        comes_to(&manager, "db", "failed").await;
        let reason = status(&manager, "db").await.reason.unwrap_or_default();
        assert!(!reason.contains("somebody else"), "{reason}");
        yard.state().foreign.insert("db".into());
        yard.tells_of_a_start("db", SOON);
        comes_to(&manager, "db", "ready").await;
        let stopping = manager.order(&stack_name(), &[], STOP).await;
        stopping.expect("known units");
        assert_eq!(wait(&manager, &[], Goal::Stopped).await, Waited::Reached);
        assert!(yard.stage.actor("db").is_none(), "stopped means gone");
    });
}

#[test]
fn a_start_that_is_told_before_the_end_that_it_follows_is_not_lost() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        begin(&manager, once("db", &["db"])).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        yard.state().foreign.insert("db".into());
        // Its end is told only when its output is taken.
        yard.tells_of_a_start("db", chrono::TimeDelta::seconds(60));
        // Whatever is asked is answered behind it.
        status(&manager, "db").await;
        yard.stage.exits("db", 143);
        eventually(PATIENCE, "it is taken", || yard.order("db").attempt == 2).await;
        comes_to(&manager, "db", "ready").await;
    });
}

#[test]
fn an_order_to_stop_that_comes_before_a_start_is_heard_of_ends_what_was_started() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        begin(&manager, once("db", &["db"])).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        yard.stage.exits("db", 143);
        comes_to(&manager, "db", "failed").await;
        let began = chrono::Utc::now();
        yard.state().foreign.insert("db".into());
        let order = manager.order(&stack_name(), &[], STOP).await;
        order.expect("known units");
        yard.tells_of_a_start_at("db", began);
        eventually(PATIENCE, "it is taken", || yard.order("db").attempt == 2).await;
        comes_to(&manager, "db", "idle").await;
        assert!(yard.stage.actor("db").is_none(), "stopped means gone");
    });
}

#[test]
fn a_start_of_our_own_is_none_of_somebody_else_however_late_it_is_told() {
    smol::block_on(async {
        let (yard, world) = set_up();
        let manager = yard.manager(&world).await;
        begin(&manager, once("db; web", &["db", "web"])).await;
        assert_eq!(wait(&manager, &[], Goal::Ready).await, Waited::Reached);
        yard.tells_of_a_start("db", BEFORE);
        for name in ["db", "web"] {
            yard.stage.exits(name, 3);
            comes_to(&manager, name, "failed").await;
        }
        // One whose end is older than the start is asked for, and runs no more; the other is known to be over.
        yard.tells_of_a_start("db", BEFORE);
        yard.tells_of_a_start("web", SOON);
        eventually(PATIENCE, "it is asked for", || yard.state().asked == 1).await;
        for name in ["db", "web"] {
            assert_eq!(status(&manager, name).await.state, "failed");
            assert_eq!(yard.order(name).attempt, 1);
        }
    });
}
